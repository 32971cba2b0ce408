"""The raw tables: what the CSV files say, with times in UTC."""

import zipfile
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from flights.data import DataMissing, Tables, data_folder


def one(tables: Tables, month: int, day: int, carrier: str, flight: int) -> dict[str, object]:
    found = tables.flights.filter(
        (pl.col("month") == month)
        & (pl.col("day") == day)
        & (pl.col("carrier") == carrier)
        & (pl.col("flight") == flight)
    )
    return found.row(0, named=True)


def test_all_rows_of_all_files_are_read(tables: Tables) -> None:
    assert tables.flights.height == 336_776
    assert tables.weather.height == 26_115
    assert tables.planes.height == 3_322
    assert tables.carriers.height == 16
    assert tables.flights["dest"].is_in(tables.airports["faa"].to_list()).all()


def test_times_are_utc(tables: Tables) -> None:
    to_houston = one(tables, 1, 1, "UA", 1545)  # 05:15 scheduled, 05:17 left, 08:30 in Houston
    assert to_houston["scheduled_at"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert to_houston["departed_at"] == datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    assert to_houston["landed_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "zone_hours"),
    [(1, -10), (7, -10)],  # Honolulu keeps its time all year, New York does not
)
def test_a_landing_is_in_the_destinations_own_time(tables: Tables, month: int, zone_hours: int) -> None:
    to_honolulu = one(tables, month, 1, "HA", 51)
    landed, clock = to_honolulu["landed_at"], to_honolulu["arr_time"]
    assert isinstance(landed, datetime)
    assert isinstance(clock, int)
    local = landed + timedelta(hours=zone_hours)
    assert local.hour * 100 + local.minute == clock


def test_every_flight_spends_minutes_not_hours_on_the_ground(tables: Tables) -> None:
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as files:
        raw = pl.read_csv(files.read("flights.csv"), columns=["air_time"], null_values=["NA"])
    landed = tables.flights.with_columns(raw["air_time"]).filter(pl.col("landed_at").is_not_null())
    on_the_ground = (pl.col("landed_at") - pl.col("departed_at")).dt.total_minutes() - pl.col("air_time")
    assert landed.select(on_the_ground).to_series().is_between(5, 240).all()


def test_a_flight_that_never_arrived_has_no_landing(tables: Tables) -> None:
    never = tables.flights.filter(pl.col("arr_delay").is_null())
    assert never.height == 9_430
    assert never["landed_at"].is_null().all()


def test_weather_is_known_when_its_hour_is_over(tables: Tables) -> None:
    first = tables.weather.filter(pl.col("origin") == "EWR").row(0, named=True)
    assert first["known_at"] == datetime(2013, 1, 1, 7, 0, tzinfo=UTC)  # the row of the hour from 06:00 on


def test_missing_data_says_what_to_install() -> None:
    with pytest.raises(DataMissing, match="pip install no_such_flights"):
        data_folder("no_such_flights")
