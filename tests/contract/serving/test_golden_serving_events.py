"""Every event that was ever stored is read and folded by today's code as it was when it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from modelog_common.events.types import UnknownEvent, spec_of
from modelog_serving.deployment.events import DeploymentEvent
from modelog_serving.events import EVENTS
from modelog_serving.failure.events import FailureEvent
from modelog_serving.learning.events import LearningEvent
from modelog_serving.release.events import ReleaseEvent
from modelog_serving.segment.events import PredictionsSealed
from modelog_serving.traffic.events import TrafficMeasured
from modelog_serving.trial.events import TrialEvent

HERE = Path(__file__).parent
FILES = sorted((HERE / "golden").glob("*.json"))


def load(name: str) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads((HERE / "golden" / name).read_text())
    return golden


def decode(golden: dict[str, Any]) -> Any:
    return EVENTS.decode(golden["type"], golden["version"], json.dumps(golden["payload"]).encode())


TYPES = [
    *get_args(DeploymentEvent),
    *get_args(ReleaseEvent),
    *get_args(FailureEvent),
    *get_args(LearningEvent),
    TrafficMeasured,
    PredictionsSealed,
    *get_args(TrialEvent),
]


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.__name__)
def test_every_version_of_every_type_has_a_golden_file(event_type: type) -> None:
    spec = spec_of(event_type)
    names = [f"{spec.name}.{version}.json" for version in range(1, spec.version + 1)]
    missing = [name for name in names if not (HERE / "golden" / name).exists()]
    assert not missing, f"run tests/contract/serving/write_serving_golden.py; there is no {', '.join(missing)}"
    assert spec.name in EVENTS


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_stored_event_is_folded_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import write_serving_golden

    golden = load(file.name)
    story = [decode(load(name)) for name in golden["before"]] + [decode(golden)]
    assert write_serving_golden.seen_after(story) == golden["seen"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_nothing_of_a_stored_event_is_lost(file: Path) -> None:
    golden = load(file.name)
    _, version, payload = EVENTS.encode(decode(golden))
    if version == golden["version"]:
        assert json.loads(payload) == golden["payload"]


def test_an_event_of_a_newer_release_is_not_guessed_at() -> None:
    with pytest.raises(UnknownEvent, match="written by a newer release"):
        EVENTS.decode("serving.TrafficSet", 99, b"{}")
