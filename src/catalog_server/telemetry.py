"""Logs: set-up of structlog, and the access log with one line per request.

Readable lines on a terminal, JSON elsewhere. Values are escaped by the renderer, so that a line cannot be forged by
what a client sends.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec
import structlog

LogFormat = Literal["auto", "json", "text"]
_FLUSH_SECONDS = 0.1
_FLUSH_LINES = 256


def set_up_logging(log_format: LogFormat, level: str, stream: TextIO = sys.stdout) -> bool:
    """Configure the process's logs; return whether they are JSON."""
    is_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    renderer: Any = (
        structlog.processors.JSONRenderer(
            serializer=lambda value, **_: msgspec.json.encode(value, enc_hook=str).decode()
        )
        if is_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if is_json else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    return is_json


class _Forward(logging.Handler):
    """Gives what libraries log (uvicorn about a broken request, for one) the form of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


class AccessLine(msgspec.Struct):
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
    request_id: str


class AccessLog:
    """Collects lines and writes them together: a system call for each request would cost more than most requests.

    `call_later(seconds, function)` is the event loop's. At most _FLUSH_SECONDS of lines are in memory.
    """

    def __init__(self, is_json: bool, stream: TextIO = sys.stdout) -> None:
        self._is_json = is_json
        self._stream = stream
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
        rendered = self._encode_lines(lines).decode() if self._is_json else "".join(map(_text, lines))
        self._stream.write(rendered)
        self._stream.flush()


def _text(line: AccessLine) -> str:
    return (
        f"{line.timestamp} {line.method} {line.path} {line.status} {line.duration_ms:.1f}ms {line.bytes}B"
        f" ns={line.namespace} id={line.request_id}\n"
    )


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
