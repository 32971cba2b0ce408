"""Monitors: what makes one, when a window raises an alert, and what quality is held against."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from modelog_common.domain.errors import AlreadyExists, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_monitoring.monitor.commands import CreateMonitor, Findings, MoveReference, RecordDelivery, RecordWindow
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.monitor.events import (
    AlertDelivered,
    AlertKind,
    AlertRaised,
    Channel,
    ChannelKind,
    DatasetRef,
    DriftLimits,
    FeatureFigures,
    MonitorCreated,
    QualityFigures,
    ReferenceMoved,
    WindowEvaluated,
)
from modelog_monitoring.monitor.window import WindowUnit, window_at

HOOK = Channel(ChannelKind.WEBHOOK, "http://hook")
CREATE = CreateMonitor(
    name="flights",
    deployment="flights",
    model="flight-delay",
    champion="1.0.0",
    reference=(DatasetRef("flights", 1),),
    profile_digest="d" * 64,
    window=WindowUnit.MONTH,
    label_column="late",
    channels=(HOOK,),
    reference_auc=0.75,
    reference_log_loss=0.47,
)
MONITOR_ID = derived_id("acme", "flights")
CREATED = MonitorCreated(
    MONITOR_ID, "flights", "flights", "flight-delay", "1.0.0", CREATE.reference, "d" * 64, "late", WindowUnit.MONTH,
    0.0, DriftLimits(), 0.02, (HOOK,), 0.75, 0.47, "alice", NOW,
)  # fmt: skip
APRIL = window_at(WindowUnit.MONTH, datetime(2013, 4, 10, tzinfo=UTC))
WINDOW_ID = derived_id("window", MONITOR_ID, APRIL.start.isoformat())


def feature(name: str, *, drifted: bool = False, effect: float = 0.01) -> FeatureFigures:
    return FeatureFigures(name, "ks", effect, 0.5, 0.6, effect, 0.01, drifted, 0.0, 0.0)


def quality(auc: float | None, margin: float = 0.01, rows: int = 1000) -> QualityFigures:
    low, high = (None, None) if auc is None else (auc - margin, auc + margin)
    return QualityFigures(rows, auc, low, high, 0.5, 0.2, 0.2)


def findings(whole: QualityFigures | None = None, *, drifted: int = 0, **by_version: QualityFigures) -> Findings:
    features = tuple(feature(f"f{n}", drifted=n < drifted, effect=0.3 + n / 10) for n in range(10))
    versions = {name.replace("_", ".").lstrip("v"): figures for name, figures in by_version.items()}
    return Findings(1000, 900, {"1.0.0": 1000}, features, whole, versions)


def evaluated(found: Findings, **changes: Any) -> WindowEvaluated:
    drifted = sum(f.drifted for f in found.features)
    fields: dict[str, Any] = {
        "judged": "", "reference_auc": 0.75, "drift_alert": False, "quality_alert": False, "note": "", "at": NOW,
    }  # fmt: skip
    fields |= changes
    return WindowEvaluated(
        MONITOR_ID, "flights", WINDOW_ID, "2013-04", APRIL.start, APRIL.end, found.predictions, found.labelled,
        dict(found.predictions_by_version), found.features, drifted, found.quality, dict(found.by_version), **fields,
    )  # fmt: skip


def alert(kind: AlertKind, text: str) -> AlertRaised:
    return AlertRaised(
        derived_id("alert", WINDOW_ID, kind), MONITOR_ID, "flights", WINDOW_ID, "2013-04", kind, text, NOW
    )


def test_a_monitor_is_created_once() -> None:
    scenario(MONITOR, when=CREATE, then=[CREATED])
    scenario(MONITOR, given=[CREATED], when=CREATE, then=[])
    scenario(MONITOR, given=[CREATED], when=replace(CREATE, champion="1.1.0"), by="bob", then=[])


def test_another_definition_under_the_same_name_is_refused() -> None:
    scenario(
        MONITOR,
        given=[CREATED],
        when=replace(CREATE, auc_loss=0.05),
        refused="monitor 'flights' exists already with another definition; alice created it",
        error=AlreadyExists,
    )


def test_nothing_can_be_told_to_a_monitor_that_does_not_exist() -> None:
    scenario(MONITOR, when=RecordWindow(APRIL, findings()), refused="there is no such monitor", error=NotFound)


def test_a_quiet_window_raises_nothing() -> None:
    found = findings(quality(0.745))
    scenario(MONITOR, given=[CREATED], when=RecordWindow(APRIL, found), then=[evaluated(found)])


def test_a_window_counts_once() -> None:
    found = findings(quality(0.7), drifted=3)
    scenario(MONITOR, given=[CREATED, evaluated(found)], when=RecordWindow(APRIL, found), then=[])


def test_drift_names_the_features_that_drifted_most() -> None:
    found = findings(quality(0.75), drifted=4)
    text = (
        "flights, 2013-04: 4 of 10 features drifted from the reference; most of all "
        "f3 (KS distance 0.60), f2 (KS distance 0.50), f1 (KS distance 0.40)"
    )
    then = [evaluated(found, drift_alert=True), alert(AlertKind.DRIFT, text)]
    scenario(MONITOR, given=[CREATED], when=RecordWindow(APRIL, found), then=then)


@pytest.mark.parametrize(("drifted", "raised"), [(4, False), (5, True)])
def test_an_alert_can_ask_for_a_share_of_the_features(drifted: int, raised: bool) -> None:
    created = msgspec.structs.replace(CREATED, drift=DriftLimits(feature_share=0.5))
    state = MONITOR.evolve(MONITOR.initial(), created)
    events = MONITOR.decide(state, RecordWindow(APRIL, findings(drifted=drifted)), context())
    assert [e.drift_alert for e in events if isinstance(e, WindowEvaluated)] == [raised]


def test_a_large_loss_of_quality_beyond_chance_is_told() -> None:
    found = findings(quality(0.7))
    text = (
        "flights, 2013-04: the AUC of flight-delay is 0.700 (95 % interval 0.690 to 0.710), "
        "0.050 below the reference 0.750; 0.02 is allowed"
    )
    then = [evaluated(found, quality_alert=True), alert(AlertKind.QUALITY, text)]
    scenario(MONITOR, given=[CREATED], when=RecordWindow(APRIL, found), then=then)


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(quality(0.735, 0.001), id="sure but small"),
        pytest.param(quality(0.65, 0.11), id="large but perhaps chance"),
        pytest.param(quality(None), id="no AUC"),
        pytest.param(None, id="no labels"),
    ],
)
def test_no_other_loss_is_told(whole: QualityFigures | None) -> None:
    found = findings(whole)
    scenario(MONITOR, given=[CREATED], when=RecordWindow(APRIL, found), then=[evaluated(found)])


def test_the_champion_is_judged_by_its_own_rows() -> None:
    """A canary that does badly is not the champion's loss, and one that does well does not hide it."""
    fine = findings(quality(0.70), v1_0_0=quality(0.75), v1_1_0=quality(0.5))
    scenario(MONITOR, given=[CREATED], when=RecordWindow(APRIL, fine), then=[evaluated(fine, judged="1.0.0")])
    bad = findings(quality(0.75), v1_0_0=quality(0.7), v1_1_0=quality(0.9))
    state = scenario_state([CREATED], RecordWindow(APRIL, bad))
    assert [e.quality_alert for e in state if isinstance(e, WindowEvaluated)] == [True]


def test_all_rows_are_judged_where_the_champion_answered_too_few() -> None:
    found = findings(quality(0.7), v1_0_0=quality(None, rows=1), v1_1_0=quality(0.7))
    events = scenario_state([CREATED], RecordWindow(APRIL, found))
    assert [(e.judged, e.quality_alert) for e in events if isinstance(e, WindowEvaluated)] == [("", True)]


def scenario_state(given: list[Any], when: Any) -> list[Any]:
    """The events that follow."""
    state = MONITOR.initial()
    for event in given:
        state = MONITOR.evolve(state, event)
    return list(MONITOR.decide(state, when, context()))


def test_without_a_reference_the_first_window_with_labels_becomes_it() -> None:
    created = msgspec.structs.replace(CREATED, reference_auc=0.0, reference_log_loss=0.0)
    first, second = scenario_state([created], RecordWindow(APRIL, findings(quality(0.7), v1_0_0=quality(0.72))))
    assert isinstance(first, WindowEvaluated)
    assert isinstance(second, ReferenceMoved)
    assert (second.version, second.auc, second.rows) == ("1.0.0", 0.72, 1000)
    assert "2013-04 is the first window with labels" in second.reason
    moved = [created, first, second]
    later = scenario_state(moved, RecordWindow(APRIL.next(), findings(quality(0.6))))
    assert [e.reference_auc for e in later if isinstance(e, WindowEvaluated)] == [0.72]
    assert any(isinstance(e, AlertRaised) for e in later)


def test_a_new_champion_brings_its_own_reference() -> None:
    move = MoveReference("1.1.0", 0.78, 0.45, 10_000, "it replaced 1.0.0")
    moved = ReferenceMoved(MONITOR_ID, "flights", "1.1.0", 0.78, 0.45, 10_000, "it replaced 1.0.0", NOW)
    state = scenario(MONITOR, given=[CREATED], when=move, then=[moved])
    assert (state.champion, state.reference_auc, state.reference_log_loss) == ("1.1.0", 0.78, 0.45)


def test_a_delivery_is_recorded_once() -> None:
    raised = alert(AlertKind.DRIFT, "drift")
    delivered = AlertDelivered(raised.alert_id, MONITOR_ID, "flights", HOOK.name, 2, NOW)
    record = RecordDelivery(raised.alert_id, HOOK.name, 2)
    state = scenario(MONITOR, given=[CREATED, raised], when=record, then=[delivered])
    assert state.alerts[raised.alert_id].delivered == {"webhook http://hook"}
    scenario(MONITOR, given=[CREATED, raised, delivered], when=record, then=[])
    scenario(MONITOR, given=[CREATED], when=record, refused="has raised no alert", error=NotFound)
