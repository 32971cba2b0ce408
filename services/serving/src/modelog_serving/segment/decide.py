"""The rule of segments: one is told once."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_serving.segment.commands import SegmentCommand
from modelog_serving.segment.events import PredictionsSealed, SegmentEvent
from modelog_serving.segment.state import Segment, evolve


def segment_id(tenant: str, log_id: str, number: int, root: str) -> str:
    """Each segment is an entity. A log that was set back to a backup may count a number twice, with other answers."""
    return derived_id(tenant, log_id, str(number), root)


def decide(segment: Segment, command: SegmentCommand, ctx: Context) -> Sequence[SegmentEvent]:
    """Sealing it again changes nothing."""
    if segment.root:
        return ()
    return [
        PredictionsSealed(
            command.log_id,
            command.number,
            command.first,
            command.last,
            command.count,
            command.size_bytes,
            command.root,
            command.digest,
            command.first_answered_at,
            command.last_answered_at,
            ctx.now,
            command.leaves,
        )
    ]


SEGMENTS: Decider[Segment, SegmentCommand, SegmentEvent] = Decider("serving.predictions", Segment, decide, evolve)
