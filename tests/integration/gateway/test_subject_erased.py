"""Subjects over REST are erased once; an erasure that is killed after any of its steps is finished."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotAllowed
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.privacy.keys import SUBJECT, Erasure
from modelog_common.privacy.masters import FileMasterKeys, new_master_key
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import ERASED, Subjects
from modelog_gateway.events import EVENTS
from modelog_gateway.handle.subjects import AskedAbout
from modelog_gateway.subject.decide import SUBJECTS
from small_platform import SmallPlatform

ADMIN = Context(datetime(2026, 1, 1, tzinfo=UTC), "admin", "acme", "request-1")
BEGUN = Erasure("acme", f"{SUBJECT}customer-17", "admin", ADMIN.now, "ticket 4711")


def test_a_subject_is_erased_once_and_stands_among_the_erased(http: httpx.Client) -> None:
    first = http.post("/api/v1/subjects/customer-17/erase", json={"reason": "ticket 4711"})
    assert first.status_code == 200, first.text
    told = first.json()
    assert (told["subject"], told["by"], told["reason"]) == ("subject/customer-17", "alice", "ticket 4711")
    assert http.post("/api/v1/subjects/customer-17/erase", json={"reason": "again"}).json() == told
    events = http.get("/api/v1/events", params={"type": "gateway.SubjectErased", "limit": 1000}).json()["events"]
    assert [e["payload"]["reason"] for e in events if e["payload"]["subject"] == "customer-17"] == ["ticket 4711"]
    assert told in http.get("/api/v1/erasures").json()["erasures"]


def test_what_is_wrong_with_an_erasure_is_named_and_only_an_admin_erases(
    platform: SmallPlatform, http: httpx.Client
) -> None:
    for path, body, field in (("c17", {}, "reason"), ("-c17", {"reason": "ticket"}, "subject")):
        answer = http.post(f"/api/v1/subjects/{path}/erase", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    headers = {"Authorization": f"Bearer {platform.token('eve', 'developer')}"}
    refused = httpx.post(
        f"{platform.url}/api/v1/subjects/c17/erase", json={"reason": "spite"}, headers=headers, timeout=150
    )
    assert refused.status_code == 403


@dataclass
class Part:
    """The part of a gateway that erases subjects, in a folder that several may use."""

    store: SqliteEventStore
    subjects: Subjects

    @property
    def asked_about(self) -> AskedAbout:
        return AskedAbout(Entities(self.store, SUBJECTS, EVENTS), self.subjects)

    async def told(self) -> list[tuple[str, str, datetime]]:
        found = [EVENTS.decode(e.type, e.schema, e.payload) async for e in self.store.read_all()]
        return [(e.subject, e.by, e.at) for e in found]


@pytest.fixture
async def part(tmp_path: Path) -> AsyncIterator[Part]:
    key = tmp_path / "master.key"
    key.touch(0o600)
    key.write_text(new_master_key())
    store = await SqliteEventStore.open(tmp_path / "events.db", SystemClock())
    subjects = Subjects(SqliteKeyStore(tmp_path / "keys.db"), FileMasterKeys(key))
    yield Part(store, subjects)
    await subjects.close()
    await store.close()


async def test_an_erasure_that_was_killed_before_its_event_is_finished_once(part: Part) -> None:
    sealed = await part.subjects.seal("acme", BEGUN.subject, "field", "a text")
    await part.subjects.destroy(BEGUN)
    assert (await part.subjects.open("field", sealed), await part.told()) == (ERASED, [])
    for _ in range(2):
        await part.asked_about.finish_erasures(part.store)
        assert await part.told() == [("customer-17", "admin", ADMIN.now)]
    assert await part.asked_about.erase("customer-17", "asked again", ADMIN) == BEGUN
    assert len(await part.told()) == 1


async def test_a_key_that_came_back_is_destroyed_again(part: Part, tmp_path: Path) -> None:
    await part.asked_about.erase("customer-17", "ticket 4711", ADMIN)
    other = Subjects(SqliteKeyStore(tmp_path / "restored.db"), FileMasterKeys(tmp_path / "master.key"))
    try:
        sealed = await other.seal("acme", BEGUN.subject, "field", "a text")
        restored = Part(part.store, other)
        await restored.asked_about.finish_erasures(part.store)
        assert await other.open("field", sealed) == ERASED
        with pytest.raises(NotAllowed, match="subject/customer-17 was erased"):
            await other.seal("acme", BEGUN.subject, "field", "a text")
        assert len(await part.told()) == 1
    finally:
        await other.close()
