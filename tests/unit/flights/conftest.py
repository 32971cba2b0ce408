"""The real flights, read once."""

import polars as pl
import pytest
from flights.data import Tables, read_tables
from flights.features import build


@pytest.fixture(scope="session")
def tables() -> Tables:
    return read_tables()


@pytest.fixture(scope="session")
def flights(tables: Tables) -> pl.DataFrame:
    return build(tables)
