"""The registry's read tables. Bodies are the messages of the contract, without what a table of its own holds."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from modelog_common.read.text import ByteText
from sqlalchemy import BigInteger, Column, Integer, MetaData

TABLES = MetaData()

EXPERIMENTS = temporal_table(TABLES, "experiments", key=["name"])

RUNS = temporal_table(
    TABLES,
    "runs",
    key=["run_id"],
    columns=[Column("experiment", ByteText(200), nullable=False), Column("started_us", BigInteger, nullable=False)],
    orders=[["started_us"]],
)

# The points that one event told: a run's own row stays small however much it logs.
RUN_POINTS = temporal_table(
    TABLES, "run_points", key=["run_id", "told"], columns=[Column("ordinal", BigInteger, nullable=False)]
)

DATASETS = temporal_table(TABLES, "datasets", key=["name"])

DATASET_VERSIONS = temporal_table(
    TABLES, "dataset_versions", key=["dataset", "version"], columns=[Column("number", Integer, nullable=False)]
)
