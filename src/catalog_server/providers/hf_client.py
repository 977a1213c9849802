"""Makes the requests of one fetch to one hub: redirects, patience, when to give up, and where a token may go.

For: hf_library.py, which lets the hub's own library ask, and hf_fetch.py for raw files. Imported when a source is
fetched, not before. Why the library does not make them itself: docs/adr/0014-hub-library-over-own-connections.md.
Not for: connections, which http_connection.py makes for all providers.

The host of a request is always the one that was configured: of a redirect or a link to a next page only the path is
taken, so that neither can lead the token or the server elsewhere.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from http.client import responses
from typing import Final

from catalog_server.errors import Invalid
from catalog_server.providers.deadline import Deadline, Passing, retry
from catalog_server.providers.http_body import coding_of, read_up_to
from catalog_server.providers.http_connection import BROKEN, REDIRECTS, Connection, Connector, explain, read_retry_after
from catalog_server.providers.http_source import TLSChoice
from catalog_server.providers.http_target import Target

Wait = Callable[[Deadline, float], object]

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_REQUEST_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_PAUSES_SECONDS: Final = (1.0, 3.0)
"""Before the second and the third try, where the hub does not say how long to wait."""
_MOST_REDIRECTS: Final = 3
_MOST_SILENCES: Final = 3
_BUSY: Final = (429, 502, 503, 504)
_TOO_MANY: Final = 429
_LOCATION: Final = re.compile(r"(?:https?:|/)[^\\]*", re.IGNORECASE)
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


class _Busy(Passing):
    """The hub may answer if it is asked again in a moment; `failed` is what it comes to otherwise."""

    def __init__(self, failed: HubFailed) -> None:
        super().__init__(str(failed), asked_seconds=failed.retry_after_seconds)
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes
    is_cut: bool


class HubClient:
    """Keeps one connection open; for one thread. Close it at the end."""

    def __init__(
        self, endpoint: Target, token: str | None, *, connector: Connector, deadline: Deadline, wait: Wait
    ) -> None:
        self.endpoint = endpoint
        self._connector = connector
        self._deadline = deadline
        self._wait = wait
        self._connection: Connection | None = None
        self._silences = 0
        self._given_up: HubFailed | None = None
        self._headers = {"Accept": "*/*"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, *, max_bytes: int = MAX_ANSWER_BYTES, may_cut: bool = False) -> Answer:
        """The answer with status 200, of at most `max_bytes`; `may_cut` takes that much of a larger one.

        `path` is what stands behind the endpoint, with the query.

        Raises:
            HubFailed: there is no such answer.
            Invalid: the address of the hub is not allowed.
        """
        target = self.endpoint.path + path
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask_patiently(target, max_bytes)
            if answer.status not in REDIRECTS:
                return _judge(answer, max_bytes, may_cut)
            target = self._path_of(answer.headers.get("Location", ""))
        raise HubFailed(f"more than {_MOST_REDIRECTS} redirects", is_passing=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask_patiently(self, path: str, max_bytes: int) -> Answer:
        """Waits a little when the hub is busy. When it says to wait longer, it is not asked again in this fetch."""
        try:
            answer = retry(
                lambda: self._ask(path, max_bytes),
                _PAUSES_SECONDS,
                self._deadline,
                longest=_LONGEST_PAUSE_SECONDS,
                wait=self._wait,
            )
        except _Busy as busy:
            raise self._count_silence(busy.failed) from None
        self._silences = 0
        return answer

    def _ask(self, path: str, max_bytes: int) -> Answer:
        if self._given_up is not None:
            raise self._given_up
        if not self._deadline.allows(0):
            raise HubFailed("no time was left")
        is_reused = self._connection is not None
        try:
            answer = self._send(path, max_bytes, self._deadline.within(_REQUEST_SECONDS))
        except BROKEN as error:
            self.close()
            # The hub may close a connection that was idle while we thought; that says nothing about the hub.
            if is_reused and not isinstance(error, TimeoutError) and self._deadline.allows(0):
                return self._ask(path, max_bytes)
            raise self._count_silence(self._silence(error)) from None  # the cause may quote headers, and so the token
        if answer.status in _BUSY:
            raise _Busy(_refusal(answer))
        return answer

    def _silence(self, error: Exception) -> HubFailed:
        if isinstance(error, ssl.SSLCertVerificationError):
            return HubFailed(f"its certificate is not accepted ({error.verify_message})")
        is_late = isinstance(error, TimeoutError) or not self._deadline.allows(0)
        return HubFailed("no answer in time" if is_late else f"no answer: {explain(error, self.endpoint.host)}")

    def _count_silence(self, failed: HubFailed) -> HubFailed:
        """A hub that is down would cost each model its time, so a few in a row are enough."""
        self._silences += 1
        if self._silences >= _MOST_SILENCES or failed.status == _TOO_MANY:
            self._given_up = failed
        return failed

    def _send(self, path: str, max_bytes: int, deadline: Deadline) -> Answer:
        if self._connection is None:
            self._connection = self._connector.open(self.endpoint, TLSChoice(), deadline)
        try:
            response = self._connection.ask(path, self._headers, deadline, max_bytes)
            body, is_cut = read_up_to(response.read, coding_of(response.headers), max_bytes)
        except Invalid as error:  # of this answer only
            self.close()
            raise HubFailed(error.reason, is_passing=False) from None
        if is_cut or response.is_last:
            self.close()
        return Answer(response.status, response.headers, body, is_cut)

    def _path_of(self, location: str) -> str:
        """The path of a redirect, when it stays at this hub: a model that was renamed answers so."""
        try:
            if _LOCATION.fullmatch(location) is None:
                raise ValueError("is no absolute path")
            target = self.endpoint.follow(location)
        except ValueError:
            raise HubFailed("the hub redirects to nowhere", is_passing=False) from None
        if target.origin != self.endpoint.origin:
            raise HubFailed("the hub redirects to another host, which is not followed", is_passing=False)
        return target.request_path


def _judge(answer: Answer, max_bytes: int, may_cut: bool) -> Answer:
    if answer.status != 200:
        raise _refusal(answer)
    if answer.is_cut and not may_cut:
        raise HubFailed(f"the hub's answer has more than {max_bytes} bytes", is_passing=False)
    return answer


def _refusal(answer: Answer) -> HubFailed:
    status, wanted = answer.status, _wanted_pause(answer.headers)
    if status == _TOO_MANY:
        return HubFailed("the hub limits how often it is asked", status=status, retry_after=wanted)
    said = f"the hub answers {status} {responses.get(status, '')}".rstrip()
    return HubFailed(said, status=status, is_passing=status >= 500, retry_after=wanted)


def _wanted_pause(headers: Message) -> int:
    """Seconds that the hub asks us to wait; 0 when it does not say."""
    given = read_retry_after(headers, datetime.now(UTC))
    if given is not None:
        return math.ceil(given)
    reset = _RESET_IN.search(headers.get("RateLimit", ""))
    return int(reset[1]) + 1 if reset else 0
