"""Every event of the gateway that was ever stored is read and folded by today's code as it was when it was written."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from modelog_common.domain.decider import Decider
from modelog_common.events.types import UnknownEvent, spec_of
from modelog_gateway.events import EVENTS
from modelog_gateway.subject.decide import SUBJECTS
from modelog_gateway.subject.events import SubjectErased, SubjectEvent
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import UserEvent

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return golden


def decode(golden: dict[str, Any]) -> Any:
    return EVENTS.decode(golden["type"], golden["version"], json.dumps(golden["payload"]).encode())


@pytest.mark.parametrize("event_type", [*get_args(UserEvent), SubjectEvent], ids=lambda t: t.__name__)
def test_every_version_of_every_type_has_a_golden_file(event_type: type) -> None:
    spec = spec_of(event_type)
    names = [f"{spec.name}.{version}.json" for version in range(1, spec.version + 1)]
    assert [n for n in names if not (GOLDEN / n).exists()] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_stored_event_is_folded_as_it_was(file: Path) -> None:
    golden = load(file.name)
    story = [decode(load(name)) for name in golden["before"]] + [decode(golden)]
    decider: Decider[Any, Any, Any] = SUBJECTS if isinstance(story[-1], SubjectErased) else USERS
    assert json.loads(msgspec.json.encode(reduce(decider.evolve, story, decider.initial()))) == golden["seen"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_nothing_of_a_stored_event_is_lost(file: Path) -> None:
    golden = load(file.name)
    name, version, payload = EVENTS.encode(decode(golden))
    assert name == golden["type"]
    if version == golden["version"]:
        again = json.loads(payload)
        assert {key: again.get(key) for key in golden["payload"]} == golden["payload"]


def test_an_event_of_a_newer_release_is_not_guessed_at() -> None:
    with pytest.raises(UnknownEvent, match="written by a newer release"):
        EVENTS.decode("gateway.UserCreated", 99, b"{}")
