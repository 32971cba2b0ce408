"""A store file against its checkpoint: each way of altering it gives a failed report with a plain sentence."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from modelog_proofs import (
    Checkpoint,
    EventRecord,
    EventStoreFile,
    MemoryHashStore,
    MerkleTree,
    PrivateKey,
    Report,
    UnreadableStore,
    event_hash,
    generate_key,
    sign_checkpoint,
    verify_store,
)

Alter = Callable[[str], None]
ROOT_DIFFERS = "The events at positions 1 to 60 do not give the signed root"


@pytest.fixture
def verify(store: Path, checkpoint: str, public_key: str, leaf_hashes: list[bytes]) -> Callable[[], Report]:
    return lambda: verify_store(store, checkpoint, public_key, leaf_hashes)


def test_an_unaltered_store_is_verified(store: Path, checkpoint: str, public_key: str) -> None:
    before = store.read_bytes()
    report = verify_store(store, checkpoint, public_key)
    assert report.ok
    assert report.failures == ()
    assert report.computed_root == report.signed_root
    assert (report.events_read, report.last_position, report.signed_size, report.unsigned_events) == (60, 60, 60, 0)
    assert report.positions_dense
    assert report.text().splitlines()[-2:] == [
        "positions   1 to 60, none missing",
        "VERIFIED: the events are those that were signed.",
    ]
    assert store.read_bytes() == before
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_the_store_gives_back_the_events(store: Path, events: list[EventRecord]) -> None:
    with EventStoreFile(store) as file:
        assert list(file.events()) == events
        assert file.damage() == []
    with pytest.raises(UnreadableStore, match="is not open"):
        next(file.events())


def test_events_after_the_checkpoint_are_counted_but_not_vouched_for(
    store: Path, tree: MerkleTree, key: PrivateKey, leaf_hashes: list[bytes]
) -> None:
    early = sign_checkpoint(Checkpoint(key.name, 45, tree.root(45)), key)
    report = verify_store(store, early, key.public_key, leaf_hashes)
    assert report.ok
    assert report.unsigned_events == 15
    assert "not covered 15 events, recorded after the checkpoint" in report.text()


def test_a_checkpoint_of_the_empty_log_holds_for_every_log(store: Path, tree: MerkleTree, key: PrivateKey) -> None:
    report = verify_store(store, sign_checkpoint(Checkpoint(key.name, 0, tree.root(0)), key), key.public_key, [])
    assert report.ok
    assert report.unsigned_events == 60
    forged = verify_store(store, sign_checkpoint(Checkpoint(key.name, 0, tree.root(1)), key), key.public_key)
    assert not forged.ok


def test_a_write_ahead_log_is_part_of_the_store(
    tmp_path: Path, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    path = tmp_path / "live.sqlite"
    with closing(sqlite3.connect(path)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute(
            "CREATE TABLE events ("
            + ", ".join(vars(events[0])).replace("position", "position INTEGER PRIMARY KEY")
            + ")"
        )
        live.executemany(
            f"INSERT INTO events VALUES ({', '.join('?' * 13)})", [tuple(vars(e).values()) for e in events]
        )
        live.commit()
        assert path.with_name("live.sqlite-wal").stat().st_size > 0
        assert verify_store(path, checkpoint, public_key).ok
    assert not path.with_name("live.sqlite-wal").exists()
    assert verify_store(path, checkpoint, public_key).ok


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (b"UA0023", b"UA0022"),
        (b"registry.model-m2\x08", b"registry.model-m3\x08"),
        (b"2013-02-01T23:00:00", b"2013-02-01T22:00:00"),
    ],
    ids=["payload", "stream", "recorded_at"],
)
def test_a_flipped_bit_is_found_and_located(
    verify: Callable[[], Report], store: Path, where: bytes, what: bytes
) -> None:
    content = store.read_bytes()
    assert where in content
    offset = content.index(where)
    store.write_bytes(content[:offset] + what + content[offset + len(what) :])
    report = verify()
    assert report.failures[0].startswith(ROOT_DIFFERS)
    assert report.first_altered is not None
    assert f"position {report.first_altered} is the first that differs" in report.text()
    assert report.positions_dense


@pytest.mark.parametrize(
    ("assignment", "position"),
    [
        ("event_id = 'other'", 1),
        ("stream = 'registry.model-other'", 2),
        ("version = 99", 17),
        ("type = 'registry.VersionRetired'", 30),
        ("schema = 2", 31),
        ("recorded_at = '2014'", 32),
        ("tenant = 'other'", 33),
        ("actor = 'zoe'", 34),
        ("correlation = ''", 35),
        ("causation = 'c'", 36),
        ("trace = ''", 59),
        ("payload = x'7b7d'", 60),
    ],
)
def test_an_update_of_any_column_is_found_at_its_position(
    verify: Callable[[], Report], alter: Alter, assignment: str, position: int
) -> None:
    alter(f"UPDATE events SET {assignment} WHERE position = {position}")
    report = verify()
    assert report.failures[0].startswith(ROOT_DIFFERS)
    assert report.first_altered == position


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("payload = '{}'", "The event at position 9 was altered: payload must be bytes, it is text."),
        ("version = 'x'", "The event at position 9 was altered: version must be an integer, it is text."),
        ("stream = x'ff'", "The event at position 9 was altered: stream must be text, it is bytes."),
        ("actor = cast(x'ff' AS TEXT)", "The event at position 9 was altered: actor is not valid UTF-8 text."),
        ("version = 1.5", "The event at position 9 was altered: version must be an integer, it is a real number."),
    ],
)
def test_a_value_of_another_type_is_named(
    store: Path, checkpoint: str, public_key: str, alter: Alter, assignment: str, sentence: str
) -> None:
    alter(f"UPDATE events SET {assignment} WHERE position = 9")
    report = verify_store(store, checkpoint, public_key)
    assert report.failures == (sentence,)
    assert report.first_altered == 9
    assert not report.positions_dense


def test_a_negative_position_is_found(verify: Callable[[], Report], alter: Alter) -> None:
    alter("UPDATE events SET position = -5 WHERE position = 9")
    assert verify().failures == ("Position -5 stands after position 0: the file was damaged.",)


def test_a_table_whose_position_is_not_its_key_may_hold_no_integer(
    tmp_path: Path, checkpoint: str, public_key: str
) -> None:
    path = tmp_path / "odd.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE events (position, event_id, stream, version, type, schema, recorded_at, tenant, actor,"
            " correlation, causation, trace, payload); INSERT INTO events(position) VALUES ('x');"
        )
    assert verify_store(path, checkpoint, public_key).failures == ("The row after position 0 has no integer position.",)


def test_a_missing_event_is_found(verify: Callable[[], Report], alter: Alter) -> None:
    alter("DELETE FROM events WHERE position IN (23, 40)")
    report = verify()
    assert report.failures == ("The event at position 23 is missing: a later one exists.",)
    assert (report.first_gap, report.positions_dense, report.computed_root) == (23, False, None)
    assert report.events_read == 58
    assert "computed    root not known" in report.text()


def test_a_missing_event_closed_up_is_found(verify: Callable[[], Report], alter: Alter) -> None:
    alter("DELETE FROM events WHERE position = 23; UPDATE events SET position = position - 1 WHERE position > 23")
    report = verify()
    assert report.positions_dense
    assert report.failures == (
        "The log ends at position 59, but 60 events were signed: the last 1 are missing.",
        "The event at position 23 is the first that differs from the one that was recorded.",
    )


def test_swapped_events_are_found(verify: Callable[[], Report], alter: Alter) -> None:
    alter(
        "UPDATE events SET position = 1000 WHERE position = 20; UPDATE events SET position = 20 WHERE position = 44;"
        "UPDATE events SET position = 44 WHERE position = 1000;"
    )
    report = verify()
    assert report.first_altered == 20
    assert report.failures[0].startswith(ROOT_DIFFERS)


def test_a_truncated_log_is_found(verify: Callable[[], Report], alter: Alter) -> None:
    alter("DELETE FROM events WHERE position > 50")
    report = verify()
    assert report.failures == ("The log ends at position 50, but 60 events were signed: the last 10 are missing.",)
    assert report.positions_dense
    assert report.first_gap is None


def test_an_index_that_shows_another_event_is_found(verify: Callable[[], Report], store: Path) -> None:
    content, time = store.read_bytes(), b"2013-02-01T23:00:00"
    reports = []
    offset = content.find(time)
    while offset >= 0:
        store.write_bytes(content[:offset] + b"2013-02-01T22:00:00" + content[offset + len(time) :])
        reports.append(verify())
        offset = content.find(time, offset + 1)
    only_index = [report for report in reports if report.computed_root == report.signed_root and not report.ok]
    assert len(only_index) == 1
    assert only_index[0].failures[0].startswith("SQLite finds the file damaged: row 23 missing from index")


def test_the_checkpoint_of_another_key_is_refused(
    store: Path, tree: MerkleTree, key: PrivateKey, public_key: str
) -> None:
    forged = sign_checkpoint(Checkpoint(key.name, 60, tree.root(60)), generate_key(key.name))
    report = verify_store(store, forged, public_key)
    assert not report.ok
    assert report.failures[0].startswith("The checkpoint is not valid: The note is signed by modelog.example/acme+")
    assert report.text().splitlines()[:3] == [f"store       {store}", "read        0 events", "FAILED"]


def test_a_wrong_public_key_is_a_failure(store: Path, checkpoint: str) -> None:
    assert "has the form name+id+base64" in verify_store(store, checkpoint, "nonsense").failures[0]


def test_the_checkpoint_of_a_fork_is_refused(store: Path, events: list[EventRecord], key: PrivateKey) -> None:
    fork = MerkleTree(MemoryHashStore())
    fork.extend(event_hash(record) for record in [*events[:30], *events[31:], events[30]])
    report = verify_store(store, sign_checkpoint(Checkpoint(key.name, 60, fork.root(60)), key), key.public_key)
    assert report.failures[0].startswith(ROOT_DIFFERS)
    assert "or this is a fork of the log" in report.failures[0]
    assert report.first_altered is None


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (lambda hashes: hashes[:59], "Only 59 leaf hashes were kept for 60 signed events: too few to check."),
        (lambda hashes: [*hashes[:9], b"x" * 32, *hashes[10:]], "The kept leaf hashes do not give the signed root"),
        (lambda hashes: [*hashes[:9], b"short"], "The kept leaf hash of position 10 is not 32 bytes."),
    ],
    ids=["too few", "altered", "malformed"],
)
def test_kept_hashes_that_were_altered_accuse_nobody(
    store: Path,
    checkpoint: str,
    public_key: str,
    leaf_hashes: list[bytes],
    kept: Callable[[list[bytes]], list[bytes]],
    sentence: str,
) -> None:
    report = verify_store(store, checkpoint, public_key, kept(leaf_hashes))
    assert report.first_altered is None
    assert len(report.failures) == 1
    assert report.failures[0].startswith(sentence)


def test_kept_hashes_go_on_after_the_checkpoint(
    store: Path, tree: MerkleTree, key: PrivateKey, leaf_hashes: list[bytes], alter: Alter
) -> None:
    early = sign_checkpoint(Checkpoint(key.name, 45, tree.root(45)), key)
    alter("UPDATE events SET tenant = 'other' WHERE position = 50")
    assert verify_store(store, early, key.public_key).ok
    report = verify_store(store, early, key.public_key, iter(leaf_hashes))
    assert report.first_altered == 50
    assert not report.ok


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file has no table named events"),
        (b"not a database" * 100, "cannot be read as an SQLite event store: file is not a database"),
    ],
    ids=["empty", "other"],
)
def test_a_file_that_is_no_store_is_explained(
    tmp_path: Path, checkpoint: str, public_key: str, content: bytes, sentence: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    report = verify_store(path, checkpoint, public_key)
    assert len(report.failures) == 1
    assert sentence in report.failures[0]


def test_no_file_is_explained(tmp_path: Path, checkpoint: str, public_key: str) -> None:
    assert verify_store(tmp_path, checkpoint, public_key).failures == (f"There is no file {tmp_path}.",)


def test_a_view_that_pretends_to_be_the_log_is_refused(verify: Callable[[], Report], alter: Alter) -> None:
    alter("ALTER TABLE events RENAME TO others; CREATE VIEW events AS SELECT * FROM others")
    assert verify().failures == ("events is not a plain table in this file but a view: the store was altered.",)


def test_a_missing_column_is_explained(verify: Callable[[], Report], alter: Alter) -> None:
    alter("ALTER TABLE events RENAME COLUMN trace TO trail")
    assert verify().failures == ("The file is damaged after position 0: no such column: trace.",)
