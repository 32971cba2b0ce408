"""Ray's raylet is waited for as long as it lives, and its agents' ports are chosen before it starts."""

from __future__ import annotations

import pytest
from modelog_training.compute.patient_ray import free_ports, waiting


class Raylet:
    """Known at the `known_at`th question, and dead from the `dead_at`th on."""

    def __init__(self, known_at: int, dead_at: int = 1000) -> None:
        self.asked, self._known_at, self._dead_at = 0, known_at, dead_at

    def ask(self, address: str, node_id: str = "") -> dict[str, str]:
        self.asked += 1
        if self.asked < self._known_at:
            raise RuntimeError("no such node")
        return {"address": address, "node": node_id}

    def lives(self) -> bool:
        return self.asked < self._dead_at


def test_it_is_asked_for_until_it_is_known() -> None:
    raylet = Raylet(known_at=5)
    assert waiting(raylet.ask, raylet.lives, look_s=0)("a", node_id="n") == {"address": "a", "node": "n"}
    assert raylet.asked == 5


def test_one_that_died_is_not_waited_for() -> None:
    raylet = Raylet(known_at=1000, dead_at=3)
    with pytest.raises(ConnectionError, match="raylet ended while it started"):
        waiting(raylet.ask, raylet.lives, look_s=0)("a")
    assert raylet.asked == 3


def test_one_that_does_not_come_is_given_up() -> None:
    raylet = Raylet(known_at=10**9, dead_at=10**9)
    with pytest.raises(RuntimeError, match="no such node"):
        waiting(raylet.ask, raylet.lives, longest_s=0.01, look_s=0)("a")


def test_chosen_ports_differ() -> None:
    assert len(set(free_ports(4))) == 4
