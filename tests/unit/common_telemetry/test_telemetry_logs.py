"""Log lines: JSON, one a line, with what is needed to find the call and the trace."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog
from modelog_common.telemetry import logs, traces

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was logged since, at level info."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    out = io.StringIO()
    logs.configure("registry", "info", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_has_service_level_event_and_time(lines: Lines) -> None:
    structlog.get_logger().info("sealed", batches=3, note="ä\n")
    (line,) = lines()
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.utcoffset() is not None
    assert at.utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert line == {"event": "sealed", "batches": 3, "note": "ä\n", "level": "info", "service": "registry"}


def test_what_is_no_json_is_a_line_all_the_same(lines: Lines) -> None:
    structlog.get_logger().info("odd", half="\ud800", kinds={(1, 2): "a"}, error=ValueError("x"))
    structlog.get_logger().info("next")
    odd, following = lines()
    assert (odd["event"], odd["half"], odd["error"]) == ("odd", "\ud800", "x")
    assert following["event"] == "next"


def test_lines_carry_what_is_bound_to_the_call_and_the_trace(lines: Lines) -> None:
    traces.configure("tests")
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"), traces.span("work"):
        structlog.get_logger().warning("odd")
        expected = traces.trace_id()
    (line,) = lines()
    assert (line["correlation_id"], line["trace_id"], line["level"]) == ("c-1", expected, "warning")


def test_libraries_lines_look_the_same(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        logging.getLogger("some.library").warning("lost %s", "connection")
    (line,) = lines()
    assert (line["event"], line["service"], line["correlation_id"]) == ("lost connection", "registry", "c-1")


def test_what_is_below_the_level_is_left_out(lines: Lines) -> None:
    structlog.get_logger().debug("detail")
    logging.getLogger("some.library").debug("detail")
    logging.getLogger("urllib3").info("a request")
    assert lines() == []


def test_an_exception_stays_on_one_line(lines: Lines) -> None:
    try:
        raise KeyError("model")
    except KeyError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert "KeyError: 'model'" in line["exception"]


def test_values_that_json_does_not_know_are_written_as_text(lines: Lines) -> None:
    structlog.get_logger().info("odd", value={1, 2}, error=ValueError("x"))
    (line,) = lines()
    assert "x" in line["error"]


def test_configuring_again_does_not_double_the_lines(lines: Lines) -> None:
    again = io.StringIO()
    logs.configure("registry", "error", again)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in again.getvalue().splitlines()] == ["loud"]
    assert lines() == []


FIELDS: list[dict[str, Any]] = [
    {"code": "OK", "calls": 8, "correlation_ids": ["a", "b"], "latency_ms": 0.3},
    {"half": "\ud800", "error": ValueError("x")},
    {"correlation_id": "the call's own", "service": "the call's own"},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_a_calls_line_is_what_structlog_would_write(lines: Lines, fields: dict[str, Any]) -> None:
    traces.configure("tests")
    for bound in ({}, {"correlation_id": "c-1", "user": "alice"}):
        with structlog.contextvars.bound_contextvars(**bound), traces.span("work"):
            logs.call_line("call", fields)
            structlog.get_logger().info("call", **fields)
        logs.call_line("call", fields)
        structlog.get_logger().info("call", **fields)
    told = lines()
    assert len(told) == 8
    for line in told:
        assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert told[::2] == told[1::2]
    assert told[0]["trace_id"]


def test_a_calls_line_goes_where_structlogs_lines_go(lines: Lines) -> None:
    with structlog.testing.capture_logs() as captured:
        logs.call_line("call", {"code": "OK"})
    assert captured == [{"code": "OK", "event": "call", "log_level": "info"}]
    assert lines() == []
    logs.call_line("call", {"code": "OK"})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logs.call_line("call", {"code": "not told"})
    assert [line["code"] for line in lines()] == ["OK"]


def test_a_calls_line_is_left_out_below_the_level() -> None:
    root = logging.getLogger()
    before, level, out = root.handlers, root.level, io.StringIO()
    try:
        logs.configure("registry", "warning", out)
        logs.call_line("call", {"code": "OK"})
        assert out.getvalue() == ""
    finally:
        root.handlers = before
        root.setLevel(level)
        structlog.reset_defaults()
