"""Connections that cannot be held: bounds on heads and on waiting, over uvicorn's reading of HTTP (platform.md 12 D19).

uvicorn bounds neither the head of a request nor the time for it, and a connection that says nothing stays for ever.
Here each wait for a client has an end, which one sweep per second looks for; so a request costs no timer of its own.
Where there are too many connections, the one that has waited longest for its client makes room.
Not for: the size of bodies (messages.py), which only the route knows.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_URL_BYTES: Final = 16 * 1024
MAX_HEAD_BYTES: Final = 64 * 1024
"""Of all header fields, or of a head that does not end."""
MAX_FIELDS: Final = 100
_SWEEP_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 5.0
"""For reading on after an early answer, so that the client gets to see it, and for sending what is left at the end."""
_SLOWEST_BYTES_PER_SECOND: Final = 1024
_NEVER: Final = math.inf
_MESSAGES: Final = {
    400: "this is not HTTP that the server understands",
    408: "the head of the request took too long",
    414: f"the URL is longer than {MAX_URL_BYTES} bytes",
    431: f"the request has more than {MAX_FIELDS} header fields, or more than {MAX_HEAD_BYTES} bytes of them",
    503: "too many connections",
}


class _Wait(Enum):
    """What the server waits for."""

    HEAD = auto()
    BODY = auto()
    END_OF_BODY = auto()
    """Nobody wants it any more: the answer was given before its end."""
    REQUEST = auto()
    """The next one, or the first byte of it."""
    END = auto()
    """Of a connection that is over for the server."""


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Times in seconds. `stalled`: for a body to come, and for the client to take some of an answer."""

    connections: int = 1000
    head_seconds: float = 10.0
    stalled_seconds: float = 60.0
    idle_seconds: int = 30

    def of(self, wait: _Wait) -> float:
        """How long a client may let the server wait."""
        if wait is _Wait.BODY:
            return self.stalled_seconds
        if wait is _Wait.HEAD:
            return self.head_seconds
        return self.idle_seconds if wait is _Wait.REQUEST else _LINGER_SECONDS


class _Unfit(Exception):
    """The request is answered here. Raised in callbacks of the parser, which hands it on as an error of its own."""


def connection_factory(limits: ConnectionLimits) -> Any:
    """What uvicorn makes each connection with; all that it makes are swept together."""
    return partial(Connection, limits, _Sweep())


class _Sweep:
    """Looks at all connections of the server, as long as there are any."""

    def __init__(self) -> None:
        self.connections: dict[Connection, None] = {}
        """In the order in which they came."""
        self._is_running = False

    def add(self, connection: Connection) -> None:
        self.connections[connection] = None
        self._run_later(connection.loop)

    def _run_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.connections and not self._is_running:
            self._is_running = True
            loop.call_later(_SWEEP_SECONDS, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self.connections):
            connection.end_if_due(now)
        self._is_running = False
        self._run_later(loop)


class Connection(HttpToolsProtocol):
    """One connection. What it waits for is seen by the sweep, so that requests need not look at the clock."""

    def __init__(self, limits: ConnectionLimits, sweep: _Sweep, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._sweep = sweep
        self._messages = 0
        """Requests that have come to their end."""
        self._is_in_head = self._is_in_body = self._is_refused = False
        self._first_bytes = self._head_bytes = self._part_bytes = 0
        """Of a head that comes in several parts: of the first part, which may hold other things as well, of those
        between, and of the present one."""
        self._unfit_status = 400
        self._seen: tuple[_Wait | None, int] = (None, 0)
        self.waits_since = 0.0
        """When the present wait was first seen."""
        self._takes_until = _NEVER
        self._unsent_bytes = 0
        self._earlier: list[RequestResponseCycle] = []
        """Being answered while later requests of a pipeline have come already."""

    # --- the life of a connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        self._seen = (_Wait.HEAD, 0)
        self._sweep.add(self)
        if len(self._sweep.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sweep.connections.pop(self, None)
        super().connection_lost(exc)
        for cycle in self._earlier:  # uvicorn tells the last one only
            cycle.disconnected = True

    def _make_room(self) -> None:
        waiting = [one for one in self._sweep.connections if one is not self and one.is_waiting]
        if waiting:
            longest = min(waiting, key=lambda one: one.waits_since)
            del self._sweep.connections[longest]
            longest.transport.abort()
        else:
            self._refuse(503)
            self.transport.close()  # without lingering, which would hold a place

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being answered: the client has sent no request, or only part of a head."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> _Wait | None:
        """What of the client is waited for; None while the server is at work."""
        if self._is_refused or self.transport.is_closing():
            return _Wait.END
        if self._is_in_body and not self.pipeline:
            return _Wait.END_OF_BODY if self.is_waiting else _Wait.BODY
        if not self.is_waiting:
            return None
        return _Wait.HEAD if self._is_in_head or self.cycle is None else _Wait.REQUEST

    def end_if_due(self, now: float) -> None:
        """End a connection whose client lets it wait."""
        seen = self._wait(), self._messages
        if seen != self._seen:
            self._seen, self.waits_since = seen, now
        wait = seen[0]
        if wait is not None and now - self.waits_since >= self._limits.of(wait):
            self._end(wait)
        elif now >= self._takes_until:
            self._end_if_stalled(now)

    def _end(self, wait: _Wait) -> None:
        if wait is _Wait.END:
            self.transport.abort()
        elif wait is _Wait.HEAD and self._is_in_head:
            self._refuse(408)
        else:
            self.transport.close()

    def _end_if_stalled(self, now: float) -> None:
        left = self.transport.get_write_buffer_size()
        if self._unsent_bytes - left < _SLOWEST_BYTES_PER_SECOND * self._limits.stalled_seconds:
            self.transport.abort()
        self._unsent_bytes, self._takes_until = left, now + self._limits.stalled_seconds

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._takes_until = self.loop.time() + self._limits.stalled_seconds

    def resume_writing(self) -> None:
        super().resume_writing()
        self._takes_until = _NEVER

    # --- the life of a request ---

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        was_in_head, self._part_bytes = self._is_in_head, len(data)
        super().data_received(data)
        if self._is_in_head and not self._is_refused:
            self._count(len(data), is_first=not was_in_head)

    def _count(self, size: int, *, is_first: bool) -> None:
        if is_first:
            self._first_bytes = size
        else:
            self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(414 if len(self.url) > MAX_URL_BYTES else 431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._first_bytes = self._head_bytes = 0

    def on_headers_complete(self) -> None:
        if len(self.url) > MAX_URL_BYTES:
            self._unfit_status = 414
            raise _Unfit
        is_long = self._first_bytes + self._head_bytes + self._part_bytes > MAX_HEAD_BYTES
        if len(self.headers) > MAX_FIELDS or (is_long and self._field_bytes() > MAX_HEAD_BYTES):
            self._unfit_status = 431
            raise _Unfit
        before = self.cycle
        super().on_headers_complete()
        self._is_in_head, self._is_in_body = False, True
        if self.pipeline:
            self._earlier = [*(one for one in self._earlier if not one.response_complete), before]

    def _field_bytes(self) -> int:
        return sum(len(name) + len(value) for name, value in self.headers)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_body = False
        self._messages += 1

    # --- answers without a request ---

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser fails, be it by an error that was raised here."""
        self._refuse(self._unfit_status)

    def _refuse(self, status: int) -> None:
        """Answer and end; what the client still sends is read over for a while, or it might not see the answer."""
        self._is_refused = True
        phrase = HTTPStatus(status).phrase
        body = msgspec.json.encode({"error": phrase, "message": _MESSAGES[status]}) + b"\n"
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if self.is_waiting:
            self.transport.write_eof()
        else:  # an earlier request is still being answered
            self.transport.close()
