"""Logs: no value can write a line of its own into them, and what happens in a trace names it."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from catalog_server.telemetry import traces
from catalog_server.telemetry.logs import LogFormat, set_up_logging
from catalog_server.telemetry.traces import Trace, Tracer

FORGED = "2026-11-26T07:40:51.000000Z [info     ] ready"
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]
STEERS = ["\x1b[2J", "\x7f", "\x9b2J", "\u202e", "\u2066", "\x00", "\x08", "\ufeff", "\ud800", "\U000e0001"]


@pytest.mark.parametrize("text", [*BREAKS, *STEERS], ids=ascii)
@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.usefixtures("configured")
def test_a_value_when_hostile_then_is_one_line_of_printable_text(log_format: LogFormat, text: str) -> None:
    """User names, paths and correlation ids: as values, inside of lists, as the event, and in what libraries log."""
    stream = io.StringIO()
    set_up_logging(log_format, "INFO", stream)
    hostile = f"ann{text}{FORGED}"
    log = structlog.get_logger()
    log.info("request", user=hostile, groups=[hostile], where={"path": hostile})
    log.info(hostile)
    logging.getLogger("library").warning("bad %s", hostile)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 3
    for line in lines:
        assert line.isprintable()
        assert not line.startswith(FORGED)
    if log_format == "json":
        assert json.loads(lines[0])["groups"] == [hostile]


@pytest.mark.parametrize("text", BREAKS, ids=ascii)
@pytest.mark.usefixtures("configured")
def test_a_traceback_when_its_error_is_hostile_then_no_line_of_it_looks_like_ours(text: str) -> None:
    stream = io.StringIO()
    set_up_logging("text", "INFO", stream)
    try:
        raise ValueError(f"no such thing: {text}{FORGED}")
    except ValueError:
        structlog.get_logger().exception("failed")
    first, *lines, last = stream.getvalue().split("\n")
    assert "failed" in first
    assert last == ""
    assert all(line.startswith("  | ") and line.isprintable() for line in lines)
    assert any("ValueError" in line for line in lines)


@pytest.mark.usefixtures("configured")
def test_a_line_in_a_trace_names_it() -> None:
    stream = io.StringIO()
    set_up_logging("json", "INFO", stream)
    trace = Trace(Tracer())
    token = traces.current.set(trace)
    structlog.get_logger().info("inside")
    traces.current.reset(token)
    structlog.get_logger().info("outside")
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert inside["trace_id"] == trace.span.trace_id
    assert "trace_id" not in outside
