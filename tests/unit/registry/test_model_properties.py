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
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    ModelCommand,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
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
    st.builds(SetAlias, st.just("m"), st.sampled_from(["a", "b"]), VERSIONS),
    st.builds(DeleteAlias, st.just("m"), st.sampled_from(["a", "b"])),
    st.builds(TagVersion, st.just("m"), VERSIONS, st.just({"k": "v"})),
    st.builds(DeleteVersion, st.just("m"), VERSIONS),
    st.just(DeleteModel("m")),
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
        before = [e for e in log[:n] if isinstance(e, VersionRegistered | VersionReviewed)]
        author = next(e.author for e in before if isinstance(e, VersionRegistered) and e.version == event.version)
        reviews = [e for e in before if isinstance(e, VersionReviewed) and e.version == event.version]
        last = reviews[-1]
        assert event.policy_version == 0 or len({review.reviewer for review in reviews}) > 1
        assert last.decision is Decision.APPROVED
        assert last.approval_id == event.approval_id != ""
        assert last.reviewer != author


def _check_ways(log: list[ModelEvent]) -> None:
    """Every move starts where the last one ended and follows an allowed way."""
    stages: dict[str, Stage] = {}
    for event in log:
        if isinstance(event, VersionPromoted):
            assert event.from_stage is stages.get(event.version, Stage.DEVELOPMENT)
            assert event.to_stage in event.from_stage.following
            stages[event.version] = event.to_stage
