"""A backup is one state of the log, whoever writes meanwhile; what is restored was verified, or is not there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from log_support import everything, fill, new_event, open_store, root_of
from modelog_common.domain.clock import ManualClock, SystemClock
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable
from modelog_common.events.sqlite import SqliteEventStore
from modelog_lineage.app import KEY_FILE, TREE_FILE
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.treefile import TreeFile
from modelog_platform.log import backup
from modelog_platform.log.backup import Made, Source
from modelog_platform.log.files import copy_database
from modelog_platform.log.restore import Target, choose, failures, restore
from modelog_proofs import open_checkpoint
from modelog_proofs.keys import encode_base64
from modelog_serving.predlog import bodies, file
from modelog_serving.predlog import log as prediction_log
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.bodies import BodyFiles
from modelog_serving.predlog.log import PredictionLog

WRITERS = 4

# Of the process that decides, and of a worker.
PREDICTIONS = ("serving/predictions.db", "serving/workers/2/predictions.db")


def quiet(what: str, done: int, total: int) -> None:
    pass


class Place:
    """A data directory with a log, blobs, databases and secrets, as a platform leaves it."""

    def __init__(self, root: Path, store: SqliteEventStore) -> None:
        self.root, self.store = root, store
        self.source = Source(root / "data", root / "secrets")
        self.backups = root.parent / "backups"
        self.restored = root.parent / "restored"

    async def back_up(self, until: int | None = None, *, secrets: bool = True) -> Made:
        source = self.source if secrets else Source(self.source.data, None)
        return await backup.create(self.store, source, self.backups, until, quiet)

    async def sign(self) -> AuditLog:
        lineage = self.source.data / "lineage"
        tree = TreeFile(lineage / TREE_FILE)
        audit = AuditLog(self.store, tree, lineage / KEY_FILE, SystemClock())
        await audit.checkpoint()
        await tree.close()
        return audit

    def blob(self, content: bytes) -> Path:
        digest = hashlib.sha256(content).hexdigest()
        file = self.source.data / "blobs" / "tenant" / digest[:2] / digest[2:4] / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file.relative_to(self.source.data)

    async def restore(self, until: int | None = None, **more: object) -> int:
        target = Target(self.restored, until=until, **more)  # type: ignore[arg-type]
        return await restore(choose(self.backups, until), target, "", quiet)

    async def restored_events(self) -> list[object]:
        store = await open_store(self.restored / "data" / "events.db")
        found = await everything(store)
        await store.close()
        return list(found)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    root = tmp_path / "platform"
    (root / "secrets").mkdir(parents=True)
    (root / "secrets" / "admin.token").write_text("secret")
    store = await open_store(root / "data" / "events.db")
    await fill(store, 30)
    for number, log in enumerate(PREDICTIONS, 7):
        (root / "data" / log).parent.mkdir(parents=True)
        with closing(sqlite3.connect(root / "data" / log)) as db, db:
            db.execute("CREATE TABLE batch (sequence INTEGER)")
            db.execute("INSERT INTO batch VALUES (?)", (number,))
    place = Place(root, store)
    place.blob(b"a model")
    yield place
    await store.close()


async def test_a_platform_comes_back_as_it_was(place: Place) -> None:
    await place.sign()
    made = await place.back_up()
    assert (made.position, made.is_signed, made.blobs, made.copied) == (30, True, 1, 1)
    assert await place.restore() == 30
    assert await place.restored_events() == await everything(place.store)
    data = place.restored / "data"
    assert (data / place.blob(b"a model")).read_bytes() == b"a model"
    for number, log in enumerate(PREDICTIONS, 7):
        with closing(sqlite3.connect(data / log)) as db:
            assert db.execute("SELECT sequence FROM batch").fetchall() == [(number,)]
    assert (place.restored / "secrets" / "admin.token").read_text() == "secret"
    assert (place.restored / "secrets").stat().st_mode & 0o077 == 0
    assert not (data / "lineage" / KEY_FILE).exists(), "a restored log signs with a key of its own"
    assert not place.restored.with_name("restored.part").exists()


async def test_predictions_that_are_in_the_journal_yet_come_back_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "GATHER_S", 3600)
    path = place.root / "data" / "serving" / "predictions.db"
    path.unlink()
    one = np.zeros((1, 1), np.float32)
    by = [Answerer("1.0.0", "a" * 64)]
    log = await PredictionLog.open(path, ManualClock())
    await log.append(
        Answers("acme", "d", "m", ["in the journal"], [1], (), by, np.zeros(1, np.uint8), ["x"], one, one, False)
    )
    await place.back_up()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM batch").fetchone() == (0,)
    await log.close()
    await place.restore()
    again = await PredictionLog.open(place.restored / "data" / "serving" / "predictions.db", ManualClock())
    assert await again.find("acme", "d", "in the journal") is not None
    await again.close()


def many(name: str) -> Answers:
    """Answers whose batch lies beside the database."""
    rows = 400
    numbers = np.full((rows, 20), len(name), np.float32)
    by = [Answerer("1.0.0", "a" * 64)]
    ids, names = [f"{name}.{row}" for row in range(rows)], [f"f{n}" for n in range(20)]
    return Answers("acme", "d", "m", ids, [1] * rows, (), by, np.zeros(rows, np.uint8), names, numbers, numbers[:, :1])


async def test_predictions_that_lie_beside_their_database_come_back_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.root / "data" / "serving" / "predictions.db"
    path.unlink()
    log = await PredictionLog.open(path, ManualClock())
    log._in_file._most_file_bytes = 1
    for name in ("dropped", "kept"):
        await log.append(many(name))
    copied = []

    def copy(source: Path, target: Path) -> None:
        copy_database(source, target)
        if source == path:
            copied.append(source)
        if len(copied) == 1:
            # What the copy names goes, and something comes, before the bodies are copied.
            with closing(file.connect(path)) as db:
                drop_first(db)

    monkeypatch.setattr(backup, "copy_database", copy)
    await place.back_up()
    assert len(copied) == 2
    await log.close()
    await place.restore()
    restored = place.restored / "data" / "serving" / "predictions.db"
    assert [each.name for each in BodyFiles(restored).folder.iterdir()] == ["0000000002"]
    again = await PredictionLog.open(restored, ManualClock())
    found = await again.find("acme", "d", "kept.399")
    assert found is not None
    assert found.features.tolist() == [4.0] * 20
    await again.close()


def drop_first(db: bodies.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    for table in ("batch", "prediction"):
        db.execute(f"DELETE FROM {table} WHERE sequence = 1")
    bodies.forget(db, [1])
    db.execute("COMMIT")
    db.beside.ended(committed=True)


async def test_predictions_whose_bodies_are_lost_are_not_backed_up_as_if_they_were_there(place: Place) -> None:
    path = place.root / "data" / "serving" / "predictions.db"
    path.unlink()
    log = await PredictionLog.open(path, ManualClock())
    await log.append(many("lost"))
    await log.close()
    shutil.rmtree(BodyFiles(path).folder)
    with pytest.raises(Unavailable, match=r"predictions\.db names bodies that are not in .*predictions\.db\.bodies"):
        await place.back_up()


async def test_a_backup_while_four_writers_write_is_one_state(place: Place) -> None:
    path = place.store.path
    stop = asyncio.Event()

    async def write(number: int) -> None:
        store = await SqliteEventStore.open(path)
        n = 0
        while not stop.is_set():
            await store.append(f"test.writer-{number}", [new_event(n), new_event(n + 1)])
            n += 2
        await store.close()

    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(write(number))
        made = []
        for _ in range(3):
            before = await place.store.head()
            await place.store.wait_beyond(before + 50, 150)
            made.append(await place.back_up())
        stop.set()
    positions = [m.position for m in made]
    assert positions == sorted(positions)
    for one in made:
        assert one.root == encode_base64(root_of(await everything(place.store, until=one.position)))
        assert failures(choose(place.backups, one.position), "", quiet) == []
    await place.restore(positions[1])
    assert await place.restored_events() == await everything(place.store, until=positions[1])


async def test_restoring_to_a_position_takes_the_events_up_to_it(place: Place) -> None:
    await place.sign()
    await place.back_up()
    assert await place.restore(17) == 17
    assert await place.restored_events() == await everything(place.store, until=17)
    with pytest.raises(Invalid, match="hold the positions 1 to 30"):
        await place.restore(31)


async def test_what_is_there_is_not_copied_again(place: Place) -> None:
    await place.back_up()
    place.blob(b"another model")
    await place.store.append("test.thing-0", [new_event(99)])
    made = await place.back_up()
    assert (made.position, made.blobs, made.copied) == (31, 2, 1)
    assert choose(place.backups, 12).position == 30
    assert choose(place.backups, None).position == 31
    again = await place.back_up()
    assert (again.position, again.copied) == (31, 0)
    assert failures(choose(place.backups, None), "", quiet) == []


async def test_secrets_are_kept_only_when_asked_for(place: Place) -> None:
    await place.sign()
    await place.back_up(secrets=False)
    assert not any(f.name in ("admin.token", KEY_FILE) for f in place.backups.rglob("*"))
    with pytest.raises(NotFound, match="made without --secrets"):
        await place.restore(keep_audit_key=True)
    assert await place.restore() == 30


async def test_a_log_may_go_on_under_its_key(place: Place) -> None:
    audit = await place.sign()
    await place.back_up()
    with pytest.raises(NotAllowed, match="another one and needs a key of its own"):
        await place.restore(20, keep_audit_key=True)
    await place.restore(keep_audit_key=True)
    lineage = place.restored / "data" / "lineage"
    store = await open_store(place.restored / "data" / "events.db")
    await fill(store, 5)
    tree = TreeFile(lineage / TREE_FILE)
    signed = await AuditLog(store, tree, lineage / KEY_FILE, SystemClock()).checkpoint()
    old = await TreeFile(place.source.data / "lineage" / TREE_FILE).public_key()
    assert open_checkpoint(signed.note, old).size == 35
    assert audit.position == 30
    await tree.close()
    await store.close()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("blob", "was altered"),
        ("no blob", "is missing"),
        ("events", "events.jsonl.gz was altered"),
        ("cut", "damaged or cut off here"),
        ("database", "databases/serving/predictions.db was altered"),
        ("no file", "checkpoints.jsonl is missing"),
        ("root", "do not give the root that was noted"),
        ("note", "does not match the text: the note was altered"),
    ],
)
async def test_a_damaged_backup_is_refused(place: Place, damage: str, text: str) -> None:
    await place.sign()
    await place.back_up()
    folder = place.backups / "30"
    manifest = json.loads((folder / "manifest.json").read_text())
    blob = next(f for f in (place.backups / "blobs").rglob("*") if f.is_file())
    events = folder / "events.jsonl.gz"
    match damage:
        case "blob":
            blob.write_bytes(b"a modem")
        case "no blob":
            blob.unlink()
        case "events":
            other = await open_store(place.root / "other.db")
            await fill(other, 30)
            await backup.create(other, Source(place.root / "nothing", None), place.root / "other", None, quiet)
            shutil.copy(place.root / "other" / "30" / "events.jsonl.gz", events)
            await other.close()
        case "cut":
            events.write_bytes(events.read_bytes()[:-30])
        case "database":
            with (folder / "databases" / "serving" / "predictions.db").open("ab") as file:
                file.write(b"x")
        case "no file":
            (folder / "checkpoints.jsonl").unlink()
        case "root":
            manifest["root"] = "A" * 43 + "="
        case _:
            manifest["checkpoint"] = manifest["checkpoint"].replace("\n30\n", "\n31\n")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Invalid, match="is damaged, and nothing was restored") as refused:
        await place.restore()
    assert text in str(refused.value)
    assert not place.restored.exists()


async def test_a_log_that_is_not_what_was_signed_is_not_backed_up(place: Place) -> None:
    await place.sign()
    await place.back_up(20)
    with closing(sqlite3.connect(place.store.path)) as db, db:
        db.execute("UPDATE events SET actor = 'mallory' WHERE position = 5")
    with pytest.raises(Conflict, match="the first 30 events of the store are not those that were signed"):
        await place.back_up()
    assert {f.name for f in place.backups.iterdir()} == {"blobs", "20"}


async def test_a_directory_with_something_in_it_is_left_alone(place: Place) -> None:
    await place.back_up()
    place.restored.mkdir()
    (place.restored / "mine").write_text("precious")
    with pytest.raises(NotAllowed, match="is not empty"):
        await place.restore()
    assert [f.name for f in place.restored.iterdir()] == ["mine"]
    with pytest.raises(NotFound, match="holds no backup"):
        choose(place.root, None)


async def test_a_backup_that_names_files_elsewhere_is_refused(place: Place) -> None:
    await place.back_up()
    (place.backups / "30" / "blobs.txt").write_text("../../../etc/passwd\n")
    with pytest.raises(Invalid, match="which is no blob"):
        await place.restore()
    assert choose(place.backups, None).made_at < datetime.now(UTC)
