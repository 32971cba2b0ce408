"""Posts a body once: no redirect is followed, and what is answered is read as far as it is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from modelog_common.outbound.reach import Reach

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 30.0
SHOWN_BYTES = 1000
AT_ONCE = 100


@dataclass(frozen=True)
class Posted:
    """What came of it; `status` is 0 and `error` says why when nobody answered."""

    status: int
    answer: str
    latency_ms: float
    error: str = ""
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Poster:
    """Connections are kept for the next one. Use `async with`.

    The library is loaded for the first one: a service that has nothing to post starts without it.
    """

    def __init__(self, reach: Reach, timeout_s: float = TIMEOUT_S) -> None:
        self._reach, self._timeout_s = reach, timeout_s
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Send it once; the address is left out of the error."""
        import aiohttp

        session = self._session("http" if url.startswith("http:") else "https")
        started = time.perf_counter()
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                text = (await answer.content.read(SHOWN_BYTES)).decode(errors="replace")
                return Posted(answer.status, text, _since(started), "", _retry_after(answer))
        except TimeoutError:
            return Posted(0, "", _since(started), f"did not answer in {self._timeout_s:g} s")
        except (aiohttp.ClientError, ValueError, OSError) as error:
            told = f"{type(error).__name__}: {error}".replace(url, "its address")
            return Posted(0, "", _since(started), told[:SHOWN_BYTES])

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        import aiohttp

        if scheme not in self._sessions:
            self._sessions[scheme] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=AT_ONCE, socket_factory=partial(self._reach.open_socket, plain=scheme == "http")
                ),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                # No proxy of the environment: the address that is checked would be the proxy's.
                trust_env=False,
                # A short answer may unpack to a very long one.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[scheme]


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    """RFC 9110, section 10.2.3: seconds, or a date, which is measured against the date of the answer."""
    given = answer.headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return float(given[:9])
    try:
        at, now = parsedate_to_datetime(given), parsedate_to_datetime(answer.headers.get("Date", ""))
        return max(0.0, (at - now).total_seconds())
    except (ValueError, TypeError):
        return None
