"""What serving and the process of a trial say to each other, in the frames of a model's own process."""

from __future__ import annotations

import msgspec

from modelog_serving.deployment.signature import Signature
from modelog_serving.trial.events import Found, TrialLimits
from modelog_serving.worker.wire import NOTHING, Rows

# A step may take this much longer than it says where others have the processor meanwhile.
MOST_HELD_UP_S = 900.0


class Task(msgspec.Struct, frozen=True):
    """The first thing said: try this file of a folder. A matrix follows where rows came with the version."""

    folder: str
    digest: str
    flavor: str
    signature: Signature
    approved: bool
    threads: int
    limits: TrialLimits
    example: str = ""
    rows: Rows = NOTHING


class Step(msgspec.Struct, frozen=True, tag="step"):
    """The process says what it is about to do, and for how long it may be silent."""

    what: str
    limit_s: float


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The last thing said."""

    found: Found


Said = Step | Done
