"""Whoever was erased after a backup stays erased when it is restored: their keys are destroyed in it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from modelog_common.adapters import open_key_store
from modelog_common.domain.errors import Invalid
from modelog_common.privacy.keys import Erasure


def read_erasures(file: Path) -> list[Erasure]:
    """The list that `modelog keys erased --json` printed. Raises Invalid for anything else."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Erasure])
    except OSError as error:
        raise Invalid.field("erased", f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        wanted = "what `modelog keys erased --json` prints"
        raise Invalid.field("erased", f"{file} is no list of erasures: {error}; allowed: {wanted}") from error


async def erase_again(address: str, erasures: Sequence[Erasure]) -> None:
    """Destroy these keys in a key store; the gateway then adds to the log, when it starts, the events that lack."""
    keys = open_key_store(address)
    try:
        for erasure in erasures:
            await keys.destroy(erasure)
    finally:
        await keys.close()
