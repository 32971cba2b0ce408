"""Ids, versions, clocks and errors."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.clock import ManualClock, SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import FieldViolation, Invalid
from modelog_common.domain.ids import NAMESPACE, derived_id, uuid7, uuid7_text, uuid7_texts
from modelog_common.domain.semver import SemanticVersion

numbers = st.integers(0, 999_999_999)


@given(numbers, numbers, numbers)
def test_versions_are_read_as_they_are_written(major: int, minor: int, patch: int) -> None:
    version = SemanticVersion(major, minor, patch)
    assert SemanticVersion.parse(str(version)) == version
    assert version.next_minor() > version


def test_versions_compare_as_numbers() -> None:
    assert SemanticVersion.parse("1.10.0") > SemanticVersion.parse("1.9.9")


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "01.2.3", "1.2.3-rc1", "v1.2.3", "1.2.3 ", "1.2.1000000000", "1.2.-3"]
)
def test_what_is_no_version_is_named(text: str) -> None:
    with pytest.raises(Invalid, match=r"must look like 1\.2\.3") as caught:
        SemanticVersion.parse(text, "spec.version")
    assert caught.value.violations[0].field == "spec.version"


def test_new_ids_are_version_7_and_rise_with_time() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(i.version == 7 and i.variant == "specified in RFC 4122" for i in ids)
    now_ms = datetime.now(UTC).timestamp() * 1000
    assert abs((ids[0].int >> 80) - now_ms) < 60_000


def test_ids_that_are_made_as_texts_are_the_same_kind_of_ids() -> None:
    texts = [*(uuid7_text() for _ in range(1000)), *uuid7_texts(1000)]
    assert len(set(texts)) == 2000
    ids = [UUID(text) for text in texts]
    assert texts == [str(made) for made in ids]
    assert all(i.version == 7 and i.variant == "specified in RFC 4122" for i in ids)
    now_ms = datetime.now(UTC).timestamp() * 1000
    assert all(abs((i.int >> 80) - now_ms) < 60_000 for i in ids)


def test_a_process_that_is_forked_makes_ids_of_its_own() -> None:
    uuid7_text()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        # The first ones that either makes now would be the same.
        os.write(write, " ".join(uuid7_text() for _ in range(3)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as told:
        theirs = {made[-12:] for made in told.read().split()}
    assert len(theirs) == 3
    assert not theirs & {uuid7_text()[-12:] for _ in range(3)}


def test_derived_ids_depend_on_every_part() -> None:
    assert derived_id("a", "b") == derived_id("a", "b")
    assert len({derived_id("a", "b"), derived_id("b", "a"), derived_id("ab"), derived_id("a", "b", "")}) == 4


def test_a_manual_clock_moves_both_ways() -> None:
    clock = ManualClock()
    start = clock.now()
    clock.advance(timedelta(days=1))
    clock.advance(timedelta(days=-2))
    assert clock.now() == start - timedelta(days=1)
    assert SystemClock().now().tzinfo is UTC


def test_a_reactor_acts_in_its_own_name_and_names_the_cause() -> None:
    ctx = Context(SystemClock().now(), "alice", "acme", "r1", correlation_id="c1")
    caused = ctx.caused_by("e1", "service:monitoring")
    assert (caused.actor, caused.causation_id, caused.correlation_id) == ("service:monitoring", "e1", "c1")


def test_an_error_about_a_field_names_it_twice() -> None:
    error = Invalid.field("name", "is empty; it must have 1 to 200 characters")
    assert str(error) == "name: is empty; it must have 1 to 200 characters"
    assert error.violations == (FieldViolation("name", "is empty; it must have 1 to 200 characters"),)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_derived_ids_are_the_uuids_that_the_library_makes(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid5(NAMESPACE, "\x1f".join(parts)))
