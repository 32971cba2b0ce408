"""Exports: every event comes back with the same hash, and whatever is wrong in a file is told by line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_proofs import (
    EventRecord,
    ExportFile,
    UnreadableStore,
    event_hash,
    export_line,
    read_export_line,
    verify_store,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps(value, indent=2, ensure_ascii=False).encode()),
    st.binary(max_size=60),
    st.sampled_from([b"NaN", b" {}", b"1" * 5000, b'{"a": 1.0, "a": 2}', b"[" * 3000, b"{}}", b"{},{}"]),
)
RECORDS = st.builds(
    EventRecord,
    position=st.integers(1, 2**62), event_id=TEXT, stream=TEXT, version=st.integers(1, 2**40), type=TEXT,
    schema=st.integers(0, 2**31), recorded_at=TEXT, tenant=TEXT, actor=TEXT, correlation=TEXT, causation=TEXT,
    trace=TEXT, payload=PAYLOADS,
)  # fmt: skip


def write(path: Path, events: list[EventRecord]) -> Path:
    lines = b"".join(map(export_line, events))
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def read(path: Path) -> list[EventRecord]:
    with ExportFile(path) as file:
        return list(file.events())


@given(RECORDS)
def test_every_event_comes_back_with_the_same_hash(record: EventRecord) -> None:
    line = export_line(record)
    assert line.count(b"\n") == 1
    again = read_export_line(line, 1)
    assert again == record
    assert event_hash(again) == event_hash(record)


def test_a_line_is_a_cloud_event(events: list[EventRecord]) -> None:
    line = json.loads(export_line(events[0]))
    assert line["specversion"] == "1.0"
    assert (line["id"], line["source"], line["type"]) == ("0190-00000001", "/modelog", "registry.VersionRegistered")
    assert (line["subject"], line["time"]) == ("registry.model-m1", "2013-02-01T01:00:00.000000Z")
    assert (line["position"], line["version"], line["schema"]) == ("1", "1", 1)
    assert line["data"] == {"flight": "UA0001", "delay_min": 1.5}
    # Names of extensions have lower-case letters and digits only, and integers have 32 bits (CloudEvents 1.0.2, 3.1).
    assert all(name.isalnum() and name.islower() for name in line if name != "data_base64")


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_an_export_is_verified_as_the_store_is(
    tmp_path: Path, name: str, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    report = verify_store(write(tmp_path / name, events), checkpoint, public_key)
    assert report.ok, report.text()
    assert (report.events_read, report.computed_root) == (60, report.signed_root)


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_a_file_that_is_cut_off_is_said(
    tmp_path: Path, name: str, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    path = write(tmp_path / name, events)
    whole = path.read_bytes()
    for cut in range(len(whole) // 3, len(whole), len(whole) // 37):
        path.write_bytes(whole[:cut])
        assert not verify_store(path, checkpoint, public_key).ok
    path.write_bytes(whole[:-10])
    with pytest.raises(UnreadableStore, match=r"line (60|61)( is cut off|: the file is damaged or cut off)"):
        read(path)


def test_a_file_that_is_cut_between_lines_lacks_events(
    tmp_path: Path, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    report = verify_store(write(tmp_path / "log.jsonl", events[:50]), checkpoint, public_key)
    assert report.failures == ("The log ends at position 50, but 60 events were signed: the last 10 are missing.",)


def test_every_changed_field_is_found(
    tmp_path: Path, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    for name in ("id", "type", "subject", "time", "tenant", "actor", "correlation", "causation", "trace", "data"):
        lines = [json.loads(export_line(e)) for e in events]
        lines[30][name] = "changed"
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert not verify_store(path, checkpoint, public_key).ok, name


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"time": None}, "line 7: time must be text, it is None"),
        ({"time": ...}, "line 7: time is missing"),
        ({"data": ...}, "line 7: data is missing"),
        ({"data_base64": "e30="}, "line 7: data is missing; there must be either data or data_base64"),
        ({"position": 1}, "line 7: position must be text, it is 1"),
        ({"position": "01"}, "line 7: position must be a decimal number from 1"),
        ({"version": "0"}, "line 7: version must be a decimal number from 1"),
        ({"schema": True}, "line 7: schema must be an integer, it is True"),
        ({"specversion": "2.0"}, "line 7: specversion must be '1.0', it is '2.0'"),
        ({"source": "/other"}, "line 7: source must be '/modelog'"),
        ({"extra": 1}, "line 7 holds the unknown 'extra'"),
        ({"actor": "\ud800"}, "line 7: actor is not valid UTF-8 text"),
    ],
)
def test_a_wrong_field_is_named(events: list[EventRecord], change: dict[str, Any], text: str) -> None:
    line = {**json.loads(export_line(events[0])), **change}
    kept = {name: value for name, value in line.items() if value is not ...}
    with pytest.raises(UnreadableStore) as refused:
        read_export_line(json.dumps(kept).encode() + b"\n", 7)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\n", "line 3 is not a JSON object"),
        (b"[]\n", "line 3 is not a JSON object"),
        (b"{}\n", "line 3 is not a JSON object"),
        (b'{"id":"a","id":"b"}\n', "id stands in it twice"),
        (b'{"id":"a"} {"id":"b"}\n', "something follows the object"),
        (b'{"id":"a"\n', "',' is missing"),
        (b'{"id":NaN}\n', "NaN is not JSON"),
        (b"\xff\n", "line 3 is not UTF-8 text at byte 0"),
        (b"[" * 100_000 + b"\n", "line 3 is not a JSON object"),
        (b'{"id":"a"}', "line 3 is cut off"),
    ],
)
def test_a_line_that_is_no_event_is_said(line: bytes, text: str) -> None:
    with pytest.raises(UnreadableStore) as refused:
        read_export_line(line, 3)
    assert text in str(refused.value)


def test_a_missing_or_moved_line_is_said(tmp_path: Path, events: list[EventRecord]) -> None:
    with pytest.raises(UnreadableStore, match="line 11: position is 12; after 10 comes 11"):
        read(write(tmp_path / "gap.jsonl", events[:10] + events[11:]))
    with pytest.raises(UnreadableStore, match="line 2: position is 1; after 2 comes 3"):
        read(write(tmp_path / "moved.jsonl", [events[1], events[0]]))
    with pytest.raises(UnreadableStore, match=r"none\.jsonl"):
        read(tmp_path / "none.jsonl")
