"""The training service's read table: one row a job, whose body is the message of the contract."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from modelog_common.read.text import ByteText
from sqlalchemy import BigInteger, Column, MetaData

TABLES = MetaData()

JOBS = temporal_table(
    TABLES,
    "jobs",
    key=["job_id"],
    columns=[Column("status", ByteText(20), nullable=False), Column("submitted_us", BigInteger, nullable=False)],
    orders=[["submitted_us"]],
)
