"""Logs: lines are collected and written together, and no client can write a line of its own into them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from catalog_server.telemetry.access_log import AccessLine, AccessLog, Clock
from catalog_server.telemetry.logs import LogFormat, set_up_logging


def line(path: str) -> AccessLine:
    return AccessLine(
        "2026-01-01T00:00:00.000Z", "request", "GET", path, "/a", 200, 1.5, 7, "default", "ann", "id-1", "ab12"
    )


def test_flush_of_json_lines_writes_each_request_as_one_line_in_order() -> None:
    """One JSON object for each request, in order; nothing that a client sends breaks a line in two."""
    stream, later = io.StringIO(), list[Callable[[], None]]()
    log = AccessLog(True, stream)
    for path in ("/a?x=1", '/b"\n{"forged":1}'):
        log.add(line(path), lambda _, function: later.append(function))
    assert stream.getvalue() == ""
    assert len(later) == 1
    later[0]()
    written = stream.getvalue().splitlines()
    assert [json.loads(one)["path"] for one in written] == ["/a?x=1", '/b"\n{"forged":1}']
    log.flush()
    assert len(stream.getvalue().splitlines()) == 2


def test_clock_gives_the_time_of_each_call_to_the_millisecond() -> None:
    """Also when it is asked again within a second or a millisecond, or when the clock is set back."""
    clock = Clock()
    asked = {1.5: "1970-01-01T00:00:01.500Z", 1.5004: "1970-01-01T00:00:01.500Z", 2.25: "1970-01-01T00:00:02.250Z"}
    assert {now: clock.text(now) for now in asked} == asked
    assert clock.text(0.125) == "1970-01-01T00:00:00.125Z"


FORGED = "2026-11-26T07:40:51.000000Z [info     ] ready"
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]
STEERS = ["\x1b[2J", "\x7f", "\x9b2J", "\u202e", "\u2066", "\x00", "\x08", "\ufeff", "\ud800", "\U000e0001"]


@pytest.fixture
def configured() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)
    logging.captureWarnings(False)


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


@pytest.mark.parametrize("text", [*BREAKS, *STEERS[:-2]], ids=ascii)
@pytest.mark.parametrize("is_json", [True, False])
def test_an_access_line_when_its_path_is_hostile_then_is_one_line_of_printable_text(is_json: bool, text: str) -> None:
    stream = io.StringIO()
    log = AccessLog(is_json, stream)
    log.add(line(f"/a{text}{FORGED}"), lambda *_: None)
    log.flush()
    written = stream.getvalue()
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    if is_json:
        assert json.loads(written)["path"] == f"/a{text}{FORGED}"
