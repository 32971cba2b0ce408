"""Change requests: ask for a promotion, look at it, carry it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from modelog.api.datasets import Artifacts
from modelog.governance import ChangeOutlook, ChangeRequest, EvidenceInput
from modelog.transport import Transport, pages
from modelog.types import Record


class _Changes(Record):
    changes: List[ChangeRequest] = []
    next_page_token: str = ""


class Changes:
    """Requests to promote versions."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def open(
        self,
        model: str,
        version: str,
        stage: str,
        title: str,
        *,
        risk: str,
        risk_reasons: Sequence[str],
        description: str = "",
        deployment: str = "",
        reviewers: Sequence[str] = (),
        asked: Sequence[str] = (),
        evidence: Sequence[EvidenceInput] = (),
    ) -> ChangeRequest:
        """Ask for a version to go to staging or production.

        `risk` is low, medium or high. All of `reviewers` must approve; those of `asked` may. `deployment` says where
        it is to be served afterwards; applying the request starts nothing there.
        """
        body: Dict[str, Any] = {
            "version": version,
            "title": title,
            "description": description,
            "to_stage": f"STAGE_{stage.upper()}",
            "deployment": deployment,
            "risk": f"RISK_{risk.upper()}",
            "risk_reasons": list(risk_reasons),
            "reviewers": list(reviewers),
            "asked": list(asked),
            "evidence": list(evidence),
        }
        return self._transport.post(_at(model), ChangeRequest, body)

    def get(self, model: str, number: int, *, as_of: Optional[str] = None) -> ChangeRequest:
        """One request."""
        return self._transport.get(_at(model, number), ChangeRequest, as_of=as_of)

    def outlook(self, model: str, number: int, *, as_of: Optional[str] = None) -> ChangeOutlook:
        """Whether a request could be applied, by the rules in force, and why not."""
        return self._transport.get(f"{_at(model, number)}/outlook", ChangeOutlook, as_of=as_of)

    def list(
        self, model: str = "", *, version: str = "", state: str = "", as_of: Optional[str] = None
    ) -> List[ChangeRequest]:
        """Requests of one model or of all, newest first; `state`: open, approved, rejected, withdrawn, applied."""
        path = _at(model) if model else "/api/v1/changes"
        wanted = f"CHANGE_STATE_{state.upper()}" if state else None

        def after(token: str) -> _Changes:
            return self._transport.get(
                path,
                _Changes,
                version=version or None,
                state=wanted,
                as_of=as_of,
                page_token=token or None,
                page_size=1000,
            )

        return [change for page in pages(after) for change in page.changes]

    def file(self, kind: str, file: Path, name: str = "") -> EvidenceInput:
        """Upload a file as evidence of this kind (comparison, validation_report, model_card, other)."""
        stored = self._artifacts.upload(Path(file))
        return EvidenceInput(name=name or Path(file).name, kind=_kind(kind), link=Path(file).name, digest=stored.digest)

    def run(self, run_id: str, name: str = "") -> EvidenceInput:
        """A run as evidence: the platform looks at it, and keeps the digest of what it saw."""
        return EvidenceInput(name=name or f"run {run_id[:8]}", kind=_kind("run"), link=run_id)

    def comparison(self, versions: Sequence[str], name: str = "comparison") -> EvidenceInput:
        """A comparison of versions ("model/version") as evidence, as the platform makes it."""
        return EvidenceInput(name=name, kind=_kind("comparison"), link=",".join(versions))

    def card(self, model: str, version: str, name: str = "model card") -> EvidenceInput:
        """The card of a version as evidence, as it is now."""
        return EvidenceInput(name=name, kind=_kind("model_card"), link=f"{model}/{version}")

    def attach(self, model: str, number: int, evidence: EvidenceInput) -> ChangeRequest:
        """Add evidence, or another version of what has the same name: approvals given before are stale."""
        return self._post(model, number, "evidence", {"evidence": evidence})

    def ask(self, model: str, number: int, *people: str) -> ChangeRequest:
        """Ask more people to look."""
        return self._post(model, number, "reviewers", {"asked": list(people)})

    def comment(self, model: str, number: int, comment: str) -> ChangeRequest:
        """Say something about it."""
        return self._post(model, number, "comments", {"comment": comment})

    def approve(
        self, model: str, number: int, comment: str, *, evidence_revision: Optional[int] = None
    ) -> ChangeRequest:
        """Approve it. With `evidence_revision`, that is what was looked at: raises Conflict when it is another now."""
        return self._review(model, number, "APPROVED", comment, evidence_revision)

    def ask_for_changes(self, model: str, number: int, comment: str) -> ChangeRequest:
        """Not yet: it waits until this reviewer says otherwise."""
        return self._review(model, number, "CHANGES_ASKED", comment, None)

    def reject(self, model: str, number: int, comment: str) -> ChangeRequest:
        """No: that ends it."""
        return self._review(model, number, "REJECTED", comment, None)

    def _review(
        self, model: str, number: int, decision: str, comment: str, evidence_revision: Optional[int]
    ) -> ChangeRequest:
        body = {
            "decision": f"CHANGE_DECISION_{decision}",
            "comment": comment,
            "evidence_revision": evidence_revision,
        }
        return self._post(model, number, "reviews", body)

    def withdraw(self, model: str, number: int, reason: str = "") -> ChangeRequest:
        """Take one's own request back."""
        return self._post(model, number, "withdraw", {"reason": reason})

    def apply(self, model: str, number: int, *, archive_others: bool = False) -> ChangeRequest:
        """Promote the version. Raises Conflict, which says by whom and when, when somebody else applied it first."""
        return self._post(model, number, "apply", {"archive_others": archive_others})

    def _post(self, model: str, number: int, what: str, body: Mapping[str, Any]) -> ChangeRequest:
        return self._transport.post(f"{_at(model, number)}/{what}", ChangeRequest, body)


def _at(model: str, number: int = 0) -> str:
    path = f"/api/v1/models/{quote(model, safe='')}/changes"
    return f"{path}/{number}" if number else path


def _kind(kind: str) -> str:
    return f"EVIDENCE_KIND_{kind.upper()}"
