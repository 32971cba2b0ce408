"""A platform goes on, and is restored to an earlier position, with stores and topics that had seen the later ones.

Inherit, and give the fixtures `survivors` and `new_log`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog_platform.log import commands

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from small_platform import SmallPlatform

# Only a test that fails waits so long: a graph that has just started plans its first queries for a while.
PATIENCE_S = 300
NewLog = Callable[[], str]
Seen = dict[str, set[str]]


def quiet(what: str, done: int, total: int) -> None:
    pass


class RestoredHistorySuite:
    @pytest.fixture
    def survivors(self) -> dict[str, Any]:
        """The settings of what is not restored, for it is made from the log: broker, graph, read tables, index."""
        raise NotImplementedError

    @pytest.fixture
    def new_log(self) -> NewLog:
        """Gives the address of an event store that is not there yet, "" for one in the data directory."""
        raise NotImplementedError

    @pytest.mark.timeout(2400)
    def test_new_events_at_positions_that_were_seen_before_are_seen_by_all(
        self, survivors: dict[str, Any], new_log: NewLog, tmp_path: Path
    ) -> None:
        log = new_log()
        original = SmallPlatform(tmp_path / "original", event_store=log, **survivors)
        original.start()
        try:
            begin(original, "kept")
            position = head(original)
            begin(original, "gone")
            begin(original, "lost")
            wait_until_seen(original, {"kept", "gone", "lost"})
            commands.create_backup(original.folder, log, tmp_path / "backups", None, False, quiet)
        finally:
            original.stop()

        log, root = new_log(), tmp_path / "restored"
        commands.restore_backup(tmp_path / "backups", root, log, position, False, "", quiet)
        restored = SmallPlatform(root, event_store=log, **survivors)
        restored.start()
        try:
            wait_until_seen(restored, {"kept"})
            begin(restored, "new")
            assert position < head(restored) < 2 * position, "the positions were used before"
            wait_until_seen(restored, {"kept", "new"})
            restored.stop()
            restored.start()
            wait_until_seen(restored, {"kept", "new"})
        finally:
            restored.stop()


def begin(platform: SmallPlatform, name: str) -> None:
    """Things of one name in two services."""
    with platform.client() as client:
        client.users.create(name, ["viewer"])
        client.models.create(name)
        client.runs.experiment(name)


def head(platform: SmallPlatform) -> int:
    with platform.client() as client:
        return client.audit.head()


def wait_until_seen(platform: SmallPlatform, names: set[str]) -> None:
    """Wait until every projection knows the things of these names, and no others."""
    wanted = dict.fromkeys(("users", "models", "catalogue", "graph"), names)
    deadline = time.monotonic() + PATIENCE_S
    with platform.client() as client:
        while (found := seen(client)) != wanted:
            assert time.monotonic() < deadline, f"not in {PATIENCE_S} s: every projection knows {names}; it is {found}"
            time.sleep(0.1)


def seen(client: modelog.Client) -> Seen:
    """What each projection knows; nothing, while it says that it is not up to date."""
    ours = {"kept", "gone", "lost", "new"}
    questions: dict[str, Callable[[], set[str]]] = {
        "users": lambda: {user.name for user in client.users.list()},
        "models": lambda: {model.name for model in client.models.list()},
        "catalogue": lambda: {e.id.partition(":")[2] for e in client.lineage.search(kinds=["model"]).entries},
        "graph": lambda: {name for name in ours if in_graph(client, name)},
    }
    return {name: ours & answered(question) for name, question in questions.items()}


def answered(question: Callable[[], set[str]]) -> set[str]:
    try:
        return question()
    except modelog.Unavailable:
        return set()


def in_graph(client: modelog.Client, name: str) -> bool:
    try:
        return bool(client.lineage.trace(f"Experiment:{name}").nodes)
    except modelog.NotFound:
        return False
