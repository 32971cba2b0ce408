"""A KurrentDB in memory that speaks its gRPC protocol: what the adapter uses, as the server documents it.

Built on the service stubs that kurrentdbclient ships. It appends at an expected revision and answers a repeated append
of the same ids as the first one, reads streams and $all forwards and backwards, subscribes, and refuses what is
larger than an append may be. No clusters, access control, links, projections or deletion.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import empty_pb2
from kurrentdbclient.protos.v1 import shared_pb2, status_pb2, streams_pb2, streams_pb2_grpc
from kurrentdbclient.unpack_error_status import pack_any

MAX_APPEND_BYTES = 16 * 1024 * 1024
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Kept:
    """An event, at its revision in its stream and at its place in $all."""

    stream: bytes
    revision: int
    place: int
    id: str
    metadata: dict[str, str]
    custom_metadata: bytes
    data: bytes


class StandIn(streams_pb2_grpc.StreamsServicer):
    """All streams of one server."""

    def __init__(self, max_append_bytes: int = MAX_APPEND_BYTES) -> None:
        self.port = 0
        self._max_append_bytes = max_append_bytes
        self._all: list[Kept] = []
        self._streams: dict[bytes, list[Kept]] = {}
        self._appended = asyncio.Event()
        self._server = grpc.aio.server(options=OPTIONS)

    async def start(self) -> None:
        streams_pb2_grpc.add_StreamsServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def BatchAppend(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Messages gather by correlation id until the final one, and are then appended all or none."""
        gathered: dict[str, list[Any]] = {}
        options: dict[str, Any] = {}
        async for request in requests:
            key = request.correlation_id.string
            gathered.setdefault(key, []).extend(request.proposed_messages)
            if request.HasField("options"):
                options[key] = request.options
            if request.is_final:
                response = self._append(options.pop(key), gathered.pop(key))
                response.correlation_id.CopyFrom(request.correlation_id)
                yield response

    def _append(self, options: Any, messages: list[Any]) -> Any:
        name = options.stream_identifier.stream_name
        stream = self._streams.get(name, [])
        if sum(len(m.data) + len(m.custom_metadata) for m in messages) > self._max_append_bytes:
            return _error(shared_pb2.MaximumAppendSizeExceeded(maxAppendSize=self._max_append_bytes))
        expected = _expected(options)
        start = len(stream) if expected is None else expected + 1
        repeated = stream[start : start + len(messages)]
        if repeated and [k.id for k in repeated] == [m.id.string for m in messages]:
            return _success(repeated[-1])
        if expected is not None and expected != len(stream) - 1:
            wrong = shared_pb2.WrongExpectedVersion()
            if stream:
                wrong.current_stream_revision = len(stream) - 1
            else:
                wrong.current_no_stream.CopyFrom(empty_pb2.Empty())
            return _error(wrong)
        for m in messages:
            created = {"created": str(time.time_ns() // 100)}
            kept = Kept(
                name, len(stream), len(self._all), m.id.string, dict(m.metadata) | created, m.custom_metadata, m.data
            )
            stream.append(kept)
            self._all.append(kept)
        self._streams[name] = stream
        self._appended.set()
        self._appended = asyncio.Event()
        return _success(stream[-1])

    async def Read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        options = request.options
        backwards = options.read_direction == options.Backwards
        name = None
        if options.WhichOneof("stream_option") == "stream":
            name = options.stream.stream_identifier.stream_name
        subscription = options.WhichOneof("count_option") == "subscription"
        if subscription:
            yield streams_pb2.ReadResp(confirmation=streams_pb2.ReadResp.SubscriptionConfirmation(subscription_id="s"))
        elif name is not None and name not in self._streams:
            missing = shared_pb2.StreamIdentifier(stream_name=name)
            yield streams_pb2.ReadResp(stream_not_found=streams_pb2.ReadResp.StreamNotFound(stream_identifier=missing))
            return
        at = self._start(options, name, backwards)
        left = None if subscription else options.count
        while left is None or left > 0:
            appended = self._appended
            log = self._all if name is None else self._streams.get(name, [])
            if 0 <= at < len(log):
                yield streams_pb2.ReadResp(event=_read_event(log[at]))
                at += -1 if backwards else 1
                left = None if left is None else left - 1
            elif subscription:
                await appended.wait()
            else:
                return

    def _start(self, options: Any, name: bytes | None, backwards: bool) -> int:
        """Where reading begins; a subscription begins after the place that it names."""
        log = self._all if name is None else self._streams.get(name, [])
        where = options.all if name is None else options.stream
        after = 1 if options.WhichOneof("count_option") == "subscription" else 0
        match where.WhichOneof("all_option" if name is None else "revision_option"):
            case "revision":
                return int(where.revision) + after
            case "position":
                return int(where.position.commit_position) + after
            case "end":
                return len(log) - 1 if backwards else len(log)
            case _:
                return 0


def _expected(options: Any) -> int | None:
    """The revision that the stream must have; -1 for no stream, None for any."""
    match options.WhichOneof("expected_stream_position"):
        case "stream_position":
            return int(options.stream_position)
        case "no_stream":
            return -1
        case "any":
            return None
        case other:
            raise NotImplementedError(f"the adapter never asks for {other}")


def _success(last: Kept) -> Any:
    place = shared_pb2.AllStreamPosition(commit_position=last.place, prepare_position=last.place)
    return streams_pb2.BatchAppendResp(
        success=streams_pb2.BatchAppendResp.Success(current_revision=last.revision, position=place)
    )


def _error(what: Any) -> Any:
    return streams_pb2.BatchAppendResp(error=status_pb2.Status(message=type(what).__name__, details=pack_any(what)))


def _read_event(kept: Kept) -> Any:
    event = streams_pb2.ReadResp.ReadEvent.RecordedEvent(
        id=shared_pb2.UUID(string=kept.id),
        stream_identifier=shared_pb2.StreamIdentifier(stream_name=kept.stream),
        stream_revision=kept.revision,
        prepare_position=kept.place,
        commit_position=kept.place,
        metadata=kept.metadata,
        custom_metadata=kept.custom_metadata,
        data=kept.data,
    )
    return streams_pb2.ReadResp.ReadEvent(event=event, commit_position=kept.place)
