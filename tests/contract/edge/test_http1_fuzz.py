"""Bytes of any kind, cut anywhere: our protocol answers as aiohttp alone does, and goes on answering others."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from http1_pair import Pair, Told, answers_to, pair

# What ends the connection; several, because what is before may take some of it for a body.
LAST = b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" * 6
EXAMPLES, BATCH = 30, 10

verbs = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"get", b"G\x00T", b""])
targets = st.sampled_from(
    [b"/echo", b"/echo?a=b", b"/other", b"/nothing", b"/ec ho", b"*", b"http://x/echo", b"/%65cho"]
)
versions = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 ", b""])
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
bodies = st.sampled_from(
    [b"", b"abc", b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"]
)
headers = st.sampled_from(
    [
        b"Content-Length: 3",
        b"content-length:3",
        b"Content-Length: 0",
        b"Content-Length: 5",
        b"Content-Length: +3",
        b"Content-Length : 3",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Connection: close",
        b"Connection: keep-alive",
        b"X-Told: \xff\xfe",
        b"X-Told: a",
        b"X-Told:",
        b": none",
        b"X Told: a",
        b" folded",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Nearly a request."""
    end = draw(ends)
    lines = [b" ".join([draw(verbs), draw(targets), draw(versions)]), b"Host: x", *draw(st.lists(headers, max_size=3))]
    return end.join(lines) + end + end + draw(bodies)


@st.composite
def cut(draw: st.DrawFn) -> list[bytes]:
    """A few of them with some bytes changed, in pieces, and one behind that ends the connection."""
    data = bytearray(b"".join(draw(st.lists(requests(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    data += LAST
    places = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=3)))
    return [bytes(data[a:b]) for a, b in zip([0, *places], [*places, len(data)], strict=True)]


async def told_by_both(both: Pair, parts: list[bytes]) -> tuple[list[Told], list[Told]]:
    return await asyncio.gather(*(answers_to(port, parts, 1000) for port in (both.front, both.plain)))


def are_same(ours: list[Told], theirs: list[Told]) -> bool:
    """Before a request that is refused, aiohttp forgets those that came in one packet with it."""
    if 400 not in {told.status for told in (*ours, *theirs)}:
        return ours == theirs
    if not ours or not theirs or ours[-1].status != 400 or theirs[-1].status != 400:
        return False
    return all(a == b for a, b in zip(ours[:-1], theirs[:-1], strict=False))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(cut(), min_size=BATCH, max_size=BATCH))
def test_any_bytes_are_answered_as_by_aiohttp(tried: list[list[bytes]]) -> None:
    async def compare() -> None:
        async with pair() as both:
            for parts, (ours, theirs) in zip(
                tried, await asyncio.gather(*(told_by_both(both, parts) for parts in tried)), strict=True
            ):
                assert are_same(ours, theirs), (parts, ours, theirs)

    asyncio.run(compare())
