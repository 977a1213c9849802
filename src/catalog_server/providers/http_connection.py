"""GET requests on connections to addresses that were checked: what all providers that speak HTTP have in common.

The standard library's parser sits on a socket that we opened and that we read for it. So the name of the host is never
resolved a second time, no proxy of the environment comes in between, and each wait knows how much time is left and
whether the fetch was given up.
For: http_client.py (one document) and hf_client.py (many answers of one hub), which know what a status means.
Not for: which addresses are let through (http_guard.py), and bodies (http_body.py).
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final, TypeVar, cast

from catalog_server import __version__
from catalog_server.errors import Invalid
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_body import ACCEPTED_CODINGS, EndsEarly, too_large
from catalog_server.providers.http_guard import AddressGuard, HostUnknown
from catalog_server.providers.http_source import TLSChoice
from catalog_server.providers.http_target import Target
from catalog_server.telemetry import traces

BROKEN: Final = (OSError, HTTPException, HostUnknown, EndsEarly)
"""What a request raises that came to nothing on the way."""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_OUR_HEADERS: Final = {"accept-encoding": ACCEPTED_CODINGS, "user-agent": f"catalog-server/{__version__}"}
_LONGEST_CONNECT_SECONDS: Final = 10.0
_LONGEST_RETRY_SECONDS: Final = 24 * 3600
_TRUST_SECONDS: Final = 600.0
"""How long the trust store of the system is kept: reading it takes some 25 ms, and operators replace authorities."""
_BUFFER_BYTES: Final = 64 * 1024
_HEAD_ROOM: Final = 1024 * 1024
"""For headers and what frames chunks; a body that is coded well below its size needs no more."""
T = TypeVar("T")


class Connector:
    """Opens connections to hosts that `guard` lets through. Safe to use from several threads."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._trust: dict[TLSChoice, tuple[float, ssl.SSLContext]] = {}

    def open(self, target: Target, tls: TLSChoice, deadline: Deadline) -> Connection:
        """Connect to the first of the host's addresses that lets us.

        Raises:
            Invalid: an address is not allowed, or the certificates of the source cannot be read.
            OSError, HostUnknown: there is no connection, or it is too late.
        """
        context = self.tls_context(tls) if target.scheme == "https" else None
        sock = _connect(self._guard.find_addresses(target, deadline), target.port, deadline)
        return Connection(target, sock if context is None else _secure(sock, context, target.host, deadline))

    def tls_context(self, choice: TLSChoice) -> ssl.SSLContext:
        """Raises Invalid when the certificates of the source cannot be read."""
        if choice.authorities is not None:  # read in no time
            return _build_tls_context(choice)
        kept_until, context = self._trust.get(choice, (0.0, None))
        if context is None or time.monotonic() > kept_until:
            context = _build_tls_context(choice)
            self._trust[choice] = time.monotonic() + _TRUST_SECONDS, context
        return context


class Connection:
    """To one host, for one request after the other. Close it at the end."""

    def __init__(self, target: Target, sock: socket.socket) -> None:
        self._target = target
        self._sock = sock

    def ask(self, path: str, headers: Mapping[str, str], deadline: Deadline, max_bytes: int) -> Response:
        """The head of the answer. The body of the one before must have been read to its end.

        Raises, and so does reading:
            OSError, HTTPException: the connection or the answer is broken, or it is too late.
            TooLarge: more than `max_bytes` came, with some room for what is not body.
        """
        parser = HTTPConnection(self._target.host, self._target.port)
        parser.sock = cast(socket.socket, _Wire(self._sock, deadline, max_bytes))
        parser.request(
            "GET", path, headers={"Host": self._target.authority, **_OUR_HEADERS, **traces.headers(), **headers}
        )
        return Response(parser.getresponse())

    def close(self) -> None:
        """Whatever still holds it: a server that goes on sending must notice."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Response:
    """The head of an answer, and its body as it comes."""

    def __init__(self, parsed: HTTPResponse) -> None:
        self._parsed = parsed
        self.status = parsed.status
        self.headers = parsed.headers
        self.is_last = parsed.will_close
        """Whether the connection takes no other request."""

    def read(self, size: int) -> bytes:
        """Raises HTTPException also when the body is shorter than announced, which the parser keeps quiet about."""
        try:
            data = self._parsed.read(size)
        except ValueError as error:  # what comes of a chunk with a negative size
            raise HTTPException("the framing of the body is wrong") from error
        if not data and self._parsed.length:
            raise IncompleteRead(data, self._parsed.length)
        return data


def explain(error: Exception, host: str) -> str:
    """What one of BROKEN means. Nothing that the server has written gets into it."""
    shown = f"the host {host!r}"
    if isinstance(error, TimeoutError):
        return f"{shown} does not answer"
    if isinstance(error, ssl.SSLEOFError | HTTPException | EndsEarly | ConnectionResetError):
        return f"{shown} broke off the connection, or does not speak HTTP"
    if isinstance(error, ssl.SSLError):
        return f"{shown} does not speak TLS as we do"
    if isinstance(error, HostUnknown):
        return f"the name of {shown} cannot be resolved"
    reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{shown} cannot be reached{reason}"


def read_retry_after(headers: Message, now: datetime) -> float | None:
    """Seconds, at most a day: a source must not be told to stay away for good."""
    given = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", given):
        return min(float(given), _LONGEST_RETRY_SECONDS)
    moment = parse_date(given)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), _LONGEST_RETRY_SECONDS)


def parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _build_tls_context(choice: TLSChoice) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=choice.authorities)
    except ssl.SSLError as error:
        problem = "'tls.caFile' names a file whose certificates cannot be read"
        raise Invalid(problem, field="properties.tls.caFile", code="property_invalid") from error
    if not choice.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    """An address that does not answer gets its share of the time that is left, not all of it."""
    failure: OSError = OSError("no address")
    for position, address in enumerate(addresses):
        share = min(deadline.remaining() / (len(addresses) - position), _LONGEST_CONNECT_SECONDS)
        try:
            return _connect_to(address, port, deadline.within(share))
        except OSError as error:
            failure = error
    raise failure


def _connect_to(address: str, port: int, deadline: Deadline) -> socket.socket:
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, kind, protocol, _, place = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        failure = sock.connect_ex(place)
        if failure == errno.EINPROGRESS:
            waiting = select.poll()
            waiting.register(sock, select.POLLOUT)
            while not waiting.poll(deadline.slice() * 1000):
                pass
            failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
    except BaseException:
        sock.close()
        raise
    return sock


def _secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
    # Without an end in due form a body of unknown length may have been cut off by anybody.
    secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False)
    try:
        _in_time(secured, deadline, secured.do_handshake)
    except BaseException:
        secured.close()
        raise
    return secured


def _in_time(sock: socket.socket, deadline: Deadline, step: Callable[[], T]) -> T:
    """Do what blocks on `sock`, and look up in between."""
    while True:
        sock.settimeout(deadline.slice())
        try:
            return step()
        except TimeoutError as error:
            if error.errno is not None:  # not our slice: the system has given the connection up
                raise


class _Wire:
    """As much of a socket as the parser uses."""

    def __init__(self, sock: socket.socket, deadline: Deadline, max_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_bytes = max_bytes

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[_in_time(self._sock, self._deadline, partial(self._sock.send, view)) :]

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
        count = _in_time(self._sock, self._deadline, partial(self._sock.recv_into, buffer))
        self._received += count
        if self._received > self._max_bytes + _HEAD_ROOM:
            raise too_large(self._max_bytes)
        return count
