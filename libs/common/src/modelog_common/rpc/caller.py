"""What every call to another service carries and leaves: identity, ids, its span; and its error, as a domain error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7_text
from modelog_common.rpc.call import call_or_none
from modelog_common.rpc.errors import error_of
from modelog_common.rpc.pipeline import AUTHORIZATION_KEY, CORRELATION_KEY, REQUEST_KEY
from modelog_common.telemetry import metrics, traces

Pair = tuple[str, str | bytes]
Token = str | Callable[[], str]


class Caller:
    """What all four kinds of calls share: their metadata, their span, their errors."""

    def __init__(self, token: Token, forward: bool, unary_deadline_s: float) -> None:
        self._token, self._forward, self.unary_deadline_s = token, forward, unary_deadline_s

    def start(self, details: Any, deadline_s: float | None) -> tuple[Any, Span]:
        """The call's details with what every call carries, and its span."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        metadata, span = self.begun(method.lstrip("/"), details.metadata)
        timeout = deadline_s if details.timeout is None else details.timeout
        return details._replace(metadata=grpc.aio.Metadata(*metadata), timeout=timeout), span

    def begun(self, name: str, given: Iterable[Pair] | None) -> tuple[list[Pair], Span]:
        """A call's metadata, with what every call carries besides what was `given`; and its span, called `name`."""
        span = traces.tracer.start_span(name, kind=SpanKind.CLIENT)
        carried = self._metadata(span)
        if not given:
            return list(carried.items()), span
        own = list(given)
        names = {name for name, _ in own}
        return own + [pair for pair in carried.items() if pair[0] not in names], span

    def _metadata(self, span: Span) -> dict[str, str]:
        call = call_or_none()
        if self._forward and call is not None and call.token:
            token = call.token
        else:
            token = self._token() if callable(self._token) else self._token
        # However often this call is sent, it is one request: a command whose message names none happens once too.
        found = {REQUEST_KEY: uuid7_text()}
        found[CORRELATION_KEY] = call.correlation_id if call is not None else uuid7_text()
        if token:
            found[AUTHORIZATION_KEY] = f"Bearer {token}"
        return found | traces.carrier(set_span_in_context(span))


def failed(span: Span, error: grpc.aio.AioRpcError) -> ModelogError:
    """The domain error that a failed call means, which its span is told of as well."""
    span.set_attribute(metrics.ATTRIBUTE_CODE, error.code().name)
    span.set_status(StatusCode.ERROR)
    return error_of(error)
