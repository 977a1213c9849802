"""Gets one document over HTTP: follows redirects, tries again where that may help, and says what went wrong.

What a source says about headers and credentials goes to the origin that its URL names and to nobody else. Messages name
the host and the status; nothing that a server has written gets into them.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Final

from catalog_server import __version__
from catalog_server.errors import CatalogError, Invalid, RateLimited, Unavailable
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_body import (
    ACCEPTED_CODINGS,
    EndsEarly,
    check_head,
    coding_of,
    prepare_text,
    read_body,
)
from catalog_server.providers.http_cache import Entry
from catalog_server.providers.http_connection import Response, build_tls_context, open_response
from catalog_server.providers.http_guard import AddressGuard, HostUnknown
from catalog_server.providers.http_source import HTTPSource
from catalog_server.providers.http_target import Target

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_DEFAULT_RETRY_SECONDS: Final = 60
_LONGEST_RETRY_SECONDS: Final = 24 * 3600
_LONGEST_VALIDATOR: Final = 1024
_PRINTABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OUR_HEADERS: Final = {
    "accept": "application/yaml, application/json;q=0.9, */*;q=0.5",
    "accept-encoding": ACCEPTED_CODINGS,
    "connection": "close",
    "user-agent": f"catalog-server/{__version__}",
}


@dataclass(frozen=True, slots=True)
class HTTPLimits:
    """How much one source may cost. `timeout_seconds` is for a whole fetch, when the source does not say."""

    max_bytes: int = 32 * 1024 * 1024
    timeout_seconds: float = 30.0
    retries: int = 3
    redirects: int = 5
    backoff_seconds: float = 0.5
    cache_bytes: int = 256 * 1024 * 1024


class HTTPClient:
    """`random` gives numbers in [0, 1), `pause` waits for some seconds."""

    def __init__(
        self,
        guard: AddressGuard,
        limits: HTTPLimits,
        *,
        random: Callable[[], float],
        pause: Callable[[float], object],
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._random = random
        self._pause = pause

    def get(self, source: HTTPSource, known: Entry | None, deadline: Deadline) -> Entry:
        """The document as it is now; `known` itself when the server says that nothing has changed.

        Raises:
            Invalid: trying again will not help before somebody changes something.
            Unavailable, RateLimited: trying again later may help.
        """
        attempt = _Attempt(self._guard, self._limits, source, known, deadline)
        tries = 0
        while True:
            try:
                return attempt.run()
            except _Passing as failure:
                pause = self._limits.backoff_seconds * 2**tries * (0.5 + self._random() / 2)
                wait = max(pause, failure.asked_seconds or 0.0)
                if tries >= self._limits.retries or not deadline.allows(wait):
                    raise failure.lasting() from failure
            tries += 1
            self._pause(wait)


class _Passing(Exception):
    """A failure that the next attempt may not meet. `asked_seconds` is what the server wants us to wait."""

    def __init__(self, problem: str, *, is_limit: bool = False, asked_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_limit = is_limit
        self.asked_seconds = asked_seconds

    def lasting(self) -> CatalogError:
        seconds = _DEFAULT_RETRY_SECONDS if self.asked_seconds is None else math.ceil(self.asked_seconds)
        kind = RateLimited if self.is_limit else Unavailable
        return kind(self.problem, retry_after_seconds=max(1, seconds))


class _Attempt:
    """One way from the URL of the source to an answer, over redirects. Can be run again."""

    def __init__(
        self, guard: AddressGuard, limits: HTTPLimits, source: HTTPSource, known: Entry | None, deadline: Deadline
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._source = source
        self._known = known
        self._deadline = deadline
        self._tls: ssl.SSLContext | None = None

    def run(self) -> Entry:
        target, own_headers = self._source.target, self._source.headers
        seen = {target}
        for _ in range(self._limits.redirects + 1):
            answer = self._ask(target, own_headers)
            if isinstance(answer, Entry):
                return answer
            if answer.scheme == "http" and target.scheme == "https":
                raise _refused_redirect(target, "from https to http")
            if answer in seen:
                raise _refused_redirect(target, "in a circle")
            seen.add(answer)
            if answer.origin != target.origin:
                own_headers = {}  # for good: not even for the way back, which another host decides on
            target = answer
        raise _refused_redirect(target, f"more than {self._limits.redirects} times")

    def _ask(self, target: Target, own_headers: Mapping[str, str]) -> Entry | Target:
        """The document, or where to look for it."""
        headers = _OUR_HEADERS | dict(own_headers) | self._conditions(target)
        host = target.host
        if target.scheme == "https" and self._tls is None:  # costs some 25 ms
            self._tls = build_tls_context(self._source.tls)
        try:
            addresses = self._guard.find_addresses(target, self._deadline)
            with open_response(
                target, addresses, headers, tls=self._tls, deadline=self._deadline, max_bytes=self._source.max_bytes
            ) as response:
                is_stripped = bool(self._source.headers) and not own_headers
                return self._judge(target, response, is_stripped)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of the host {host!r} is not trusted: {error.verify_message}"
            raise Invalid(problem, field="properties.url", code="certificate_refused") from error
        except (OSError, HTTPException, HostUnknown, EndsEarly) as error:
            raise _Passing(self._explain(host, error)) from error

    def _conditions(self, target: Target) -> dict[str, str]:
        """Only for whom the validators came from: another server may use the same words for another document."""
        known = self._known
        if known is None or known.place != target.digest:
            return {}
        given = {"if-none-match": known.etag, "if-modified-since": known.last_modified}
        return {name: value for name, value in given.items() if value is not None}

    def _judge(self, target: Target, response: Response, is_stripped: bool) -> Entry | Target:
        if response.status == 200:
            return self._read(target, response)
        if response.status == 304 and self._known is not None and self._conditions(target):
            return self._known
        if response.status in _REDIRECTS:
            try:
                return target.follow(response.headers.get("Location", ""))
            except ValueError as error:
                raise _refused_redirect(target, f"to a URL that is refused: it {error}") from error
        raise refusal(response.status, response.headers, target.host, is_stripped=is_stripped)

    def _read(self, target: Target, response: Response) -> Entry:
        headers, max_bytes = response.headers, self._source.max_bytes
        check_head(headers, max_bytes)
        body = prepare_text(read_body(response.read, coding_of(headers), max_bytes), headers)
        etag, last_modified = read_validators(headers)
        return Entry(body, target.digest, etag, last_modified)

    def _explain(self, host: str, error: Exception) -> str:
        if not self._deadline.allows(0):
            return f"the host {host!r} did not send all of its answer within {self._source.timeout_seconds:g} s"
        if isinstance(error, TimeoutError):
            return f"the host {host!r} does not answer"
        if isinstance(error, ssl.SSLEOFError | HTTPException | EndsEarly | ConnectionResetError):
            return f"the host {host!r} broke off the connection, or does not speak HTTP"
        if isinstance(error, ssl.SSLError):
            return f"the host {host!r} does not speak TLS as we do"
        if isinstance(error, HostUnknown):
            return f"the name of the host {host!r} cannot be resolved"
        reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        return f"the host {host!r} cannot be reached{reason}"


def refusal(status: int, headers: Message, host: str, *, is_stripped: bool) -> CatalogError | _Passing:
    """What an answer without a document means."""
    shown = f"the host {host!r}"
    if status in (401, 403):
        hint = "; credentials are not sent on to another origin than that of the URL" if is_stripped else ""
        problem = f"{shown} refuses the credentials, or asks for some (status {status}){hint}"
        return Invalid(problem, field="properties.auth", code="auth_failed")
    if status in (404, 410):
        return Invalid(f"{shown} has no such document (status {status})", field="properties.url", code="not_found")
    if status == 429:
        problem = f"{shown} asks for fewer requests (status 429)"
        return _Passing(problem, is_limit=True, asked_seconds=read_retry_after(headers, datetime.now(UTC)))
    if status in (408, 425) or status >= 500:
        problem = f"{shown} answers with an error (status {status})"
        return _Passing(problem, asked_seconds=read_retry_after(headers, datetime.now(UTC)))
    return Invalid(
        f"{shown} answers without a document (status {status})", field="properties.url", code="status_unexpected"
    )


def read_retry_after(headers: Message, now: datetime) -> float | None:
    """Seconds, at most a day: a source must not be told to stay away for good."""
    given = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", given):
        return min(float(given), _LONGEST_RETRY_SECONDS)
    moment = _parse_date(given)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), _LONGEST_RETRY_SECONDS)


def read_validators(headers: Message) -> tuple[str | None, str | None]:
    """`ETag` and `Last-Modified`, in so far as they are fit to be sent back."""
    if "no-store" in headers.get("Cache-Control", "").lower():
        return None, None
    etag, modified = (
        value if len(value) <= _LONGEST_VALIDATOR and _PRINTABLE.fullmatch(value) else None
        for value in (headers.get(name, "").strip() for name in ("ETag", "Last-Modified"))
    )
    changed, sent = _parse_date(modified or ""), _parse_date(headers.get("Date", ""))
    if changed is None or (sent is not None and sent - changed < timedelta(seconds=1)):
        return etag, None  # it may change once more within that second, and nobody would ever tell us
    return etag, modified


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refused_redirect(target: Target, how: str) -> Invalid:
    problem = f"the host {target.host!r} redirects {how}"
    return Invalid(problem, field="properties.url", code="redirect_refused")
