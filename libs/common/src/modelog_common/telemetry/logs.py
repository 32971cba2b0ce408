"""Structured logs: one JSON object a line on stderr, for our own events and for those of libraries alike.

Our own go straight to the stream, for each call of a service leaves a line; those of libraries come by `logging`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog
from opentelemetry import trace

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Libraries that tell each request at level info.
NOISY = ("httpx", "urllib3", "neo4j", "asyncio", "aiosqlite")


def configure(service: str, level: str = "info", out: TextIO | None = None) -> None:
    """Send everything at `level` (debug, info, warning, error) and above to `out` (stderr) as JSON lines.

    Each line has: timestamp (ISO 8601, UTC), level, event, service; correlation_id and trace_id inside a call.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _adder(service),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    stream = out if out is not None else sys.stderr
    structlog.configure(
        processors=[*shared, _as_json],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_json],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS[level])
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))


def _adder(service: str) -> Any:
    def add(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event.setdefault("service", service)
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            event.setdefault("trace_id", trace.format_trace_id(span.trace_id))
        return event

    return add


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (UnicodeEncodeError, msgspec.MsgspecError, TypeError, ValueError):
        # Half a surrogate pair, a key that is no text: whatever it is, there is a line.
        return json.dumps(event, default=str, skipkeys=True)
