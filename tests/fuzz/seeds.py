"""Where the fuzzer begins: calls of every kind, settings, plain requests; and a mutation that knows frames."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import hpack
import inputs
from fed_edge import BEGIN, METHODS, head
from modelog_common.edge import frames
from wrong_server import FIRST, data

MESSAGE = frames.frame(frames.DATA, frames.END_STREAM, 1, b"\0\0\0\0\3abc")
# The headers of an answer.
ANSWER = hpack.Encoder().encode(FIRST)


def edge_seeds() -> list[bytes]:
    """Connections of the gRPC edge."""
    calls = [frames.frame(frames.HEADERS, frames.END_HEADERS, 1, head(method)) + MESSAGE for method in METHODS]
    # What a call without a task does, by the first letter.
    calls += [calls[0].replace(b"abc", letter + b"bc") for letter in (b"n", b"l", b"h", b"f")]
    odd = [
        frames.settings({frames.INITIAL_WINDOW_SIZE: 1}),
        frames.window_update(0, 70_000),
        frames.rst_stream(1, 8),
        frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
        frames.frame(frames.HEADERS, 0, 1, head("Echo")[:9])
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, head("Echo")[9:])
        + MESSAGE,
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, head("Join", [("grpc-encoding", "gzip")])) + MESSAGE,
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, head("Held", [("grpc-timeout", "1n")])) + MESSAGE,
    ]
    return [bytes((cut, takes)) + BEGIN + call for call in (*calls, *odd) for cut, takes in ((0, 0), (7, 1))]


def client_seeds() -> list[bytes]:
    """What servers send to our own client, which has three calls under way."""
    last = hpack.Encoder().encode([("grpc-status", "0"), ("grpc-message", "%41"), ("a-bin", "AAA")])
    zipped = hpack.Encoder().encode([*FIRST, ("grpc-encoding", "gzip")])
    begun = frames.frame(frames.HEADERS, frames.END_HEADERS, 1, ANSWER)
    ended = frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, last)
    message = data(1, b"abc")
    packed = gzip.compress(b"abc", mtime=0)
    streams = [
        begun + message + ended,
        begun + message + message + ended,
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, zipped) + data(1, packed, flag=1),
        frames.frame(frames.HEADERS, frames.END_STREAM, 1, ANSWER[:1])
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, ANSWER[1:]),
        frames.settings({frames.MAX_CONCURRENT_STREAMS: 1, frames.INITIAL_WINDOW_SIZE: 1}) + begun,
        frames.window_update(0, 70_000) + frames.window_update(1, 1),
        begun + frames.rst_stream(1, 8) + frames.rst_stream(3, 7),
        frames.frame(frames.PING, 0, 0, bytes(8)) + frames.goaway(1, 0) + begun + message + ended,
        frames.frame(frames.HEADERS, 5, 1, hpack.Encoder().encode([(":status", "503"), ("content-type", "text/html")])),
    ]
    return [bytes((cut, takes)) + stream for stream in streams for cut, takes in ((0, 0), (7, 1))]


def http1_seeds() -> list[bytes]:
    """Connections of HTTP/1.1."""
    requests = [
        b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /echo?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 23\r\n\r\n"
        + gzip.compress(b"abc", mtime=0),
        b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HEAD /echo HTTP/1.0\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    ]
    # What is done with a request without a task, by the first letter.
    requests += [requests[1].replace(b"abc", letter + b"bc") for letter in (b"n", b"l", b"h", b"o")]
    return [bytes((cut, 0)) + request * 2 for request in requests for cut in (0, 9)]


def frame_mutation(data: bytes, most: int, seed: int, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """Change one frame and leave the others whole, as bytes changed anywhere would not; at times change any byte."""
    draw = random.Random(seed)
    # What a client sends begins with its preface, what a server sends does not.
    preface = data.find(frames.PREFACE)
    start = inputs.CONTROL_BYTES if preface < 0 else preface + len(frames.PREFACE)
    if len(data) < start or draw.random() < 0.15:
        return mutate(data, most)
    parts = _frames_of(data[start:])
    at = draw.randrange(len(parts)) if parts else 0
    choice = draw.randrange(6)
    if not parts or choice == 0:
        block = ANSWER if preface < 0 else head(draw.choice(METHODS))
        parts.insert(at, frames.frame(frames.HEADERS, draw.choice([0, 1, 4, 5]), draw.randrange(1, 12), block))
    elif choice == 1:
        parts.insert(at, draw.choice(parts))
    elif choice == 2:
        del parts[at]
    elif choice == 3:
        other = draw.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    else:
        parts[at] = _changed(parts[at], draw, mutate)
    return (data[:start] + b"".join(parts))[:most]


def _frames_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = frames.HEAD_BYTES + int.from_bytes(data[:3], "big")
        found.append(data[:end])
        data = data[end:]
    return found


def _changed(part: bytes, draw: random.Random, mutate: Callable[[bytes, int], bytes]) -> bytes:
    if len(part) < frames.HEAD_BYTES:
        return mutate(part, 64) if part else part
    kind, flags, number, payload = part[3], part[4], int.from_bytes(part[5:9], "big"), part[frames.HEAD_BYTES :]
    field = draw.randrange(5)
    if field == 0:
        kind = draw.randrange(12)
    elif field == 1:
        flags ^= 1 << draw.randrange(8)
    elif field == 2:
        number = draw.choice([0, 1, 2, 3, 5, 7, number + 2])
    else:
        payload = mutate(payload, len(payload) + 20) if payload else bytes(draw.randrange(1, 20))
    return frames.frame(kind, flags, number & 0x7FFFFFFF, payload)
