"""kill -9 just before each step of an erasure: what is left is finished by the next start, or by asking again.

Inherit, and give the fixtures `log` and `keys`, the addresses of the two stores.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from erased_users import ADMIN, Erasers, Seen, make_users
from modelog_common.privacy.subjects import ERASED

PROCESS = Path(__file__).parent / "erasing_process.py"
DONE = Seen(ERASED, 1)


def killed(folder: Path, log: str, keys: str, *only: str) -> list[str]:
    """Kill a process at each step; returns the steps, the n-th of which the erasure of user n did not take."""
    command = [sys.executable, PROCESS, folder, log, keys, *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


class ErasureKillSuite:
    @pytest.fixture
    def log(self, tmp_path: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def keys(self, tmp_path: Path) -> str:
        raise NotImplementedError

    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("asked_again", [True, False])
    async def test_an_erasure_killed_at_any_step_is_finished(
        self, tmp_path: Path, log: str, keys: str, asked_again: bool
    ) -> None:
        names = await make_users(tmp_path, log, keys)
        self.remember_keys(tmp_path)
        steps = await asyncio.to_thread(killed, tmp_path, log, keys)
        hurt = dict(zip(names, steps, strict=False))
        assert len(hurt) > 5, f"an erasure takes more than these steps: {steps}"

        next_one = await Erasers.open(tmp_path, log, keys)
        found = await next_one.seen()
        untouched = {name: Seen(f"{name}@example.org", 0) for name in names}
        for name, step in hurt.items():
            assert found[name] in (untouched[name], Seen(ERASED, 0), DONE), f"killed before {step!r}"
        begun = {name for name in hurt if found[name] != untouched[name]}
        assert len({found[name] for name in begun}) == 2, "some were killed before the event, and some after it"
        assert begun != set(hurt), "some were killed before anything was destroyed"
        assert found[names[len(steps)]] == DONE, "the last process was not killed"

        if asked_again:
            for name in hurt:
                await next_one.users.erase(name, "asked again", ADMIN)
        else:
            await next_one.users.finish_erasures(next_one.log)
        finished = await next_one.seen()
        for name, step in hurt.items():
            wanted = DONE if asked_again or name in begun else untouched[name]
            assert finished[name] == wanted, f"killed before {step!r}"
            if wanted == DONE:
                self.check_destroyed(tmp_path, name)
        others = names[len(steps) + 1 :]
        assert {name: finished[name] for name in others} == {name: untouched[name] for name in others}
        await next_one.close()

    def remember_keys(self, folder: Path) -> None:
        """Note the keys that are going to be destroyed, for `check_destroyed`."""

    def check_destroyed(self, folder: Path, name: str) -> None:
        """Look for what must not be left of a user's key; by default there is nowhere to look."""
