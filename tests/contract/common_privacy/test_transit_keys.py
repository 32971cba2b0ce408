"""The transit engine passes the suite of master keys, on a stand-in; what it refuses is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from master_keys_suite import KEY, MasterKeysSuite, Process
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import Subjects
from modelog_common.privacy.transit import open_transit
from transit_stand_in import TOKEN, Transit, serving

FIELD = "gateway.user.email"


@pytest.fixture
def transit() -> Transit:
    return Transit()


@pytest.fixture
def address(transit: Transit) -> Iterator[str]:
    with serving(transit) as place:
        yield f"vault+http://{place}/transit/modelog"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path / "token"


class TestTransitMasterKeys(MasterKeysSuite):
    @pytest.fixture
    def process(self, address: str, token: Path) -> Process:
        return lambda: open_transit(address, token)


async def test_all_is_read_after_a_rotation_and_the_engine_unwraps_a_key_once(
    address: str, token: Path, transit: Transit, tmp_path: Path
) -> None:
    store = SqliteKeyStore(tmp_path / "keys.db")
    subjects = Subjects(store, open_transit(address, token))
    sealed = [await subjects.seal("acme", f"user/{n}", FIELD, f"{n}@example.org") for n in range(3)]
    assert await subjects.rotate() == 3
    assert {k.master for k in (await store.find([s.key for s in sealed])).values()} == {"transit/modelog/v2"}
    transit.seen.clear()
    for _ in range(3):
        assert await subjects.open_all([(FIELD, s) for s in sealed]) == [f"{n}@example.org" for n in range(3)]
    assert transit.seen == ["POST /v1/transit/decrypt/modelog"] * 3
    await subjects.close()


async def test_a_token_is_read_anew_and_one_that_is_refused_is_told(address: str, token: Path) -> None:
    masters = open_transit(address, token)
    wrapped = await masters.wrap("k", KEY)
    token.write_text("s.wrong")
    with pytest.raises(Unavailable, match="refused to use the key transit/modelog: permission denied"):
        await masters.unwrap("k", wrapped)
    token.unlink()
    with pytest.raises(Unavailable, match=r"the token for http://127.0.0.1:\d+ cannot be read: .*No such file"):
        await masters.unwrap("k", wrapped)
    token.write_text(TOKEN)
    assert await masters.unwrap("k", wrapped) == KEY


async def test_a_server_that_is_not_there_is_named(token: Path) -> None:
    masters = open_transit("vault+http://127.0.0.1:9/transit/modelog", token)
    with pytest.raises(Unavailable, match="the master key's server http://127.0.0.1:9 does not answer"):
        await masters.wrap("k", KEY)


@pytest.mark.parametrize("address", ["vault+https://", "vault+https://host", "vault+https://host/transit"])
def test_an_address_without_mount_or_key_is_refused(address: str, token: Path) -> None:
    with pytest.raises(Invalid, match="does not name a server, a mount and a key"):
        open_transit(address, token)
