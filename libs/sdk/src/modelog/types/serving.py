"""Deployments and predictions."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, List, Optional

from modelog.types.models import Signature
from modelog.types.records import Record


class Variant(Record):
    version: str = ""
    percent: float = 0.0
    model_digest: str = ""
    flavor: str = ""
    answered: int = 0


class Deployment(Record):
    id: str = ""
    name: str = ""
    model: str = ""
    environment: str = ""
    status: str = ""
    variants: List[Variant] = []
    signature: Optional[Signature] = None
    author: str = ""
    error: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0


class Prediction(Record):
    prediction_id: str = ""
    deployment: str = ""
    model: str = ""
    version: str = ""
    model_digest: str = ""
    features: Dict[str, float] = {}
    outputs: List[float] = []
    event_time: Optional[datetime] = None
    answered_at: Optional[datetime] = None
    key: str = ""
