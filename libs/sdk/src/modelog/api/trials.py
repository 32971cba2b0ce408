"""Trials of versions, soon after they are registered."""

from __future__ import annotations

import time
from typing import Callable, Optional
from urllib.parse import quote

from modelog.errors import NotAllowed, Unavailable
from modelog.transport import Transport
from modelog.types.serving import VersionTrial

LOOK_S = 0.5


class Trials:
    """What became of versions when they were tried, apart from traffic."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str, version: str, *, as_of: Optional[str] = None) -> VersionTrial:
        """The trial of a version."""
        path = f"/api/v1/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/trial"
        return self._transport.get(path, VersionTrial, as_of=as_of)

    def wait(
        self, model: str, version: str, *, timeout_s: float = 600.0, say: Optional[Callable[[str], None]] = None
    ) -> VersionTrial:
        """The trial of a version once it is over; `say` is told what is done with it, whenever that is something else.

        Raises NotAllowed where versions are not tried, Unavailable after `timeout_s`.
        """
        until, told = time.monotonic() + timeout_s, ""
        while True:
            found = self.get(model, version)
            if not found.waiting:
                return found
            if not found.trying:
                raise NotAllowed(found.doing)
            doing = found.doing or "it waits for its turn"
            if time.monotonic() > until:
                raise Unavailable(f"{model} {version} was not tried within {timeout_s:g} s; {doing}")
            if say is not None and doing != told:
                say(doing)
            told = doing
            time.sleep(LOOK_S)
