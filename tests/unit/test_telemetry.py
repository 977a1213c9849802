"""The access log: lines are collected and written together."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

from catalog_server.telemetry import AccessLine, AccessLog, Clock


def line(path: str) -> AccessLine:
    return AccessLine("2026-01-01T00:00:00.000Z", "request", "GET", path, "/a", 200, 1.5, 7, "default", "id-1")


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
