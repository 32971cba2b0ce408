"""Whatever is asked of a model, in whatever order and by whomever, its invariants hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_common.domain.context import Context
from modelog_common.domain.errors import ModelogError
from modelog_common.domain.semver import SemanticVersion
from modelog_registry.artifact import Artifact
from modelog_registry.events import EVENTS
from modelog_registry.model.change_commands import (
    ApplyChange,
    AttachEvidence,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeDecision,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    Evidence,
    EvidenceKind,
    Risk,
)
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    ModelCommand,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    RenameModel,
    ReviewVersion,
    SetAlias,
    TagVersion,
)
from modelog_registry.model.decide import decide
from modelog_registry.model.events import ModelEvent, VersionPromoted, VersionRegistered, VersionReviewed
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.model.state import Model, evolve
from modelog_registry.rules import BEGINNING, PolicyVersion, Rules, StageRules

SIGNATURE = Signature((Tensor("x", "FP32", (-1,)),), (Tensor("y", "FP32", (-1,)),))
POLICIES = (BEGINNING, PolicyVersion(1, Rules((StageRules(Stage.STAGING, 1), StageRules(Stage.PRODUCTION, 2)))))
PEOPLE = st.sampled_from(["alice", "bob", "carol"])
VERSIONS = st.builds(SemanticVersion, st.just(1), st.integers(0, 2), st.just(0))
NUMBERS, NAMES, KINDS = st.integers(1, 3), st.sampled_from(["x", "y"]), st.sampled_from(EvidenceKind)
COMMANDS: st.SearchStrategy[ModelCommand] = st.one_of(
    st.just(RegisterModel("m")),
    st.builds(
        RegisterVersion,
        st.just("m"),
        st.none() | VERSIONS,
        st.just("xgboost"),
        st.builds(Artifact, st.just("f"), st.sampled_from(["a" * 64, "b" * 64]), st.just(1)),
        st.just(SIGNATURE),
    ),
    st.builds(ReviewVersion, st.just("m"), VERSIONS, st.sampled_from(Decision), st.sampled_from(["ok", "no"])),
    st.builds(
        PromoteVersion,
        st.just("m"),
        VERSIONS,
        st.sampled_from(Stage),
        expected=st.none() | st.sampled_from(Stage),
        archive_others=st.booleans(),
        policy=st.sampled_from(POLICIES),
    ),
    st.builds(
        RequestChange,
        st.just("m"),
        VERSIONS,
        st.just("t"),
        st.sampled_from([Stage.STAGING, Stage.PRODUCTION]),
        st.just(Risk.LOW),
        st.just(("r",)),
        reviewers=st.sampled_from([(), ("carol",)]),
    ),
    st.builds(ReviewChange, st.just("m"), NUMBERS, st.sampled_from(ChangeDecision), st.sampled_from(["ok", "no"])),
    st.builds(AttachEvidence, st.just("m"), NUMBERS, st.builds(Evidence, NAMES, KINDS, NAMES, st.just("a" * 64))),
    st.builds(WithdrawChange, st.just("m"), NUMBERS),
    st.builds(ApplyChange, st.just("m"), NUMBERS, st.booleans(), st.sampled_from(POLICIES)),
    st.builds(SetAlias, st.just("m"), st.sampled_from(["a", "b"]), VERSIONS),
    st.builds(DeleteAlias, st.just("m"), st.sampled_from(["a", "b"])),
    st.builds(TagVersion, st.just("m"), VERSIONS, st.just({"k": "v"})),
    st.builds(DeleteVersion, st.just("m"), VERSIONS),
    st.just(DeleteModel("m")),
    st.sampled_from([RenameModel("m", "n"), RenameModel("n", "m")]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PEOPLE, COMMANDS), max_size=60))
def test_no_order_of_commands_breaks_a_rule(asked: list[tuple[str, ModelCommand]]) -> None:
    model = evolve(Model(), decide(Model(), RegisterModel("m"), _context(0, "alice"))[0])
    log: list[ModelEvent] = []
    for n, (actor, command) in enumerate(asked, start=1):
        try:
            events = decide(model, command, _context(n, actor))
        except ModelogError:
            continue
        for event in events:
            name, version, payload = EVENTS.encode(event)
            assert EVENTS.decode(name, version, payload) == event
            model = evolve(model, event)
            log.append(event)
        _check_aliases_and_production(model)
    _check_four_eyes(log)
    _check_ways(log)
    registered = [e.version for e in log if isinstance(e, VersionRegistered)]
    assert len(registered) == len(set(registered)), "a version was registered twice"


def _context(n: int, actor: str) -> Context:
    return Context(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n), actor, "acme", f"request-{n}")


def _check_aliases_and_production(model: Model) -> None:
    """Aliases point to versions that are there, and nothing is deleted in production."""
    assert all(model.of(alias.version).gone is None for alias in model.aliases.values())
    assert all(v.gone is None for v in model.versions.values() if v.stage is Stage.PRODUCTION)
    assert [v.number for v in model.versions.values()] == list(range(1, len(model.versions) + 1))


def _check_four_eyes(log: list[ModelEvent]) -> None:
    """Production leans on an approval that came before, by someone else, that nobody had taken back."""
    for n, event in enumerate(log):
        if not (isinstance(event, VersionPromoted) and event.to_stage is Stage.PRODUCTION):
            continue
        before = [e for e in log[:n] if getattr(e, "version", "") == event.version]
        author = next(e.author for e in before if isinstance(e, VersionRegistered))
        reviews = [e for e in before if isinstance(e, VersionReviewed)]
        asked = [e for e in before if isinstance(e, ChangeReviewed) and e.change == event.change]
        people = {e.reviewer for e in reviews} | {e.by for e in asked}
        assert event.policy_version == 0 or len(people) > 1
        approvals = [(e.approval_id, e.reviewer) for e in reviews if e.decision is Decision.APPROVED]
        approvals += [(e.approval_id, e.by) for e in asked if e.decision is ChangeDecision.APPROVED]
        assert event.approval_id in dict(approvals)
        assert dict(approvals)[event.approval_id] != author
        if not event.change:
            assert reviews[-1].approval_id == event.approval_id
        else:
            _check_applied(log[:n], event, asked)


def _check_applied(before: list[ModelEvent], event: VersionPromoted, asked: list[ChangeReviewed]) -> None:
    """It was the request's time: applied in the same decision, once, on evidence that its approvers saw."""
    applied = [e for e in before if isinstance(e, ChangeApplied) and e.change == event.change]
    assert applied == before[-1:]
    opened = next(e for e in before if isinstance(e, ChangeRequested) and e.change == event.change)
    last = {e.by: e for e in asked}
    assert opened.by not in last
    assert all(e.decision is ChangeDecision.APPROVED for e in last.values())
    renewed = sum(isinstance(e, ChangeEvidenceAttached) and e.change == event.change for e in before)
    fresh = {by for by, e in last.items() if e.evidence_revision == renewed + 1}
    assert set(opened.reviewers) <= fresh


def _check_ways(log: list[ModelEvent]) -> None:
    """Every move starts where the last one ended and follows an allowed way."""
    stages: dict[str, Stage] = {}
    for event in log:
        if isinstance(event, VersionPromoted):
            assert event.from_stage is stages.get(event.version, Stage.DEVELOPMENT)
            assert event.to_stage in event.from_stage.following
            stages[event.version] = event.to_stage
