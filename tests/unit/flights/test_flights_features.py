"""The features: what they are, and that none of them knows the future."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from flights.data import WEATHER_COLUMNS, Tables
from flights.features import FEATURES, ID_COLUMNS, LATE_MINUTES, PRIOR_COLUMNS, YEAR, build
from polars.testing import assert_frame_equal

HOUR = timedelta(hours=1)


def of_month(tables: Tables, month: int) -> Tables:
    return replace(tables, flights=tables.flights.filter(pl.col("month") == month))


def prediction_id(flight: dict[str, Any]) -> str:
    day = f"{YEAR}-{flight['month']:02}-{flight['day']:02}"
    return f"{day}-{flight['carrier']}{flight['flight']}-{flight['origin']}"


def test_one_row_per_flight_in_event_time_order(flights: pl.DataFrame) -> None:
    assert flights.columns == [*ID_COLUMNS, *FEATURES]
    assert flights.height == 336_776
    assert flights["prediction_id"].n_unique() == flights.height
    assert flights["event_time"].is_sorted()


def test_features_are_23_columns_of_float32(flights: pl.DataFrame) -> None:
    assert len(FEATURES) == 23
    assert set(flights.select(FEATURES).dtypes) == {pl.Float32}


def test_the_label_is_known_when_the_flight_has_landed(flights: pl.DataFrame, tables: Tables) -> None:
    assert (flights["label"].is_null() == flights["outcome_time"].is_null()).all()
    assert flights["label"].sum() == (tables.flights["arr_delay"] > LATE_MINUTES).sum()
    landed = flights.filter(pl.col("label").is_not_null())
    assert (landed["outcome_time"] > landed["event_time"]).all()


def test_a_flight_reads_as_it_should(flights: pl.DataFrame) -> None:
    row = flights.row(by_predicate=pl.col("prediction_id") == "2013-01-01-UA1545-EWR", named=True)
    assert row["event_time"] == datetime(2013, 1, 1, 9, 15, tzinfo=UTC)
    assert row["label"] == 0  # eleven minutes late
    assert row["departure_minute"] == 5 * 60 + 15
    assert row["arrival_minute"] == 8 * 60 + 19
    assert row["weekday"] == 2  # a Tuesday
    assert row["distance"] == 1400
    assert row["plane_age"] == 14  # N14228, of 1999
    assert row["temp"] == pytest.approx(39.02)  # of the hour from 08:00 UTC, the last that was over


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def seen_by(flight: dict[str, Any], same_day: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The prior delays of one flight by the definition: a loop over that day's flights."""
    event_time = flight["scheduled_at"] - HOUR
    left = [other for other in same_day if other["departed_at"] is not None and other["departed_at"] < event_time]
    wanted: dict[str, float | None] = {}
    for key in ("origin", "carrier"):
        delays = [other["dep_delay"] for other in left if other[key] == flight[key]]
        wanted[f"{key}_mean_delay"] = mean(delays)
        wanted[f"{key}_late_share"] = mean([delay > LATE_MINUTES for delay in delays])
    own = [other for other in left if other["tailnum"] is not None and other["tailnum"] == flight["tailnum"]]
    last = max(own, key=lambda other: other["departed_at"], default=None)
    wanted["plane_last_delay"] = None if last is None else last["dep_delay"]
    return wanted


def test_prior_delays_are_those_of_departures_before_the_event_time(flights: pl.DataFrame, tables: Tables) -> None:
    rng = random.Random(20130704)
    for month, day in [(rng.randint(1, 12), rng.randint(1, 28)) for _ in range(12)]:
        of_day = (pl.col("month") == month) & (pl.col("day") == day)
        same_day = tables.flights.filter(of_day).rows(named=True)
        ids = [prediction_id(flight) for flight in same_day]
        built = {
            row["prediction_id"]: row
            for row in flights.filter(pl.col("prediction_id").is_in(ids)).iter_rows(named=True)
        }
        for flight in rng.sample(same_day, 40):
            got = built[prediction_id(flight)]
            for name, value in seen_by(flight, same_day).items():
                assert got[name] == (None if value is None else pytest.approx(value, rel=1e-5)), (name, flight)


def test_weather_is_the_last_whose_hour_was_over(flights: pl.DataFrame, tables: Tables) -> None:
    by_origin = tables.weather.partition_by("origin", as_dict=True)
    sample = tables.flights.sample(200, seed=7)
    built = {
        row["prediction_id"]: row
        for row in flights.filter(
            pl.col("prediction_id").is_in([prediction_id(row) for row in sample.iter_rows(named=True)])
        ).iter_rows(named=True)
    }
    for flight in sample.iter_rows(named=True):
        event_time = flight["scheduled_at"] - HOUR
        known = [
            row
            for row in by_origin[(flight["origin"],)].iter_rows(named=True)
            if event_time - 6 * HOUR <= row["known_at"] <= event_time
        ]
        last = max(known, key=lambda row: row["known_at"], default=None)
        for name in WEATHER_COLUMNS:
            assert built[prediction_id(flight)][name] == (None if last is None else last[name]), (name, flight)


@pytest.mark.parametrize(
    "now",
    [datetime(2013, 7, 10, 16, 0, tzinfo=UTC), datetime(2013, 7, 22, 22, 35, tzinfo=UTC)],
)
def test_another_future_changes_no_feature_of_the_past(tables: Tables, now: datetime) -> None:
    july = of_month(tables, 7)
    to_come = pl.col("departed_at") >= now
    other = replace(
        july,
        flights=july.flights.with_columns(
            dep_delay=pl.when(to_come).then(600).otherwise("dep_delay"),
            departed_at=pl.when(to_come).then(pl.lit(now)).otherwise("departed_at"),
            arr_delay=pl.lit(999, pl.Int32),
            landed_at=pl.col("scheduled_at"),
            arr_time=pl.lit(1, pl.Int32),
        ),
        weather=july.weather.with_columns(
            pl.when(pl.col("known_at") > now).then(-99.0).otherwise(name).cast(pl.Float32).alias(name)
            for name in WEATHER_COLUMNS
        ),
    )
    before, after = build(july), build(other)
    past = pl.col("event_time") <= now
    assert_frame_equal(
        before.filter(past).select("prediction_id", *FEATURES), after.filter(past).select("prediction_id", *FEATURES)
    )
    next_hours = pl.col("event_time").is_between(now + HOUR, now + 3 * HOUR)
    for name in (*PRIOR_COLUMNS, "temp"):  # the change is one that a feature would show
        assert not before.filter(next_hours)[name].equals(after.filter(next_hours)[name]), name


def test_features_need_no_flight_of_another_day(tables: Tables, flights: pl.DataFrame) -> None:
    one_day = replace(tables, flights=tables.flights.filter((pl.col("month") == 12) & (pl.col("day") == 23)))
    alone = build(one_day)
    assert_frame_equal(alone, flights.filter(pl.col("prediction_id").is_in(alone["prediction_id"].to_list())))


def test_codes_do_not_depend_on_which_flights_are_looked_at(tables: Tables, flights: pl.DataFrame) -> None:
    codes = flights.select("carrier_code", "origin_code", "dest_code")
    assert codes.null_count().row(0) == (0, 0, 0)
    assert codes["carrier_code"].n_unique() == 16
    assert codes["origin_code"].n_unique() == 3
    assert codes["dest_code"].n_unique() == tables.flights["dest"].n_unique()
