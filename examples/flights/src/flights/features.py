"""What is known about a flight one hour before its scheduled departure, as numbers.

A departure delay counts as seen by another flight only if the aircraft had left before that flight's event time.
"""

from collections.abc import Sequence

import polars as pl

from flights.data import WEATHER_COLUMNS, Tables

LATE_MINUTES = 15
HORIZON = pl.duration(hours=1, time_unit="ms")
WEATHER_TOLERANCE = "6h"
YEAR = 2013

SCHEDULE_COLUMNS = ("weekday", "departure_minute", "arrival_minute")
CATEGORY_COLUMNS = ("carrier_code", "origin_code", "dest_code")
ROUTE_COLUMNS = ("distance", "plane_age", "plane_seats")
PRIOR_COLUMNS = (
    "origin_mean_delay",
    "origin_late_share",
    "carrier_mean_delay",
    "carrier_late_share",
    "plane_last_delay",
)
FEATURES = (*SCHEDULE_COLUMNS, *CATEGORY_COLUMNS, *ROUTE_COLUMNS, *WEATHER_COLUMNS, *PRIOR_COLUMNS)
"""The feature columns, all float32, in the order in which the model takes them."""

ID_COLUMNS = ("prediction_id", "event_time", "outcome_time", "label", "month")


def build(tables: Tables) -> pl.DataFrame:
    """One row per scheduled flight, in the order of event times and then of ids.

    prediction_id: unique, such as `2013-07-04-UA1545-EWR`. event_time: an hour before the scheduled departure, UTC.
    outcome_time: the landing, UTC; null with the label. label: Int8, 1 if the flight landed more than 15 minutes
    late, null if it was cancelled or diverted. month: Int8. Then FEATURES, (rows, 23) float32, null where nothing
    is known.
    """
    flights = tables.flights.with_columns(
        event_time=pl.col("scheduled_at") - HORIZON,
        prediction_id=pl.format(
            "{}-{}-{}-{}{}-{}",
            pl.lit(YEAR),
            pl.col("month").cast(pl.String).str.zfill(2),
            pl.col("day").cast(pl.String).str.zfill(2),
            "carrier",
            "flight",
            "origin",
        ),
    ).sort("event_time", "prediction_id")
    known = flights.with_columns(*_schedule(), *_codes(tables))
    known = with_planes(known, tables.planes)
    known = with_weather(known, tables.weather)
    known = with_prior_delays(known, tables.flights)
    return known.select(
        prediction_id="prediction_id",
        event_time="event_time",
        outcome_time="landed_at",
        label=(pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int8),
        month="month",
        **{name: pl.col(name).cast(pl.Float32) for name in FEATURES},
    )


def with_planes(flights: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """Adds `plane_age` (years) and `plane_seats`; null where the aircraft is not in the register."""
    register = planes.select("tailnum", plane_age=YEAR - pl.col("built_year"), plane_seats="seats")
    return flights.join(register, on="tailnum", how="left", maintain_order="left")


def with_weather(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """Adds the last weather that was known at the origin by each event time, at most six hours old."""
    return flights.join_asof(
        weather.sort("known_at"),
        left_on="event_time",
        right_on="known_at",
        by="origin",
        tolerance=WEATHER_TOLERANCE,
        check_sortedness=False,
    )


def with_prior_delays(flights: pl.DataFrame, departures: pl.DataFrame) -> pl.DataFrame:
    """Adds the departure delays (minutes) already seen that day at the airport, by the carrier, and by the aircraft.

    Reads `departures` (day, departed_at, dep_delay, origin, carrier, tailnum) and nothing that follows an event time.
    """
    left = departures.filter(pl.col("departed_at").is_not_null()).sort("departed_at")
    late = pl.col("dep_delay") > LATE_MINUTES
    for key, prefix in (("origin", "origin"), ("carrier", "carrier")):
        group = ["month", "day", key]
        by_minute = left.group_by([*group, "departed_at"], maintain_order=True).agg(
            seen=pl.len(), minutes=pl.col("dep_delay").sum(), late=late.sum()
        )
        count = pl.col("seen").cum_sum().over(group)
        so_far = by_minute.select(
            *group,
            "departed_at",
            (pl.col("minutes").cum_sum().over(group) / count).alias(f"{prefix}_mean_delay"),
            (pl.col("late").cum_sum().over(group) / count).alias(f"{prefix}_late_share"),
        )
        flights = _as_seen(flights, so_far, group)
    last = left.filter(pl.col("tailnum").is_not_null()).select(
        "month", "day", "tailnum", "departed_at", plane_last_delay="dep_delay"
    )
    return _as_seen(flights, last, ["month", "day", "tailnum"])


def _as_seen(flights: pl.DataFrame, facts: pl.DataFrame, group: Sequence[str]) -> pl.DataFrame:
    """Joins to each flight the last row of `facts` of its group from strictly before the flight's event time."""
    return flights.join_asof(
        facts.rename({"departed_at": "fact_at"}),
        left_on="event_time",
        right_on="fact_at",
        by=list(group),
        allow_exact_matches=False,
        check_sortedness=False,
    ).drop("fact_at")


def _schedule() -> tuple[pl.Expr, ...]:
    arrival = pl.col("sched_arr_time")
    return (
        pl.date(YEAR, "month", "day").dt.weekday().alias("weekday"),
        (pl.col("hour") * 60 + pl.col("minute")).alias("departure_minute"),
        (arrival // 100 * 60 + arrival % 100).alias("arrival_minute"),
    )


def _codes(tables: Tables) -> tuple[pl.Expr, ...]:
    """Codes are places in the reference tables, so that they never depend on which flights are looked at."""
    carriers = {name: code for code, name in enumerate(tables.carriers["carrier"])}
    airports = {name: code for code, name in enumerate(tables.airports["faa"])}

    def code(column: str, codes: dict[str, int]) -> pl.Expr:
        return pl.col(column).replace_strict(codes, default=None, return_dtype=pl.Int32)

    return (
        code("carrier", carriers).alias("carrier_code"),
        code("origin", airports).alias("origin_code"),
        code("dest", airports).alias("dest_code"),
    )
