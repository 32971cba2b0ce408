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
        return self._transport.get(_path(model, version), VersionTrial, as_of=as_of)

    def again(self, model: str, version: str, reason: str = "") -> VersionTrial:
        """Have a version tried again, whatever is known of its file; what is known holds until it was: see `wait`.

        Raises NotAllowed where versions are not tried.
        """
        return self._transport.post(_path(model, version), VersionTrial, {"reason": reason})

    def wait(
        self, model: str, version: str, *, timeout_s: float = 600.0, say: Optional[Callable[[str], None]] = None
    ) -> VersionTrial:
        """The trial of a version once it is over, and nobody asks for another one.

        `say` is told what is done with it, whenever that is something else.

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


def _path(model: str, version: str) -> str:
    return f"/api/v1/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/trial"
