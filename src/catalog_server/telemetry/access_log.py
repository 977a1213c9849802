"""The access log: one line per request, with who asked, for which route and tenant, and how long it took."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

from catalog_server.telemetry.logs import escape_json, printable

_FLUSH_SECONDS = 0.1
_FLUSH_LINES = 256


class AccessLine(msgspec.Struct, omit_defaults=True):
    """One request."""

    timestamp: str
    event: str
    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    bytes: int
    namespace: str
    user: str
    request_id: str
    trace_id: str = ""
    """Empty, and left out: nobody else knows of the trace."""


class AccessLog:
    """Collects lines and writes them together: a system call for each request would cost more than most requests.

    `call_later(seconds, function)` is the event loop's. At most _FLUSH_SECONDS of lines are in memory.
    """

    def __init__(self, is_json: bool, stream: TextIO = sys.stdout) -> None:
        self._is_json = is_json
        # Takes turns with the other logs of this stream: one lock for all of its loggers.
        self._output = structlog.WriteLogger(stream)
        self._lines: list[AccessLine] = []
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._is_scheduled = False

    def add(self, line: AccessLine, call_later: Callable[[float, Callable[[], None]], Any]) -> None:
        self._lines.append(line)
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        self._is_scheduled = False
        lines, self._lines = self._lines, []
        if not lines:
            return
        rendered = escape_json(self._encode_lines(lines)) if self._is_json else "".join(map(_text, lines))
        self._output.msg(rendered.removesuffix("\n"))


def _text(line: AccessLine) -> str:
    shown = (
        f"{line.timestamp} {line.method} {line.path} {line.status} {line.duration_ms:.1f}ms {line.bytes}B"
        f" ns={line.namespace} user={line.user} id={line.request_id}{line.trace_id and f' trace={line.trace_id}'}"
    )
    return f"{printable(shown)}\n"


class Clock:
    """The time as text, made once per millisecond, the date once per second: formatting it is dearer than a read."""

    def __init__(self) -> None:
        self._second = self._millisecond = -1
        self._date = self._text = ""

    def text(self, now: float) -> str:
        millisecond = int(now * 1000)
        if millisecond != self._millisecond:
            second, fraction = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._millisecond, self._text = millisecond, f"{self._date}.{fraction:03d}Z"
        return self._text
