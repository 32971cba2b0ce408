"""The training service's read table: one row a job, whose body is the message of the contract."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from sqlalchemy import BigInteger, Column, Index, MetaData, String

TABLES = MetaData()

JOBS = temporal_table(
    TABLES,
    "jobs",
    key=["job_id"],
    columns=[Column("status", String(20), nullable=False), Column("submitted_us", BigInteger, nullable=False)],
)
Index(
    "jobs_by_submission",
    JOBS.table.c.tenant,
    JOBS.table.c.submitted_us,
    sqlite_where=JOBS.table.c.valid_until.is_(None),
)
