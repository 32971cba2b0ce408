"""What is told of a trial."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event

# What a trial comes to.
WORKS, KEPT, REFUSED, NOT_TRIED = "works", "kept the original engine", "refused", "not tried"
# A cause beside those of models that failed: the stored file is damaged, or is not there, which may be mended.
FILE = "file"


class TrialLimits(msgspec.Struct, frozen=True):
    """What the process of a trial might take: seconds to load and for an answer, bytes of memory, 0 for any."""

    load_s: float
    predict_s: float
    memory_bytes: int


class Found(msgspec.Struct, frozen=True):
    """What a trial found out.

    `state` is one of the four above, and `reason` says why it is refused or not tried. `cause` is "died", "hung" or
    "outgrew" where the process did not come to its end, "file" where the stored file is not there or is damaged,
    otherwise empty.

    `engine` is what answers, `why` why it does. Where another engine was made, `rows` of the `sample` were answered by
    both, and differed by up to `largest_difference`, relative to the answer or to 1 where that is smaller; `unequal`
    says that this is more than `tolerance`, or that one was missing where the other was not. Without another engine
    `rows` were answered by the only one, and there is no difference.

    `row_us` is what a row takes that comes alone, `row_of_32_us` one of 32 that come together, `memory_bytes` what the
    process held after it. `missing` says what became of rows with missing values; empty where none were asked.
    """

    state: str
    reason: str = ""
    cause: str = ""
    engine: str = ""
    why: str = ""
    sample: str = ""
    rows: int = 0
    largest_difference: float | None = None
    tolerance: float = 0.0
    unequal: bool = False
    row_us: float = 0.0
    row_of_32_us: float = 0.0
    memory_bytes: int = 0
    missing: str = ""


@event("serving.VersionTried", version=1)
class VersionTried:
    """A file was tried as a version of a model, the first one that came with it.

    `approved` says whether its file might run code then; `packages` which versions of what runs it were there.
    """

    model_id: str
    model: str
    version: str
    model_digest: str
    flavor: str
    approved: bool
    packages: dict[str, str]
    limits: TrialLimits
    found: Found
    at: datetime


@event("serving.TrialAsked", version=1)
class TrialAsked:
    """Somebody wants a file tried again, as a version of a model; what is known of it holds until it was."""

    model: str
    version: str
    model_digest: str
    flavor: str
    reason: str
    by: str
    at: datetime


TrialEvent = VersionTried | TrialAsked
