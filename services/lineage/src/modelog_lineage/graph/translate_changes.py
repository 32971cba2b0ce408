"""Change requests in the graph: what asked for a version's promotion, who approved that, and what it leaned on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from modelog_lineage.graph.changes import Change, Connect, Describe, Thing
from modelog_lineage.graph.events import (
    ChangeApplied,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeWithdrawn,
    Evidence,
)
from modelog_lineage.graph.texts import texts
from modelog_lineage.graph.things import by, model_version
from modelog_lineage.graph.vocabulary import Kind, Link, version_key

APPROVED, REJECTED, RUN = "approved", "rejected", "run"
ChangeEvent = ChangeRequested | ChangeEvidenceAttached | ChangeReviewed | ChangeWithdrawn | ChangeApplied


def change_request(event: ChangeEvent) -> Iterator[Change]:
    """What an event of a change request changes."""
    change = Thing(Kind.CHANGE_REQUEST, version_key(event.model, event.change))
    match event:
        case ChangeRequested():
            attributes = texts(
                model=event.model, version=event.version, description=event.description, to_stage=event.to_stage,
                risk=event.risk, author=event.by, status="open",
            )  # fmt: skip
            yield Describe(change, attributes, event.title)
            yield Connect(model_version(event.model, event.version), Link.ASKED_FOR_IN, change)
            yield from by(change, Link.CREATED_BY, event.by)
            for evidence in event.evidence:
                yield from _leans_on(change, evidence)
        case ChangeEvidenceAttached():
            yield from _leans_on(change, event.evidence)
        case ChangeReviewed():
            yield from _reviewed(change, event)
        case ChangeWithdrawn():
            yield Describe(change, texts(status="withdrawn") | {"reason": event.reason})
        case ChangeApplied():
            yield Describe(change, texts(status="applied", applied_by=event.by))
        case _:
            assert_never(event)


def _leans_on(change: Thing, evidence: Evidence) -> Iterator[Change]:
    if evidence.kind == RUN and evidence.link:
        yield Connect(change, Link.LEANS_ON, Thing(Kind.RUN, evidence.link))


def _reviewed(change: Thing, event: ChangeReviewed) -> Iterator[Change]:
    if event.decision == REJECTED:
        yield Describe(change, texts(status="rejected") | {"reason": event.comment})
        yield from by(change, Link.REJECTED_BY, event.by)
    elif event.decision == APPROVED and event.approval_id:
        approval = Thing(Kind.APPROVAL, event.approval_id)
        attributes = texts(decision=event.decision, model=event.model, reviewer=event.by, comment=event.comment)
        yield Describe(approval, attributes, f"{event.decision} by {event.by}")
        yield Connect(change, Link.APPROVED_BY, approval)
        yield from by(approval, Link.GIVEN_BY, event.by)
