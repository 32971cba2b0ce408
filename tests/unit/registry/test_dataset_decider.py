"""The rules of datasets, by given, when, then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, scenario
from modelog_registry.dataset.commands import RegisterDatasetVersion
from modelog_registry.dataset.decide import DATASET
from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.dataset.expectation import Column, Expectation

COLUMNS = (Column("hour", "int32"), Column("carrier", "string"))
COMMAND = RegisterDatasetVersion("flights", "a" * 64, 100, 10, COLUMNS, label="2013-01")


def registered(
    version: int, digest: str, request_id: str = "request-1", expectations: tuple[Expectation, ...] = ()
) -> DatasetVersionRegistered:
    return DatasetVersionRegistered(
        derived_id("acme", "flights"),
        "flights",
        version,
        "2013-01",
        digest,
        100,
        10,
        COLUMNS,
        expectations,
        "",
        "alice",
        request_id,
        NOW,
    )


FIRST = registered(1, "a" * 64, "request-a")
SECOND = registered(2, "b" * 64, "request-b")


def test_versions_count_from_one() -> None:
    scenario(DATASET, when=COMMAND, then=[registered(1, "a" * 64)])
    scenario(DATASET, given=[FIRST], when=replace(COMMAND, digest="b" * 64), then=[registered(2, "b" * 64)])


def test_the_newest_content_again_adds_nothing() -> None:
    after = scenario(DATASET, given=[FIRST, SECOND], when=replace(COMMAND, digest="b" * 64, label="again"), then=[])
    assert after.newest == SECOND


def test_older_content_is_a_new_version() -> None:
    after = scenario(DATASET, given=[FIRST, SECOND], when=COMMAND, then=[registered(3, "a" * 64)])
    assert after.version_of_request("request-a") == FIRST
    assert after.version_of_request("request-x") is None


def test_a_column_stands_in_the_schema_once() -> None:
    scenario(
        DATASET,
        when=replace(COMMAND, columns=(*COLUMNS, Column("hour", "int64"))),
        refused="'hour' stands there twice",
        field="schema[2].name",
    )


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation("hour", "not_null"),
        Expectation("hour", "unique"),
        Expectation("hour", "between", 0, 23),
        Expectation("hour", "between", minimum=0),
        Expectation("carrier", "in_set", values=("UA", "AA")),
        Expectation("", "row_count", minimum=1),
        Expectation("hour", "max_null_share", maximum=0.1),
    ],
)
def test_expectations_that_make_sense_are_kept(expectation: Expectation) -> None:
    scenario(
        DATASET,
        when=replace(COMMAND, expectations=(expectation,)),
        then=[registered(1, "a" * 64, expectations=(expectation,))],
    )


@pytest.mark.parametrize(
    ("expectation", "field", "refused"),
    [
        (Expectation("minute", "not_null"), "column", "'minute' is not a column of the schema"),
        (Expectation("hour", "row_count", 1), "column", "leave the column empty"),
        (Expectation("hour", "between"), "minimum", "is missing, as is maximum; between needs one of them"),
        (Expectation("", "row_count"), "minimum", "row_count needs one of them"),
        (Expectation("hour", "between", 5, 4), "minimum", "5 is above the maximum 4"),
        (Expectation("hour", "between", float("nan")), "minimum", "is nan; it must be a finite number"),
        (Expectation("hour", "between", 0, float("inf")), "maximum", "is inf; it must be a finite number"),
        (Expectation("carrier", "in_set"), "values", "in_set needs the values that are allowed"),
        (Expectation("hour", "max_null_share"), "maximum", "needs a share from 0 to 1"),
        (Expectation("hour", "max_null_share", maximum=1.5), "maximum", "needs a share from 0 to 1"),
    ],
)
def test_an_expectation_that_cannot_be_checked_is_refused(expectation: Expectation, field: str, refused: str) -> None:
    fine = Expectation("hour", "not_null")
    scenario(
        DATASET,
        when=replace(COMMAND, expectations=(fine, expectation)),
        refused=refused,
        field=f"expectations[1].{field}",
    )
