"""Any single bit of a store file may flip: the report is clean, and says verified only if no event changed."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_proofs import EventRecord, EventStoreFile, verify_store

PAGE_BYTES = 1024


def check_flip(path: Path, original: bytes, offset: int, bit: int, checkpoint: str, public_key: str) -> bool:
    """Whether the flip was found; asserts that one which was not found changed no event."""
    altered = bytearray(original)
    altered[offset] ^= 1 << bit
    path.write_bytes(altered)
    report = verify_store(path, checkpoint, public_key)
    assert all(sentence.endswith(".") for sentence in report.failures)
    return not report.ok


def read(path: Path) -> list[EventRecord]:
    with EventStoreFile(path) as file:
        return list(file.events())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit(
    store: Path, events: list[EventRecord], checkpoint: str, public_key: str, place: float, bit: int
) -> None:
    original = store.read_bytes()
    copy = store.with_name("copy.sqlite")
    if not check_flip(copy, original, int(place * len(original)), bit, checkpoint, public_key):
        assert read(copy) == events


def test_a_flipped_bit_in_any_page_header(
    store: Path, events: list[EventRecord], checkpoint: str, public_key: str
) -> None:
    original = store.read_bytes()
    copy = store.with_name("copy.sqlite")
    found = 0
    for page in range(0, len(original), PAGE_BYTES):
        header = page + (100 if page == 0 else 0)
        for offset in range(header, header + 12):
            if check_flip(copy, original, offset, offset % 8, checkpoint, public_key):
                found += 1
            else:
                assert read(copy) == events
    assert found > len(original) // PAGE_BYTES


def test_a_flipped_bit_in_the_first_page_is_explained(store: Path, checkpoint: str, public_key: str) -> None:
    content = bytearray(store.read_bytes())
    content[0] ^= 1
    store.write_bytes(content)
    report = verify_store(store, checkpoint, public_key)
    assert report.failures[0].endswith("cannot be read as an SQLite event store: file is not a database.")


def test_a_destroyed_page_names_the_last_event_before_it(store: Path, checkpoint: str, public_key: str) -> None:
    content = store.read_bytes()
    page = content.index(b"UA0030") // PAGE_BYTES * PAGE_BYTES
    store.write_bytes(content[:page] + b"\xff" * PAGE_BYTES + content[page + PAGE_BYTES :])
    report = verify_store(store, checkpoint, public_key)
    assert len(report.failures) == 1
    assert report.failures[0].startswith("The file is damaged after position ")
    assert 0 < report.last_position < 30


def test_a_name_in_the_schema_that_is_no_longer_text_is_explained(
    store: Path, checkpoint: str, public_key: str
) -> None:
    content = store.read_bytes().replace(b"events_by_time ON", b"events_by_time OM")
    store.write_bytes(content.replace(b"events_by_time", b"events\xf4by_time"))
    report = verify_store(store, checkpoint, public_key)
    assert len(report.failures) == 1
    assert "cannot be read as an SQLite event store: " in report.failures[0]


def test_a_name_in_the_file_cannot_write_to_the_terminal(store: Path, checkpoint: str, public_key: str) -> None:
    store.write_bytes(store.read_bytes().replace(b"events_by_time", b"events\x1b[2Jtime"))
    report = verify_store(store, checkpoint, public_key)
    assert not report.ok
    assert "\\x1b[2J" in report.text()
    assert "\x1b" not in report.text()


def test_a_cut_file_is_explained(store: Path, checkpoint: str, public_key: str) -> None:
    content = store.read_bytes()
    store.write_bytes(content[: len(content) // 2])
    assert not verify_store(store, checkpoint, public_key).ok
