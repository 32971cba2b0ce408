"""The form in which webhooks are told: MLflow's body, headers and signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec

SIGNATURE, TIMESTAMP, DELIVERY_ID = "X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"


def body_of(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    """`at` is when it happened, the same in each attempt."""
    entity, _, action = kind.partition(".")
    return msgspec.json.encode({"entity": entity, "action": action, "timestamp": at.isoformat(), "data": data})


def headers_of(delivery_id: str, now: datetime, secret: str, body: bytes) -> dict[str, str]:
    """Signed when there is a secret; the time is that of the attempt, so that a receiver can refuse old ones."""
    timestamp = str(int(now.timestamp()))
    headers = {"Content-Type": "application/json", DELIVERY_ID: delivery_id, TIMESTAMP: timestamp}
    if secret:
        headers[SIGNATURE] = signature_of(secret, delivery_id, timestamp, body)
    return headers


def signature_of(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """v1 and the HMAC-SHA256 of "<delivery id>.<timestamp>.<body>" as base64."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
