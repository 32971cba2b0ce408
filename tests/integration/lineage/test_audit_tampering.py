"""What the audit trail says when the store is no longer what was recorded, and that it survives kill -9."""

from __future__ import annotations

import asyncio
import base64
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from lineage_support import LineageProcess, Log, Person, Place, tell_story, until
from modelog_common.domain.errors import NotAllowed
from modelog_common.events.sqlite import SqliteEventStore
from modelog_lineage.audit.records import record_of
from modelog_lineage.audit.treefile import TreeFile
from modelog_proofs import MemoryHashStore, MerkleTree, event_hash, open_checkpoint, verify_consistency
from modelog_proto.common.v1 import common_pb2
from modelog_proto.lineage.v1 import lineage_pb2 as pb


async def checkpoint(person: Person) -> pb.Checkpoint:
    answer: pb.Checkpoint = await person.audit.GetCheckpoint(pb.GetCheckpointRequest())
    return answer


async def verify(person: Person) -> pb.AuditReport:
    answer: pb.AuditReport = await person.audit.VerifyAudit(pb.VerifyAuditRequest())
    return answer


async def recorded(place: Place) -> int:
    """Run the service until it has signed what is in the store; returns the size."""
    async with place.running():
        return (await checkpoint(place.person())).size


def alter(file: Path, statement: str, *arguments: object) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(statement, arguments)


async def test_one_flipped_bit_is_found_and_its_position_named(bare: Place, log: Log, story: dict[str, int]) -> None:
    await recorded(bare)
    await log.store.close()
    position = story["approved"]
    file = bare.folder / "events.db"
    with closing(sqlite3.connect(file)) as db:
        (payload,) = db.execute("SELECT payload FROM events WHERE position = ?", (position,)).fetchone()
    flipped = bytes([payload[20] ^ 1])
    alter(file, "UPDATE events SET payload = ? WHERE position = ?", payload[:20] + flipped + payload[21:], position)
    async with bare.running():
        alice = bare.person()
        report = await verify(alice)
        with pytest.raises(NotAllowed, match=f"the event at position {position} was altered after it was recorded"):
            await alice.audit.GetInclusionProof(pb.GetInclusionProofRequest(position=position))
        with pytest.raises(NotAllowed, match="do not give the root that was signed"):
            await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["audit"]))
        assert await verify(alice) == report, "the refused rebuild left the kept tree as it was"
    assert not report.intact
    assert report.first_altered == position
    assert report.events == story["archived"]
    assert any(f"The event at position {position} is the first that differs" in text for text in report.findings)


async def test_a_store_that_was_rolled_back_is_said_and_nothing_is_signed(bare: Place, log: Log) -> None:
    await log.append("registry.model/ModelRegistered", "m", name="m")
    await log.store.close()
    file, backup = bare.folder / "events.db", bare.folder / "backup.db"
    shutil.copy(file, backup)
    later = Log(await SqliteEventStore.open(file))
    await tell_story(later)
    size = await recorded(bare)
    await later.store.close()
    newest = bare.folder / "newest.db"
    shutil.move(file, newest)
    shutil.copy(backup, file)
    for left in bare.folder.glob("events.db-*"):
        left.unlink()
    async with bare.running():
        alice = bare.person()
        text = f"the event store ends at position 1, but {size} events were recorded"
        with pytest.raises(NotAllowed, match=text):
            await checkpoint(alice)

        async def said() -> bool:
            return text in (await alice.projection("audit")).error

        await until(said, "the status says so")
        report = await verify(alice)
        assert (await alice.audit.ListEvents(pb.ListEventsRequest())).head == 1, "the rest works"
    assert (report.intact, report.first_altered, report.events) == (False, 2, 1)
    assert f"The log ends at position 1, but {size} events were signed: the last {size - 1} are missing." in (
        report.findings
    )
    assert any(text in finding for finding in report.findings)
    shutil.move(newest, file)
    assert await recorded(bare) == size, "with the right store back, it goes on"


async def test_another_store_in_its_place_is_said_and_nothing_is_signed(bare: Place, log: Log) -> None:
    await tell_story(log)
    size = await recorded(bare)
    await log.store.close()
    for file in bare.folder.glob("events.db*"):
        file.unlink()
    other = Log(await SqliteEventStore.open(bare.folder / "events.db"))
    await tell_story(other)
    await tell_story_again(other)
    async with bare.running():
        alice = bare.person()
        with pytest.raises(NotAllowed, match=f"the event at position {size} is not the one that was recorded"):
            await checkpoint(alice)
        report = await verify(alice)
    assert (report.intact, report.first_altered) == (False, 1)
    await other.store.close()


async def tell_story_again(log: Log) -> None:
    await log.append("registry.model/ModelRegistered", "more", name="more")


async def test_a_store_with_a_hole_is_said(bare: Place, log: Log) -> None:
    for name in ("a", "b", "c", "d"):
        await log.append("registry.model/ModelRegistered", name, name=name)
    alter(bare.folder / "events.db", "DELETE FROM events WHERE position = 3")
    async with bare.running():
        with pytest.raises(NotAllowed, match="positions are missing in the event store after 0"):
            await checkpoint(bare.person())
        with pytest.raises(NotAllowed):
            await verify(bare.person())


async def test_a_kept_tree_that_was_altered_signs_nothing(bare: Place, log: Log, story: dict[str, int]) -> None:
    await recorded(bare)
    tree = bare.folder / "lineage" / "audit.db"
    alter(tree, "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND number = 0")
    await log.append("registry.model/ModelRegistered", "m", name="m")
    alter(tree, "UPDATE nodes SET hash = zeroblob(32) WHERE level = 4 AND number = 0")
    async with bare.running():
        with pytest.raises(NotAllowed, match="the kept tree does not extend the checkpoint that was signed last"):
            await checkpoint(bare.person())
        report = await verify(bare.person())
    assert not report.intact
    assert report.first_altered == 0, "the store itself is as it was"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda key: key.unlink(), "is gone; checkpoints were signed with modelog/"),
        (lambda key: key.chmod(0o644), "can be read by other users; run: chmod 600"),
        (lambda key: key.write_text("nonsense"), "cannot be used"),
        (lambda key: key.write_bytes(b"\xff"), "cannot be used"),
        (lambda key: _another(key), "is not the one that signed the checkpoints so far"),
    ],
    ids=["gone", "open to others", "nonsense", "no text", "another key"],
)
async def test_a_key_that_cannot_be_trusted_signs_nothing(
    bare: Place, log: Log, story: dict[str, int], spoil: object, text: str
) -> None:
    await recorded(bare)
    spoil(bare.folder / "lineage" / "audit-key")  # type: ignore[operator]
    async with bare.running():
        with pytest.raises(NotAllowed, match=text):
            await checkpoint(bare.person())
        report = await verify(bare.person())

        async def said() -> bool:
            return text in (await bare.person().projection("audit")).error

        await until(said, "the status says so")
    assert any(text in finding for finding in report.findings)


def _another(key: Path) -> None:
    from modelog_proofs import generate_key

    key.write_text(generate_key("modelog/00000000").text())


async def test_a_tree_file_that_is_damaged_is_said_and_the_service_stays_up(bare: Place, log: Log) -> None:
    await log.append("registry.model/ModelRegistered", "m", name="m")
    (bare.folder / "lineage").mkdir()
    (bare.folder / "lineage" / "audit.db").write_bytes(b"this is no database, not at all" * 100)
    async with bare.running():
        alice = bare.person()

        async def said() -> bool:
            return "audit.db cannot be used" in (await alice.projection("audit")).error

        await until(said, "the status says so")
        assert (await alice.audit.ListEvents(pb.ListEventsRequest())).head == 1


async def test_the_tree_goes_on_exactly_after_kill_9(process: LineageProcess, log: Log) -> None:
    appended = 0
    writing = True

    async def write() -> None:
        nonlocal appended
        while writing:
            appended = await log.append("registry.model/ModelRegistered", f"m{appended}", name="m")
            await asyncio.sleep(0.002)

    notes: list[pb.Checkpoint] = []
    task = asyncio.create_task(write())
    for _ in range(3):
        process.start()
        await process.ready()
        alice = process.person()
        notes.append(await checkpoint(alice))
        seen = appended

        async def moved(beyond: int = seen, person: Person = alice) -> bool:
            return (await person.projection("audit")).position > beyond

        await until(moved, "the tree follows the store")
        await process.close()
        process.kill()
    writing = False
    await task
    process.start()
    await process.ready()
    alice = process.person()
    last = await checkpoint(alice)
    assert last.size == appended
    for older in notes:
        proof = await alice.audit.GetConsistencyProof(
            pb.GetConsistencyProofRequest(old_size=older.size, new_size=last.size)
        )
        roots = [open_checkpoint(c.note, last.public_key).root for c in (older, last)]
        verify_consistency(older.size, roots[0], last.size, roots[1], [base64.b64decode(p) for p in proof.path])
    assert (await verify(alice)).intact
    await process.close()
    assert process.stop() == 0
    again = MerkleTree(MemoryHashStore())
    again.extend([event_hash(record_of(event)) async for event in log.store.read_all()])
    tree = TreeFile(process.folder / "lineage" / "audit.db")
    assert await tree.ask(lambda kept: kept.root(kept.size)) == again.root(appended)
    await tree.close()
