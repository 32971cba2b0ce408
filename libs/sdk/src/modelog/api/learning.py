"""Deployments whose models learn from the labels of their predictions."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from modelog.learning import Learning, LearningStep, ReplayedLearningStep
from modelog.transport import Transport
from modelog.types import Record


class _Steps(Record):
    steps: List[LearningStep] = []
    next_page_token: str = ""


class Learnings:
    """How deployments learn, and the steps that they took. Only models of river learn."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def set(self, deployment: str, mode: str, *, reason: str = "", **terms: Any) -> Learning:
        """Have a deployment learn ("on"), keep what it learned while labels wait ("paused"), or answer as its versions
        were registered ("off").

        `terms` are fields of `modelog.learning.LearningTerms`; what is left out of them is as usual, and without any
        those that hold stay.
        """
        body: Dict[str, Any] = {"mode": f"LEARNING_MODE_{mode.upper()}", "reason": reason}
        if terms:
            body["terms"] = terms
        return self._transport.post(_path(deployment), Learning, body)

    def get(self, deployment: str, *, as_of: Optional[str] = None) -> Learning:
        """How a deployment learns, and what its versions have learned."""
        return self._transport.get(_path(deployment), Learning, as_of=as_of)

    def steps(
        self, deployment: str, *, version: Optional[str] = None, as_of: Optional[str] = None
    ) -> List[LearningStep]:
        """The steps that were taken, oldest first."""
        path = f"{_path(deployment)}/steps"
        return self._transport.every(path, _Steps, lambda page: page.steps, version=version, as_of=as_of)

    def replay(self, deployment: str, step: int) -> ReplayedLearningStep:
        """Take a step again, from the state and with the labels of then, and compare what comes of it."""
        return self._transport.post(
            f"{_path(deployment)}/steps/{step}/replay", ReplayedLearningStep, {}, repeatable=True
        )


def _path(deployment: str) -> str:
    return f"/api/v1/deployments/{deployment}/learning"
