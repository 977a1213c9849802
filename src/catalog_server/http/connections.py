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


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Times in seconds. `stalled`: for a body to come, and for the client to take some of an answer."""

    connections: int = 1000
    head_seconds: float = 10.0
    stalled_seconds: float = 60.0
    idle_seconds: int = 30


class _Unfit(Exception):
    """The request is answered here. Raised in callbacks of the parser, which hands it on as an error of its own."""


def connection_factory(limits: ConnectionLimits) -> Any:
    """What uvicorn makes each connection with; all that it makes are swept together."""
    return partial(Connection, limits, _Sweep())


class _Sweep:
    """Looks at all connections of the server, as long as there are any."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._is_running = False

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)
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
    """One connection. `_due` is when the present wait for the client ends: while the server works, never."""

    def __init__(self, limits: ConnectionLimits, sweep: _Sweep, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._sweep = sweep
        self._due = _NEVER
        self.waits_since = 0.0
        self._is_in_head = False
        self._first_bytes = self._head_bytes = self._part_bytes = 0
        """Of a head that comes in several parts: of the first part, which may hold other things as well, of those
        between, and of the present one."""
        self._unfit_status = 400
        self._is_refused = False
        self._takes_until = _NEVER
        self._unsent_bytes = 0
        self._answering: RequestResponseCycle | None = None

    # --- the life of a connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        self._due = self.waits_since + self._limits.head_seconds
        self._sweep.add(self)
        if len(self._sweep.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sweep.connections.discard(self)
        super().connection_lost(exc)
        # uvicorn tells the request that came last. Where requests are pipelined, an earlier one is being answered.
        if self._answering is not None:
            self._answering.disconnected = True

    def _make_room(self) -> None:
        waiting = [one for one in self._sweep.connections if one is not self and one.is_waiting]
        if waiting:
            longest = min(waiting, key=lambda one: one.waits_since)
            self._sweep.connections.discard(longest)
            longest.transport.abort()
        else:
            self._refuse(503)
            self.transport.close()  # without lingering, which would hold a place

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being answered: the client has sent no request, or only part of a head."""
        return self.cycle is None or self.cycle.response_complete

    def end_if_due(self, now: float) -> None:
        """End a connection whose client lets it wait."""
        if self.transport.is_closing():
            if now >= self._due:
                self.transport.abort()
            self._due = min(self._due, now + _LINGER_SECONDS)
        elif now >= self._due:
            self._end_wait(now)
        elif now >= self._takes_until:
            self._end_if_stalled(now)

    def _end_wait(self, now: float) -> None:
        self._due = now + _LINGER_SECONDS
        if self._is_refused or not (self._is_in_head and self.is_waiting):
            self.transport.close()
        else:
            self._refuse(408)

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
        if self.timeout_keep_alive_task is not None and self._due == _NEVER:
            self._due = self.loop.time() + self._limits.head_seconds
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
        super().on_headers_complete()
        self._is_in_head = False
        self._due = self.loop.time() + self._limits.stalled_seconds

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _field_bytes(self) -> int:
        return sum(len(name) + len(value) for name, value in self.headers)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # After an early answer uvicorn no longer counts how long the connection is idle.
        self._due = self.loop.time() + self._limits.idle_seconds if self.cycle.response_complete else _NEVER

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.waits_since = self.loop.time()
        if self._due != _NEVER and not self._is_in_head:  # the rest of a body that nobody wants any more
            self._due = min(self._due, self.waits_since + _LINGER_SECONDS)

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
            self._due = self.loop.time() + _LINGER_SECONDS
        else:  # an earlier request is still being answered
            self.transport.close()
