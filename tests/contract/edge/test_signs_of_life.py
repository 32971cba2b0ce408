"""Who is silent is asked for a sign of life, and let go when none comes; who gives it at once is heard."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from modelog_common.edge import frames
from modelog_common.edge.limits import Limits
from modelog_common.edge.watch import LIFE_PING, check

PING = frames.frame(frames.PING, 0, 0, LIFE_PING)
LIMITS = Limits(silent_s=60, sign_of_life_s=20)


class Peer:
    """A connection with a call under way, last heard at 1000 s."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.limits, self.ending, self.block = LIMITS, False, None
        self.settled = self.acknowledged = True
        self.heard, self.asked_since, self.since = 1000.0, 0.0, 0.0
        self.streams = {1: SimpleNamespace(heard=1000.0, call=None)}
        self.outbox = SimpleNamespace(paused=False, put=self.sent.append)
        self.transport = SimpleNamespace(abort=lambda: self.sent.append("aborted"))

    def at(self, now_s: float) -> list[Any]:
        """What is sent when it is looked at then."""
        self.sent.clear()
        check(self, now_s)  # type: ignore[arg-type]
        return list(self.sent)


def test_who_gives_no_sign_is_let_go() -> None:
    peer = Peer()
    assert peer.at(1060) == []
    assert peer.at(1061) == [PING]
    assert peer.at(1081) == []
    assert peer.at(1082) == ["aborted"]


@pytest.mark.parametrize("took_s", [0.0, 0.001, 19.0], ids=["in_the_same_millisecond", "soon", "late"])
def test_who_gives_a_sign_is_asked_again_when_it_is_silent_again(took_s: float) -> None:
    """uvloop tells whole milliseconds: that of an answer may be that of the question."""
    peer = Peer()
    assert peer.at(1061) == [PING]
    peer.heard = 1061 + took_s
    assert peer.at(peer.heard + 60) == []
    assert peer.at(peer.heard + 61) == [PING]
