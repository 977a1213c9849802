"""The access log: lines are collected and written together, and no client can write a line of its own into it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable

import pytest
import structlog

from catalog_server.telemetry.access_log import AccessLine, AccessLog, Clock
from catalog_server.telemetry.logs import set_up_logging
from tests.unit.telemetry.test_logs import BREAKS, FORGED, STEERS


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


def test_a_text_line_names_user_tenant_request_and_trace() -> None:
    stream = io.StringIO()
    log = AccessLog(False, stream)
    log.add(line("/a"), lambda *_: None)
    log.flush()
    assert stream.getvalue().endswith(" GET /a 200 1.5ms 7B ns=default user=ann id=id-1 trace=ab12\n")


@pytest.mark.parametrize("is_json", [True, False])
def test_a_trace_that_nobody_knows_of_is_left_out(is_json: bool) -> None:
    stream = io.StringIO()
    log = AccessLog(is_json, stream)
    given = AccessLine("2026-01-01T00:00:00.000Z", "request", "GET", "/", "/", 200, 1.5, 7, "a", "ann", "1")
    log.add(given, lambda *_: None)
    log.flush()
    assert "trace" not in stream.getvalue()


class Interrupted(io.StringIO):
    """Lets somebody else write behind each piece that the first writer writes, if nothing keeps them from it."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupt: Callable[[], None] | None = None
        self.threads: list[threading.Thread] = []

    def write(self, text: str) -> int:
        written = super().write(text)
        if (interrupt := self.interrupt) is not None:
            self.interrupt = None
            self.threads.append(threading.Thread(target=interrupt))
            self.threads[-1].start()
            self.threads[-1].join(0.2)
        return written


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("is_first", [True, False], ids=["access line first", "other line first"])
def test_a_line_of_another_thread_stands_before_or_behind_a_line_but_never_within(is_first: bool) -> None:
    stream, other = Interrupted(), structlog.get_logger("other")
    set_up_logging("json", "INFO", stream)
    log = AccessLog(True, stream)
    log.add(line("/a"), lambda *_: None)
    first, second = (log.flush, lambda: other.info("x")) if is_first else (lambda: other.info("x"), log.flush)
    stream.interrupt = second
    first()
    for thread in stream.threads:
        thread.join()
    assert sorted(json.loads(one)["event"] for one in stream.getvalue().splitlines()) == ["request", "x"]
