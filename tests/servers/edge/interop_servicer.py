"""The server's part of gRPC's interoperability cases, as doc/interop-test-descriptions.md of grpc/grpc has it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

sys.path.append(str(Path(__file__).parent))
messages, services = grpc.protos_and_services("interop.proto")
ECHO_INITIAL, ECHO_TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


class TestService(services.TestServiceServicer):
    async def EmptyCall(self, request: Any, context: Any) -> Any:
        return messages.Empty()

    async def UnaryCall(self, request: Any, context: Any) -> Any:
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        await echo(context)
        await fail_if_asked(request, context)
        return messages.SimpleResponse(payload={"body": bytes(request.response_size)})

    async def StreamingOutputCall(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if any(wanted.compressed.value for wanted in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        async for answer in answers(request, context):
            yield answer

    async def StreamingInputCall(self, requests: Any, context: Any) -> Any:
        size = sum([len(request.payload.body) async for request in requests])
        return messages.StreamingInputCallResponse(aggregated_payload_size=size)

    async def FullDuplexCall(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        await echo(context)
        async for request in requests:
            await fail_if_asked(request, context)
            async for answer in answers(request, context):
                yield answer


async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
    for wanted in request.response_parameters:
        # A pause that the client asks for.
        await asyncio.sleep(wanted.interval_us / 1_000_000)
        if wanted.HasField("compressed") and not wanted.compressed.value:
            context.disable_next_message_compression()
        yield messages.StreamingOutputCallResponse(payload={"body": bytes(wanted.size)})


async def echo(context: Any) -> None:
    """Send back the two names that the case custom_metadata is about."""
    given = dict(context.invocation_metadata())
    if ECHO_TRAILING in given:
        context.set_trailing_metadata(((ECHO_TRAILING, given[ECHO_TRAILING]),))
    if ECHO_INITIAL in given:
        await context.send_initial_metadata(((ECHO_INITIAL, given[ECHO_INITIAL]),))


async def fail_if_asked(request: Any, context: Any) -> None:
    if request.response_status.code:
        await context.abort(CODES[request.response_status.code], request.response_status.message)
