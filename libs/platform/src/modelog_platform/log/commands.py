"""What the command line calls for the log, found by the entry points `modelog.platform`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from modelog_common.config import SQLITE
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_proofs import Report

from modelog_platform.commands import for_the_caller
from modelog_platform.folder import PlatformFolder
from modelog_platform.log import backup, restore, transfer
from modelog_platform.log.backup import Made, Source
from modelog_platform.log.files import Progress as Steps
from modelog_platform.log.places import places_of, with_bucket_of
from modelog_platform.log.restore import Target
from modelog_platform.log.stores import opened, shown
from modelog_platform.log.transfer import Moved, Progress, Signed
from modelog_platform.profile import EMBEDDED, load_profile
from modelog_platform.servers.catalogue import install

if TYPE_CHECKING:
    from modelog_platform.log.folding import Failure


def export_events(address: str, file: Path, first: int, until: int | None, progress: Progress) -> Moved:
    """Write a store's events into a file."""

    async def run() -> Moved:
        async with opened(address) as store:
            return await transfer.export_log(store, file, first, until, progress)

    with for_the_caller():
        return asyncio.run(run())


def import_events(address: str, file: Path, signed: Signed | None, progress: Progress) -> Moved:
    """Add a file's events to a store; `signed` is a checkpoint's note and the public key."""

    async def run() -> Moved:
        async with opened(address, make=True) as store:
            return await transfer.import_log(store, file, progress, signed=signed)

    with for_the_caller():
        return asyncio.run(run())


def renew_store(address: str) -> int:
    """Give a log another history; returns its last position."""

    async def run() -> int:
        async with opened(address) as store:
            await store.renew()
            return await store.head()

    with for_the_caller():
        return asyncio.run(run())


def verify_store_at(address: str, note: str, key: str) -> Report:
    """Hold what the store at an address gives against a signed checkpoint."""

    async def run() -> Report:
        async with opened(address) as store:
            return await transfer.verified(store, note, key, shown(address))

    with for_the_caller():
        return asyncio.run(run())


def first_failure_at(address: str, until: int) -> Failure | None:
    """The first event of the store at an address that cannot be decoded or folded, up to a position."""
    # It stands on the code of all services, which nothing else here needs.
    from modelog_platform.log.folding import first_failure

    async def run() -> Failure | None:
        async with opened(address) as store:
            return await first_failure(store, until)

    with for_the_caller():
        return asyncio.run(run())


def create_backup(data_dir: Path, store: str, folder: Path, until: int | None, secrets: bool, progress: Steps) -> Made:
    """Back up the platform of a data directory; `store` is the address of its log, if it has not run there."""
    platform = PlatformFolder(data_dir.absolute())

    async def run() -> Made:
        places = places_of(platform, store)
        if places.event_store.startswith(SQLITE) and not places.event_store_path().is_file():
            raise NotFound(f"{data_dir} has no log of its own; give the address of its log with --store")
        async with opened(places.event_store) as log:
            source = Source(platform.data, platform.secrets if secrets else None, places)
            return await backup.create(log, source, folder, until, progress)

    with for_the_caller(), with_bucket_of(platform.read_settings()):
        return asyncio.run(run())


def verify_backup(folder: Path, key: str, progress: Steps) -> tuple[int, list[str]]:
    """The position of the newest backup in a folder, and what is wrong with it."""
    with for_the_caller():
        chosen = restore.choose(folder, None)
        return chosen.position, restore.failures(chosen, key, progress)


def restore_backup(
    folder: Path,
    data_dir: Path,
    store: str,
    until: int | None,
    keep_audit_key: bool,
    key: str,
    progress: Steps,
    erased: Path | None = None,
    profile: str = EMBEDDED,
) -> int:
    """Restore a platform into a data directory, or its log into a store; returns the last position."""
    with for_the_caller():
        behind = load_profile(profile).behind
        log_in, blobs_in = behind["events"], behind["blobs"]
        if store and log_in != EMBEDDED:
            raise NotAllowed(f"the log goes into {log_in} of the profile {profile}, or into --store; leave one out")
        servers = [part for part in (log_in, blobs_in) if part != EMBEDDED]
        install(servers, lambda name, step: progress(f"{name}: {step}", 0, 0))
        target = Target(data_dir.absolute(), store, until, keep_audit_key, erased, log_in, blobs_in)
        return asyncio.run(restore.restore(restore.choose(folder, target.until), target, key, progress))
