"""Structured logs: one JSON object a line on stderr, for our own events and for those of libraries alike.

Our own go straight to the stream, for each call of a service leaves a line; those of libraries come by `logging`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from opentelemetry import trace

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Libraries that tell each request at level info.
NOISY = ("httpx", "urllib3", "neo4j", "asyncio", "aiosqlite")
log = structlog.get_logger()


@dataclass(frozen=True)
class _Configured:
    """What `configure` set up; `add` puts the service into a line, `told` says whether those at level info are told."""

    processors: Sequence[Any]
    wrapper: type[Any]
    factory: Any
    add: Any
    told: bool
    out: Any

    def stands(self) -> bool:
        """Whether nobody, as tests do, has changed it since."""
        now = structlog.get_config()
        processors: Sequence[Any] = now["processors"]
        return (
            processors is self.processors
            and processors[-1:] == [_as_json]
            and now["wrapper_class"] is self.wrapper
            and now["logger_factory"] is self.factory
        )


_configured: list[_Configured] = []


def configure(service: str, level: str = "info", out: TextIO | None = None) -> None:
    """Send everything at `level` (debug, info, warning, error) and above to `out` (stderr) as JSON lines.

    Each line has: timestamp (ISO 8601, UTC), level, event, service; correlation_id and trace_id inside a call.
    """
    add = _adder(service)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    stream = out if out is not None else sys.stderr
    processors, factory = [*shared, _as_json], structlog.WriteLoggerFactory(stream)
    wrapper = structlog.make_filtering_bound_logger(LEVELS[level])
    structlog.configure(
        processors=processors, logger_factory=factory, wrapper_class=wrapper, cache_logger_on_first_use=False
    )
    told = LEVELS[level] <= logging.INFO
    _configured[:] = [_Configured(processors, wrapper, factory, add, told, factory())]
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


def call_line(event: str, fields: dict[str, Any]) -> None:
    """The line that a call leaves, at level info: as structlog writes it, in half of the time.

    Where structlog is not as `configure` left it, it goes its way.
    """
    if not _configured or not _configured[0].stands():
        log.info(event, **fields)
        return
    configured = _configured[0]
    if not configured.told:
        return
    line = {**fields, "event": event}
    for name, value in structlog.contextvars.get_contextvars().items():
        line.setdefault(name, value)
    line["level"] = "info"
    line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    configured.out.info(_as_json(None, "info", configured.add(None, "info", line)))


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
