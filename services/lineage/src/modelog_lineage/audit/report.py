"""What a verification found, as an answer."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_proofs import Report
from modelog_proto.lineage.v1 import lineage_pb2 as pb


def report_of(report: Report, troubles: Sequence[str]) -> pb.AuditReport:
    """The report with its sentences; `troubles` are what else is wrong, with which a log is not intact either."""
    return pb.AuditReport(
        intact=report.ok and not troubles,
        events=report.events_read,
        root=report.computed_root or "",
        findings=[*report.failures, *troubles],
        first_altered=first_altered(report),
    )


def first_altered(report: Report) -> int:
    """The first position at which the store is not what was signed: altered, missing or unreadable; 0 for none."""
    if report.ok:
        return 0
    known = [position for position in (report.first_altered, report.first_gap) if position is not None]
    if known:
        return min(known)
    is_cut = report.positions_dense and report.last_position < (report.signed_size or 0)
    return report.last_position + 1 if is_cut else 0
