"""kill -9 of any process at any moment, two hundred times: what was acknowledged is there, once, in order."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress

import pytest
from running_platform import PARTS, SERVICES, until
from survivor import Survivor

ROUNDS = 200
SEED = 20261125
LONGEST_PAUSE_S = 1.5
# Wanted are 30 s on a quiet machine (printed: -s); a busy one is waited for.
PATIENCE_S = 150
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]


def test_two_hundred_kills_at_random_points(survivor: Survivor) -> None:
    """A process is killed again as soon as it is healthy, or while it starts: whichever comes at a random moment."""
    dice = random.Random(SEED)
    own, names = survivor.own, (*PARTS, *SERVICES)
    with survivor.work.going_on():
        survivor.until_work_goes_on("before the first kill")
        killed = Counter[str]()
        while killed.total() < ROUNDS:
            name, moment = dice.choice(names), time.monotonic() + dice.uniform(0, LONGEST_PAUSE_S)
            until("the random moment has come", lambda at=moment: time.monotonic() >= at)  # type: ignore[misc]
            if own.process(name)["state"] in ("starting", "healthy"):
                with suppress(ProcessLookupError):
                    own.kill(name)
                    killed[name] += 1
        assert set(killed) == set(names), killed
        last = time.monotonic()
        until("every process is healthy", own.all_healthy, PATIENCE_S)
        survivor.until_work_goes_on("after the last kill", PATIENCE_S)
        print(f"served again {time.monotonic() - last:.1f} s after the last of {killed.total()} kills")
    survivor.check_everything()
