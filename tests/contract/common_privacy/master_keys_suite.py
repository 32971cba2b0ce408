"""What every place of a master key that can be rotated must do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.privacy.cipher import Altered
from modelog_common.privacy.masters import MasterKeys, Wrapped

KEY = bytes(range(32))
Process = Callable[[], MasterKeys]


class MasterKeysSuite:
    """Inherit, and give the fixture `process`: what a new process makes of one and the same place."""

    @pytest.fixture
    def process(self) -> Process:
        raise NotImplementedError

    async def test_what_one_process_wraps_another_unwraps(self, process: Process) -> None:
        wrapped = await process().wrap("k", KEY)
        assert KEY not in wrapped.content
        assert await process().unwrap("k", wrapped) == KEY

    async def test_a_wrapped_key_is_bound_to_its_id(self, process: Process) -> None:
        wrapped = await process().wrap("k", KEY)
        with pytest.raises(Altered):
            await process().unwrap("another", wrapped)

    async def test_a_key_of_another_place_is_not_at_hand(self, process: Process) -> None:
        wrapped = await process().wrap("k", KEY)
        with pytest.raises(Unavailable, match="lacks the master key elsewhere"):
            await process().unwrap("k", Wrapped("elsewhere", wrapped.content))

    async def test_a_rotated_key_is_in_use_at_once_and_the_old_one_goes_at_the_end(self, process: Process) -> None:
        masters, other = process(), process()
        before = await masters.wrap("k", KEY)
        async with masters.rotation() as name:
            after = await other.wrap("k", KEY)
            assert after.master == name != before.master
            assert await other.unwrap("k", before) == KEY
        assert await other.unwrap("k", after) == KEY
        for one in (masters, other, process()):
            with pytest.raises(Unavailable):
                await one.unwrap("k", before)

    async def test_a_rotation_that_breaks_off_keeps_every_key(self, process: Process) -> None:
        masters = process()
        before = await masters.wrap("k", KEY)
        with pytest.raises(RuntimeError, match="killed"):
            await _break_off(masters)
        during = await process().wrap("k", KEY)
        for wrapped in (before, during):
            assert await process().unwrap("k", wrapped) == KEY


async def _break_off(masters: MasterKeys) -> None:
    async with masters.rotation():
        raise RuntimeError("killed")
