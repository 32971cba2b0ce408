"""An erased person's plain text is in no byte of any store of a running platform; what is not personal is found there.

Personal texts are sealed before they are stored, so none is found before the erasure either; that the search would
find them is shown with a text of the same kind in a field that is not personal.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import modelog
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from plain_text import forms, traces, traces_in
from running_platform import RunningPlatform, until


class Places(NamedTuple):
    """The folders that are searched, and parts of the names of files that hold what is public."""

    folders: list[Path]
    public: set[str]

    def holding(self, text: str) -> list[str]:
        return [f"{folder.name}/{place}" for folder in self.folders for place in traces(folder, text)]


@pytest.fixture(scope="module")
def places(own: RunningPlatform) -> Places:
    return Places([own.folder], {"data/data/events.db", "data/data/registry/tables.db"})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform that logs as much as it can."""
    own = RunningPlatform(tmp_path_factory.mktemp("erasure"))
    own.environment["MODELOG_LOG_LEVEL"] = "debug"
    own.up()
    yield own
    own.down()


@pytest.mark.parametrize("name", forms("Zoë Unmistakable"))
def test_the_search_finds_each_form_of_a_text(tmp_path: Path, name: str) -> None:
    text = "Zoë Unmistakable"
    (tmp_path / "store").write_bytes(b"\x00\x01before" + forms(text)[name] + b"after\xff")
    assert f"store ({name})" in list(traces(tmp_path, text))
    (tmp_path / "store").write_bytes(b"nothing of the kind")
    assert list(traces(tmp_path, text)) == []


def test_a_text_inside_base64_is_found_wherever_it_begins() -> None:
    for before in (b"", b"1", b"12", b"123"):
        assert traces_in(base64.b64encode(before + b"Zoe Unmistakable" + b"xyz"), "Zoe Unmistakable")


def test_no_byte_of_an_erased_persons_data_is_left(own: RunningPlatform, places: Places) -> None:
    mark = uuid4().hex[:12]
    full_name, email = f"Zoë Unmistakable {mark}", f"zoë.{mark}@unmistakable.example"
    changed_name, public = f"Zoë Changed {mark}", f"Zoë Public {mark}"
    refused = f"zoë.{mark}.unmistakable.example"
    personal = (full_name, email, changed_name, refused)
    with own.client() as admin:
        created = admin.users.create("zoe", ["developer"], full_name=full_name, email=email)
        _refused(own, refused, full_name)
        admin.models.create("zoes-model", public)
        changed = admin.users.describe("zoe", full_name=changed_name, email=email)
        assert _seen(admin) == (changed_name, email)
        assert _seen(admin, created.position) == (full_name, email)
        admin.users.rotate_master_key()
        assert _seen(admin, created.position) == (full_name, email)
        head = own.until_projected()

        # What is public is found where it was put, by the same search.
        found = places.holding(public)
        assert [name for name in places.public if not any(name in place for place in found)] == []
        # What is personal is sealed from the first moment on.
        topics = until("the events are in the topics", lambda: _published(own, public, "gateway.UserDescribed"))
        for text in personal:
            assert places.holding(text) == []
            assert traces_in(topics, text) == []
        assert b'"zoe"' in topics
        assert b"ciphertext" in topics

        own.cli("user", "erase", "zoe", "--reason", "ticket 4711", "--yes")
        own.until_projected()
        for moment in (None, head, changed.position, created.position):
            assert _seen(admin, moment) == ("[erased]", "[erased]")

    own.down()
    own.up()
    own.cli("rebuild", timeout_s=600)
    with own.client() as admin:
        own.until_projected()
        for moment in (None, head, changed.position, created.position):
            assert _seen(admin, moment) == ("[erased]", "[erased]")
        report = admin.audit.verify()
        assert report.intact, report.findings
        seen = json.dumps([e.to_dict() for e in admin.audit.events(limit=1000)], default=str, ensure_ascii=False)
    everything = _topics(own) + seen.encode()
    for text in personal:
        assert places.holding(text) == []
        assert traces_in(everything, text) == []
    with own.client() as admin:
        model = admin.models.get("zoes-model")
        assert model.description == public


def _seen(client: modelog.Client, as_of: int | None = None) -> tuple[str, str]:
    users = client.users.list(as_of=None if as_of is None else str(as_of))
    return next((u.full_name, u.email) for u in users if u.name == "zoe")


def _refused(own: RunningPlatform, email: str, full_name: str) -> None:
    """Personal data that is refused must not get into logs or dead letters either."""
    headers = {"Authorization": f"Bearer {own.profile['users']['admin']}"}
    for body in (
        {"email": email},
        {"full_name": f"{full_name}\n"},
        {"full_name": [full_name]},
        {"full_name": full_name, "roles": ["king"]},
    ):
        answer = httpx.post(
            f"{own.endpoints['web']}/api/v1/users",
            json={"name": "refused", "roles": ["viewer"], **body},
            headers=headers,
            timeout=150,
        )
        assert answer.status_code == 400, answer.text


def _published(own: RunningPlatform, *texts: str) -> bytes:
    """Everything in the topics, once all of these texts are there; empty before."""
    topics = _topics(own)
    return topics if all(traces_in(topics, text) for text in texts) else b""


def _topics(own: RunningPlatform) -> bytes:
    """Everything that the broker holds, of every topic: keys, headers and values."""
    settings = {"bootstrap.servers": own.endpoints["kafka"], "group.id": str(uuid4()), "log_level": 0}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    found = bytearray()
    try:
        for name, topic in consumer.list_topics(timeout=60).topics.items():
            for number in topic.partitions:
                consumer.assign([TopicPartition(name, number, 0)])
                found += _read(consumer)
    finally:
        consumer.close()
    return bytes(found)


def _read(consumer: Consumer) -> bytes:
    """What is in the one partition that the consumer has."""
    found = bytearray()
    while (message := consumer.poll(150.0)) is not None:
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            return bytes(found)
        headers = b"".join(bytes(value or b"") for _, value in message.headers() or [])
        found += (message.key() or b"") + headers + (message.value() or b"")
    raise AssertionError("the broker did not say that the partition ended")
