"""The registry's read tables. Bodies are the messages of the contract, without what a table of its own holds."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from modelog_common.read.text import ByteText
from sqlalchemy import BigInteger, Column, Double, Integer, MetaData

TABLES = MetaData()

EXPERIMENTS = temporal_table(
    TABLES,
    "experiments",
    key=["experiment_id"],
    columns=[Column("name", ByteText(200), nullable=False), Column("hidden", Integer, nullable=False)],
    orders=[["name"]],
)

# Files of experiments that belong to none of their runs; `entry` is the SHA-256 of the path, which may be long.
EXPERIMENT_ARTIFACTS = temporal_table(
    TABLES,
    "experiment_artifacts",
    key=["experiment_id", "entry"],
    columns=[Column("path", ByteText(1000), nullable=False)],
)

RUNS = temporal_table(
    TABLES,
    "runs",
    key=["run_id"],
    columns=[
        Column("experiment_id", ByteText(40), nullable=False),
        Column("name", ByteText(), nullable=False),
        Column("status", ByteText(20), nullable=False),
        Column("author", ByteText(1024), nullable=False),
        Column("hidden", Integer, nullable=False),
        Column("started_us", BigInteger, nullable=False),
        Column("ended_us", BigInteger, nullable=True),
        Column("parent_run_id", ByteText(100), nullable=True),
    ],
    orders=[["started_us"], ["experiment_id", "started_us"], ["parent_run_id", "started_us"]],
)

# What runs are searched by: the last value of every metric, every parameter and tag, and what they read. `field` stands
# for the kind and the name (see modelog_registry.read.runs.values), `word` for the beginning of `text`.
RUN_VALUES = temporal_table(
    TABLES,
    "run_values",
    key=["run_id", "entry"],
    columns=[
        Column("experiment_id", ByteText(40), nullable=False),
        Column("field", ByteText(20), nullable=False),
        Column("number", Double, nullable=True),
        Column("word", ByteText(60), nullable=True),
        Column("text", ByteText(8000), nullable=True),
    ],
    orders=[["experiment_id", "field", "number", "run_id"], ["experiment_id", "field", "word", "run_id"]],
)

# The points that one event told: a run's own row stays small however much it logs.
RUN_POINTS = temporal_table(
    TABLES, "run_points", key=["run_id", "told"], columns=[Column("ordinal", BigInteger, nullable=False)]
)

LOGGED_MODELS = temporal_table(
    TABLES,
    "logged_models",
    key=["model_id"],
    columns=[
        Column("experiment_id", ByteText(40), nullable=False),
        Column("hidden", Integer, nullable=False),
        Column("created_us", BigInteger, nullable=False),
    ],
    orders=[["experiment_id", "created_us"]],
)

DATASETS = temporal_table(TABLES, "datasets", key=["name"])

DATASET_VERSIONS = temporal_table(
    TABLES, "dataset_versions", key=["dataset", "version"], columns=[Column("number", Integer, nullable=False)]
)
