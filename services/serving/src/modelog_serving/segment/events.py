"""What is told of a prediction log."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event


@event("serving.PredictionsSealed", version=2)
class PredictionsSealed:
    """A tenant's answers in the batches `first` to `last` of a prediction log will not change any more.

    `root` is the Merkle root over its `count` answers (modelog_proofs says of which bytes), which are in `leaves`
    leaves, and in a leaf each where that is 0, as it was in all segments of before; `digest` the SHA-256 of its batches
    one after the other, `size_bytes` their size; the first and the last of them was answered at these times. `number`
    counts a log's segments of this tenant from 1.
    """

    log_id: str
    number: int
    first: int
    last: int
    count: int
    size_bytes: int
    root: str
    digest: str
    first_answered_at: datetime
    last_answered_at: datetime
    at: datetime
    leaves: int


SegmentEvent = PredictionsSealed
