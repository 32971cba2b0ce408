"""The keys of personal data on their way into a backup and back: wrapped, as their store has them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelog_common.adapters import open_key_store
from modelog_common.config import SQLITE
from modelog_common.privacy.keys import KeyStore, copy_keys
from modelog_common.privacy.sqlite import SqliteKeyStore

from modelog_platform.log.files import copy_database, copy_file
from modelog_platform.log.places import Places

KEY_STORE = "data-keys.db"


async def keys_out(places: Places, file: Path) -> None:
    """Copy the keys into a file; there is none when there are no keys yet."""
    if places.key_store.startswith(SQLITE):
        await asyncio.to_thread(_file_out, Path(places.key_store.removeprefix(SQLITE)), file)
    else:
        await _copy(open_key_store(places.key_store), SqliteKeyStore(file))


async def keys_in(file: Path, places: Places) -> None:
    """Add the keys of a backup to their store; what was destroyed there stays so."""
    if not await asyncio.to_thread(_file_in, file, places):
        await _copy(SqliteKeyStore(file), open_key_store(places.key_store))


def _file_out(own: Path, file: Path) -> None:
    if own.is_file():
        copy_database(own, file)


def _file_in(file: Path, places: Places) -> bool:
    """Copy the file as it is, if that will do; says whether nothing is left to be done."""
    own = Path(places.key_store.removeprefix(SQLITE))
    if not file.is_file():
        return True
    if not places.key_store.startswith(SQLITE) or own.exists():
        return False
    own.parent.mkdir(parents=True, exist_ok=True)
    copy_file(file, own)
    return True


async def _copy(source: KeyStore, target: KeyStore) -> None:
    try:
        await copy_keys(source, target)
    finally:
        await source.close()
        await target.close()
