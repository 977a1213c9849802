"""One GET on a connection of its own: to addresses that were checked, and over at one deadline.

The standard library's parser sits on a socket that we opened and that we read for it. So the name of the host is never
resolved a second time, no proxy of the environment comes in between, and each read knows how much time is left.
Not for: redirects, retries and what a status means; http_client.py does that.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final, cast

from catalog_server.errors import Invalid
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_body import too_large
from catalog_server.providers.http_source import TLSChoice
from catalog_server.providers.http_target import Target

_LONGEST_CONNECT_SECONDS: Final = 10.0
_BUFFER_BYTES: Final = 64 * 1024
_HEAD_ROOM: Final = 1024 * 1024
"""For headers and what frames chunks; a body that is coded well below its size needs no more."""


def build_tls_context(choice: TLSChoice) -> ssl.SSLContext:
    """Raises Invalid when the certificates of the source cannot be read."""
    try:
        context = ssl.create_default_context(cadata=choice.authorities)
    except ssl.SSLError as error:
        problem = "'tls.caFile' names a file whose certificates cannot be read"
        raise Invalid(problem, field="properties.tls.caFile", code="property_invalid") from error
    if not choice.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Response:
    """The head of an answer, and its body as it comes."""

    def __init__(self, parsed: HTTPResponse) -> None:
        self._parsed = parsed
        self.status = parsed.status
        self.headers = parsed.headers

    def read(self, size: int) -> bytes:
        """Raises HTTPException also when the body is shorter than announced, which the parser keeps quiet about."""
        try:
            data = self._parsed.read(size)
        except ValueError as error:  # what comes of a chunk with a negative size
            raise HTTPException("the framing of the body is wrong") from error
        if not data and self._parsed.length:
            raise IncompleteRead(data, self._parsed.length)
        return data


@contextmanager
def open_response(
    target: Target,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    *,
    tls: ssl.SSLContext | None,
    deadline: Deadline,
    max_bytes: int,
) -> Iterator[Response]:
    """Connect to the first of `addresses` that lets us, and ask.

    Raises:
        OSError, HTTPException: the connection or the answer is broken, or it is too late.
        TooLarge: more than `max_bytes` came, with some room for what is not body.
    """
    sock = _connect(addresses, target.port, deadline)
    try:
        if tls is not None and target.scheme == "https":
            sock.settimeout(deadline.remaining())
            # Without an end in due form a body of unknown length may have been cut off by anybody.
            sock = tls.wrap_socket(sock, server_hostname=target.host, suppress_ragged_eofs=False)
        connection = HTTPConnection(target.host, target.port)
        wire = _Wire(sock, deadline, max_bytes)
        connection.sock = cast(socket.socket, wire)
        connection.request("GET", target.request_path, headers={"Host": target.authority, **headers})
        yield Response(connection.getresponse())
    finally:
        _close_now(sock)


def _connect(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    """An address that does not answer gets its share of the time that is left, not all of it."""
    failure: OSError = OSError("no address")
    for position, address in enumerate(addresses):
        share = min(deadline.remaining() / (len(addresses) - position), _LONGEST_CONNECT_SECONDS)
        try:
            return socket.create_connection((address, port), timeout=share)
        except OSError as error:
            failure = error
    raise failure


def _close_now(sock: socket.socket) -> None:
    """Whatever still holds it: a server that goes on sending must notice."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


class _Wire:
    """As much of a socket as the parser uses."""

    def __init__(self, sock: socket.socket, deadline: Deadline, max_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_bytes = max_bytes

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.remaining())
            view = view[self._sock.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._deadline, self._max_bytes), _BUFFER_BYTES)

    def close(self) -> None:
        """The parser closes when it has the head of an answer without a successor; the body is still to come."""


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline, max_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.remaining())
        count = self._sock.recv_into(buffer)
        self._received += count
        if self._received > self._max_bytes + _HEAD_ROOM:
            raise too_large(self._max_bytes)
        return count
