"""Retirement of versions that nobody needs, and the service level targets of models."""

from __future__ import annotations

from typing import List, Optional, Sequence
from urllib.parse import quote

from modelog.governance import (
    ModelSla,
    Retirement,
    RetirementCheck,
    RetirementPolicy,
    RetirementRule,
    SlaTargets,
)
from modelog.transport import Transport, pages
from modelog.types import Record


class _Retirements(Record):
    retirements: List[Retirement] = []
    next_page_token: str = ""


class _Slas(Record):
    slas: List[ModelSla] = []
    next_page_token: str = ""


class Retirements:
    """The rules of retirement, and what follows from them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def policy(self, version: Optional[int] = None, *, as_of: Optional[str] = None) -> RetirementPolicy:
        """The rules in force, or one version of them."""
        return self._transport.get("/api/v1/retirement-policy", RetirementPolicy, version=version, as_of=as_of)

    def set_policy(
        self, rules: Sequence[RetirementRule], reason: str = "", *, expected_version: Optional[int] = None
    ) -> RetirementPolicy:
        """Put rules in force, as the next version."""
        body = {"rules": list(rules), "reason": reason, "expected_version": expected_version}
        return self._transport.post("/api/v1/retirement-policy", RetirementPolicy, body)

    def list(self, model: str = "", *, state: str = "", as_of: Optional[str] = None) -> List[Retirement]:
        """What is announced, and what became of what was; `state`: announced, objected, called_off, archived."""
        wanted = f"RETIREMENT_STATE_{state.upper()}" if state else None

        def after(token: str) -> _Retirements:
            return self._transport.get(
                "/api/v1/retirements",
                _Retirements,
                model=model or None,
                state=wanted,
                as_of=as_of,
                page_token=token or None,
                page_size=1000,
            )

        return [retirement for page in pages(after) for retirement in page.retirements]

    def object(self, model: str, version: str, reason: str) -> Retirement:
        """Keep a version whose retirement is announced."""
        path = f"/api/v1/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/retirement/objections"
        return self._transport.post(path, Retirement, {"reason": reason})

    def check(self) -> RetirementCheck:
        """Have the platform look at all models now; by itself it does so every hour."""
        return self._transport.post("/api/v1/retirements/check", RetirementCheck, {})


class Slas:
    """The service level targets of models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str, *, as_of: Optional[str] = None) -> ModelSla:
        """The targets in force."""
        return self._transport.get(_at(model, "sla"), ModelSla, as_of=as_of)

    def list(self, model: str = "", *, as_of: Optional[str] = None) -> List[ModelSla]:
        """All that were ever set, newest first."""
        path = _at(model, "slas") if model else "/api/v1/slas"

        def after(token: str) -> _Slas:
            return self._transport.get(path, _Slas, as_of=as_of, page_token=token or None, page_size=1000)

        return [sla for page in pages(after) for sla in page.slas]

    def set(
        self, model: str, targets: SlaTargets, reason: str = "", *, expected_version: Optional[int] = None
    ) -> ModelSla:
        """Set all targets anew; what is None is not promised any more."""
        body = {"targets": targets, "reason": reason, "expected_version": expected_version}
        return self._transport.post(_at(model, "sla"), ModelSla, body)


def _at(model: str, what: str) -> str:
    return f"/api/v1/models/{quote(model, safe='')}/{what}"
