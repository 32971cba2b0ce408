"""Running the handler of a call, of any of the four kinds and in either of the styles that grpc.aio allows."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog

from modelog_common.edge.call import Call
from modelog_common.edge.messages import BadMessage
from modelog_common.edge.status import Code, Status

log = structlog.get_logger()


async def handle(call: Call) -> None:
    """Run the handler to its end, and end the call by how it went."""
    handler = call.handler
    try:
        if handler.response_streaming:
            await _answers(call, handler.stream_stream if handler.request_streaming else handler.unary_stream)
        elif handler.request_streaming:
            call.answer(await _answer(handler.stream_unary, _requests(call), call))
        else:
            call.answer(await _answer(handler.unary_unary, call.parsed(call.request), call))
    except grpc.aio.AbortError:
        call.end(call.status())
    except BadMessage as bad:
        call.end(bad.status)
    except Exception as error:
        if call.code() in (None, Code.OK):
            log.exception("a handler failed")
            # Not what went wrong: it is nobody's outside.
            call.end(Status(Code.UNKNOWN, f"the handler failed with {type(error).__name__}"))
        else:
            call.end(call.status())


async def _answer(handle: Any, request: Any, call: Call) -> Any:
    # The generated base class answers with plain functions.
    answer = handle(request, call)
    return await answer if inspect.isawaitable(answer) else answer


async def _answers(call: Call, handle: Any) -> None:
    request = _requests(call) if call.handler.request_streaming else call.parsed(call.request)
    answers = handle(request, call)
    if inspect.isasyncgen(answers):
        try:
            async for answer in answers:
                await call.write(answer)
        finally:
            await answers.aclose()
    elif inspect.isawaitable(answers):
        await answers
    call.end(call.status())


async def _requests(call: Call) -> AsyncIterator[Any]:
    while (message := await call.next_message()) is not None:
        yield call.parsed(message)
