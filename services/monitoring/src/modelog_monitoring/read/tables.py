"""Monitoring's read tables: monitors, windows, alerts, policies, retrainings, tests and levels, as of any moment."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from modelog_common.read.text import ByteText
from sqlalchemy import BigInteger, Column, MetaData

TABLES = MetaData()
MONITORS = temporal_table(TABLES, "monitors", key=["name"])
WINDOWS = temporal_table(
    TABLES,
    "windows",
    key=["window_id"],
    columns=[Column("monitor", ByteText(200), nullable=False), Column("start_us", BigInteger, nullable=False)],
    orders=[["monitor", "start_us"]],
)
ALERTS = temporal_table(
    TABLES,
    "alerts",
    key=["alert_id"],
    columns=[Column("monitor", ByteText(200), nullable=False), Column("raised", BigInteger, nullable=False)],
)
POLICIES = temporal_table(TABLES, "policies", key=["name"])
RETRAININGS = temporal_table(
    TABLES,
    "retrainings",
    key=["retraining_id"],
    columns=[Column("policy", ByteText(200), nullable=False), Column("started", BigInteger, nullable=False)],
)
CANARY_LOOKS = temporal_table(
    TABLES,
    "canary_looks",
    key=["look_id"],
    columns=[Column("retraining", ByteText(200), nullable=False), Column("number", BigInteger, nullable=False)],
    orders=[["retraining", "number"]],
)
AB_TESTS = temporal_table(
    TABLES, "ab_tests", key=["name"], columns=[Column("deployment", ByteText(200), nullable=False)]
)
AB_LOOKS = temporal_table(
    TABLES,
    "ab_looks",
    key=["look_id"],
    columns=[Column("test", ByteText(200), nullable=False), Column("number", BigInteger, nullable=False)],
    orders=[["test", "number"]],
)
LEVELS = temporal_table(
    TABLES, "levels", key=["deployment", "version"], columns=[Column("model", ByteText(200), nullable=False)]
)
LEVEL_HOURS = temporal_table(
    TABLES,
    "level_hours",
    # Of deployment, version and hour: with the tenant they would be more than an index of MariaDB holds.
    key=["hour_id"],
    columns=[
        Column("deployment", ByteText(200), nullable=False),
        Column("version", ByteText(200), nullable=False),
        Column("start_us", BigInteger, nullable=False),
    ],
    orders=[["deployment", "version", "start_us"]],
)
