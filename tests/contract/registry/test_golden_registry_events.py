"""Every event that was ever stored is read and folded by today's code as it was when it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from modelog_common.events.types import UnknownEvent, spec_of
from modelog_registry.events import EVENTS, TYPES

HERE = Path(__file__).parent
FILES = sorted((HERE / "golden").glob("*.json"))


def load(name: str) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads((HERE / "golden" / name).read_text())
    return golden


def decode(golden: dict[str, Any]) -> Any:
    return EVENTS.decode(golden["type"], golden["version"], json.dumps(golden["payload"]).encode())


@pytest.fixture
def seen_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(HERE))
    import write_golden

    return write_golden.seen_after


def assert_still_said(now: Any, then: Any, where: str = "") -> None:
    """All that was answered then is answered now; an answer may have got more fields since."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            assert key in now, f"{where}.{key} is not answered any more"
            assert_still_said(now[key], value, f"{where}.{key}")
    elif isinstance(then, list) and isinstance(now, list):
        assert len(now) == len(then), where
        for n, value in enumerate(then):
            assert_still_said(now[n], value, f"{where}[{n}]")
    else:
        assert now == then, where


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.__name__)
def test_every_version_of_every_type_has_a_golden_file(event_type: type) -> None:
    spec = spec_of(event_type)
    missing = [
        f"{spec.name}.{version}.json"
        for version in range(1, spec.version + 1)
        if not (HERE / "golden" / f"{spec.name}.{version}.json").exists()
    ]
    assert not missing, f"run tests/contract/registry/write_golden.py; there is no {', '.join(missing)}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_stored_event_is_folded_as_it_was(file: Path, seen_after: Any) -> None:
    golden = load(file.name)
    story = [decode(load(name)) for name in golden["before"]] + [decode(golden)]
    assert_still_said(seen_after(golden["category"], story), golden["seen"])


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_nothing_of_a_stored_event_is_lost(file: Path) -> None:
    golden = load(file.name)
    _, version, payload = EVENTS.encode(decode(golden))
    if version == golden["version"]:
        again = json.loads(payload)
        assert {key: again.get(key) for key in golden["payload"]} == golden["payload"]


def test_an_event_of_a_newer_release_is_not_guessed_at() -> None:
    with pytest.raises(UnknownEvent, match="written by a newer release"):
        EVENTS.decode("registry.VersionPromoted", 99, b"{}")
