"""Every version of every event type that was ever written has a golden file and is read; no newer one is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from event_catalogue import GOLDEN, REGISTRIES, SPECS
from modelog_common.events.types import UnknownEvent, spec_of

SERVICE_OF = {name: name.partition(".")[0] for name in SPECS}


def test_every_event_type_belongs_to_its_service() -> None:
    strangers = [name for name in SPECS if name not in REGISTRIES.get(SERVICE_OF[name], ())]
    assert not strangers, f"declared with @event, but in no service's EventTypes: {strangers}"


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_version_of_every_type_was_kept(name: str) -> None:
    folder = Path(__file__).parents[1] / SERVICE_OF[name] / "golden"
    wanted = [f"{name}.{version}.json" for version in range(1, SPECS[name].version + 1)]
    missing = [file for file in wanted if not (folder / file).exists()]
    assert not missing, f"{folder} has no {', '.join(missing)}: write it with the folder's write_*golden*.py"


@pytest.mark.parametrize("file", GOLDEN, ids=lambda f: f.stem)
def test_what_was_ever_written_is_read_today(file: Path) -> None:
    golden = json.loads(file.read_text())
    assert file.name == f"{golden['type']}.{golden['version']}.json"
    assert golden["type"] in SPECS, f"{golden['type']} was written once; its type must stay declared"
    types = REGISTRIES[SERVICE_OF[golden["type"]]]
    event = types.decode(golden["type"], golden["version"], json.dumps(golden["payload"]).encode())
    assert spec_of(type(event)) == SPECS[golden["type"]]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_an_event_of_a_newer_release_is_refused_in_words(name: str) -> None:
    newest = SPECS[name].version
    golden = json.loads(next(f for f in GOLDEN if f.name == f"{name}.{newest}.json").read_text())
    newer = json.dumps({**golden["payload"], "added": True}).encode()
    with pytest.raises(UnknownEvent) as refused:
        REGISTRIES[SERVICE_OF[name]].decode(name, newest + 1, newer)
    told = f"{name} {newest + 1} was written by a newer release; this one reads up to {newest}"
    assert str(refused.value) == told
