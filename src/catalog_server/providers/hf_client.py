"""Asks one hub, over HTTP GET, for the length of one fetch: deadline, size limits, patience, and where a token may go.

For: hf_finder.py and hf_fetch.py, which say what to ask. Imported when a source is fetched, not before. Why it is not
the hub's own library: docs/adr/0012-own-hub-client.md.
Not for: other providers. `HubClient._open` with hf_address.py is all that decides where a connection leads.

The host of a request is always the one that was configured: of a redirect or a link to a next page only the path is
taken, so that neither can lead the token or the server elsewhere. Proxies of the environment are not used.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead, responses
from typing import Final
from urllib.parse import urlencode, urlsplit

from catalog_server import __version__
from catalog_server.providers.hf_address import Network, resolve_host
from catalog_server.providers.hf_source import Endpoint

Wait = Callable[[float], object]

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_PAUSES_SECONDS: Final = (1.0, 3.0)
"""Before the second and the third try, where the hub does not say how long to wait."""
_MOST_REDIRECTS: Final = 3
_MOST_SILENCES: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BUSY: Final = (429, 502, 503, 504)
_TOO_MANY: Final = 429
_PATH: Final = re.compile(r"/[!-~]*")
_RESET_IN: Final = re.compile(r'"\w+"\s*;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d{1,6})')


class HubFailed(Exception):
    """A request that brought nothing. The text is safe to show; `status` is None when there was no answer."""

    def __init__(
        self, reason: str, *, status: int | None = None, is_passing: bool = True, retry_after: int = 0
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.is_passing = is_passing
        """Whether asking again later may help."""
        self.retry_after_seconds = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    is_cut: bool


class HubClient:
    """Keeps one connection open; for one thread. Close it at the end."""

    def __init__(
        self, endpoint: Endpoint, token: str | None, deadline: float, allowed: Collection[Network], wait: Wait
    ) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._allowed = allowed
        self._wait = wait
        self._connection: HTTPConnection | None = None
        self._silences = 0
        self._given_up: HubFailed | None = None
        self._headers = {"Accept": "*/*", "User-Agent": f"catalog-server/{__version__}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
        may_cut: bool = False,
    ) -> Answer:
        """The answer with status 200, of at most `max_bytes`; `may_cut` takes that much of a larger one.

        Raises:
            HubFailed: there is no such answer.
            Invalid: the address of the hub is not allowed.
        """
        target = self._endpoint.prefix + path + (f"?{urlencode(query)}" if query else "")
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask_patiently(target, max_bytes)
            if answer.status not in _REDIRECTS:
                return _judge(answer, max_bytes, may_cut)
            target = self._path_of(answer.headers.get("location", ""))
        raise HubFailed(f"more than {_MOST_REDIRECTS} redirects", is_passing=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask_patiently(self, target: str, max_bytes: int) -> Answer:
        """Waits a little when the hub is busy. When it says to wait longer, it is not asked again in this fetch."""
        for pause in (*_PAUSES_SECONDS, None):
            answer = self._ask(target, max_bytes)
            if answer.status not in _BUSY:
                self._silences = 0
                return answer
            wanted = _wanted_pause(answer.headers)
            seconds = wanted or pause or 0
            if pause is None or seconds > min(_LONGEST_PAUSE_SECONDS, self._remaining()):
                break
            self._wait(seconds)
        if answer.status == _TOO_MANY:
            self._given_up = HubFailed("the hub limits how often it is asked", status=_TOO_MANY, retry_after=wanted)
            raise self._given_up
        failed = _refusal(answer)
        self._count_silence(failed)
        raise failed

    def _ask(self, target: str, max_bytes: int) -> Answer:
        if self._given_up is not None:
            raise self._given_up
        if self._remaining() <= 0:
            raise HubFailed("no time was left")
        is_reused = self._connection is not None
        try:
            return self._send(target, max_bytes)
        except (OSError, HTTPException) as error:
            self.close()
            # The hub may close a connection that was idle while we thought; that says nothing about the hub.
            if is_reused and not isinstance(error, TimeoutError) and self._remaining() > 0:
                return self._ask(target, max_bytes)
            raise self._silence(error) from None  # the cause may quote headers, and so the token

    def _silence(self, error: Exception) -> HubFailed:
        late = isinstance(error, TimeoutError) or self._remaining() <= 0
        failed = HubFailed("no answer in time" if late else f"no answer: {_worded(error)}")
        self._count_silence(failed)
        return failed

    def _count_silence(self, failed: HubFailed) -> None:
        """A hub that is down would cost each model its time, so a few in a row are enough."""
        self._silences += 1
        if self._silences >= _MOST_SILENCES:
            self._given_up = failed

    def _send(self, target: str, max_bytes: int) -> Answer:
        until = min(self._deadline, time.monotonic() + _REQUEST_SECONDS)
        if self._connection is None:
            self._connection = self._open(until)
        connection = self._connection
        with _ending_at(connection.sock, until):
            connection.request("GET", target, headers=self._headers)
            response = connection.getresponse()
            body = response.read(max_bytes + 1)
        is_cut = len(body) > max_bytes
        if response.length and not is_cut:
            raise IncompleteRead(body, response.length)  # a read of a given size keeps quiet about it
        if is_cut or response.will_close:
            self.close()
        return Answer(response.status, _headers_of(response), body[:max_bytes], is_cut)

    def _open(self, until: float) -> HTTPConnection:
        """A connection to an address that was judged; it never opens itself again by name."""
        endpoint = self._endpoint
        sock = _connect(resolve_host(endpoint.host, endpoint.port, self._allowed), endpoint.port, until)
        if endpoint.scheme == "https":
            sock = _secure(sock, endpoint.host, until)
        kind = HTTPSConnection if endpoint.scheme == "https" else HTTPConnection  # they know the usual port
        connection = kind(endpoint.host, endpoint.port)
        connection.sock = sock
        connection.auto_open = 0
        return connection

    def _path_of(self, location: str) -> str:
        """The path of a redirect, when it stays at this hub: a model that was renamed answers so."""
        endpoint = self._endpoint
        try:
            parts = urlsplit(location)
            port = parts.port or endpoint.port
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.netloc and (parts.scheme, parts.hostname, port) != (endpoint.scheme, endpoint.host, endpoint.port):
            raise HubFailed("the hub redirects to another host, which is not followed", is_passing=False)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if _PATH.fullmatch(target) is None:
            raise HubFailed("the hub redirects to nowhere", is_passing=False)
        return target

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()


def _judge(answer: Answer, max_bytes: int, may_cut: bool) -> Answer:
    if answer.status != 200:
        raise _refusal(answer)
    if answer.is_cut and not may_cut:
        raise HubFailed(f"the hub's answer has more than {max_bytes} bytes", is_passing=False)
    return answer


def _refusal(answer: Answer) -> HubFailed:
    status = answer.status
    said = f"the hub answers {status} {responses.get(status, '')}".rstrip()
    return HubFailed(said, status=status, is_passing=status >= 500, retry_after=_wanted_pause(answer.headers))


def _wanted_pause(headers: Mapping[str, str]) -> int:
    """Seconds that the hub asks us to wait; 0 when it does not say."""
    given = headers.get("retry-after", "").strip()
    if given.isdecimal() and len(given) <= 6:
        return int(given)
    reset = _RESET_IN.search(headers.get("ratelimit", ""))
    return int(reset[1]) + 1 if reset else 0


def _headers_of(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _connect(addresses: tuple[str, ...], port: int, until: float) -> socket.socket:
    failure: OSError = TimeoutError("no time left")
    for address in addresses:
        seconds = min(_CONNECT_SECONDS, until - time.monotonic())
        if seconds <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            failure = error
    raise failure


def _secure(sock: socket.socket, host: str, until: float) -> ssl.SSLSocket:
    secured = ssl.create_default_context().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        with _ending_at(secured, until):
            secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


def _worded(error: Exception) -> str:
    """Without what a library quotes of the request."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


@contextmanager
def _ending_at(sock: socket.socket, until: float) -> Iterator[None]:
    """Break off what happens on `sock` inside at `until`: a timeout of the socket alone starts anew with every byte."""
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("no time left")
    sock.settimeout(remaining)
    is_late = threading.Event()
    alarm = threading.Timer(remaining, _break_off, [sock, is_late])
    alarm.daemon = True
    alarm.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        if is_late.is_set():
            raise TimeoutError("no answer in time") from error
        raise
    finally:
        alarm.cancel()
    if is_late.is_set():  # what ends with the connection looks complete when the connection was broken off
        raise TimeoutError("no answer in time")


def _break_off(sock: socket.socket, is_late: threading.Event) -> None:
    is_late.set()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
