"""Logs: set-up of structlog. The log of requests is access_log.py.

Readable lines on a terminal, JSON elsewhere. A line cannot be forged by what a client sends: whatever is not printable
is escaped, in both forms: line ends of any kind, what steers a terminal, what turns the direction of writing.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import msgspec
import structlog

from catalog_server.telemetry import traces

LogFormat = Literal["auto", "json", "text"]


def set_up_logging(log_format: LogFormat, level: str, stream: TextIO = sys.stdout) -> bool:
    """Configure the process's logs; return whether they are JSON."""
    is_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    renderers: list[Any] = (
        [structlog.processors.JSONRenderer(serializer=lambda value, **_: _json(value))]
        if is_json
        else [_make_printable, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    # A connection that is lost while it goes back to the pool: whoever used it is told, and readiness, too.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    return is_json


_UNPRINTABLE = re.compile("[^\x20-\x7e]")
_TRACE_MARGIN = "  | "


def _json(value: Any) -> str:
    """One line of JSON."""
    try:
        encoded = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:  # half characters, out of a file name for example
        encoded = json.dumps(value, default=str).encode()
    return escape_json(encoded)


def escape_json(encoded: bytes) -> str:
    """One or more lines of JSON as printable text: what is not printable from DEL on may stand in JSON as it is."""
    text = encoded.decode()
    if encoded.isascii() and b"\x7f" not in encoded:
        return text
    return _UNPRINTABLE.sub(lambda found: found[0] if _is_kept(found[0]) else json.dumps(found[0])[1:-1], text)


def _is_kept(character: str) -> bool:
    return character.isprintable() or character == "\n"  # JSON has no line end inside of a text: this one is ours


def printable(text: str) -> str:
    """The same text, with escapes in place of what is not printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What is told during a request or a job belongs to its trace."""
    trace = traces.current.get()
    if trace is not None:
        event["trace_id"] = trace.span.trace_id
    return event


def _make_printable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For readable lines: each value on one line. A traceback has a margin, so none of its lines passes for ours."""
    for name, value in event.items():
        if name == "exception":
            lines = [_TRACE_MARGIN + printable(line) for line in str(value).split("\n")]
            event[name] = "\n".join(lines)
        else:
            event[name] = value if value is None else printable(value if isinstance(value, str) else repr(value))
    return event


class _Forward(logging.Handler):
    """Gives what libraries log (uvicorn about a broken request, for one) the form of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)
