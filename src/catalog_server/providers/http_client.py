"""Gets one document over HTTP: follows redirects, tries again where that may help, and says what went wrong.

What a source says about headers and credentials goes to the origin that its URL names and to nobody else. Messages name
the host and the status; nothing that a server has written gets into them.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Final

from catalog_server.errors import CatalogError, Invalid, RateLimited, Unavailable
from catalog_server.providers.deadline import Deadline, Passing, retry
from catalog_server.providers.http_body import check_head, coding_of, prepare_text, read_body
from catalog_server.providers.http_cache import Entry
from catalog_server.providers.http_connection import (
    BROKEN,
    REDIRECTS,
    Connector,
    Response,
    explain,
    parse_date,
    read_retry_after,
)
from catalog_server.providers.http_source import HTTPSource
from catalog_server.providers.http_target import Target

_DEFAULT_RETRY_SECONDS: Final = 60
_LONGEST_VALIDATOR: Final = 1024
_PRINTABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OUR_HEADERS: Final = {"accept": "application/yaml, application/json;q=0.9, */*;q=0.5", "connection": "close"}


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
    """`random` gives numbers in [0, 1)."""

    def __init__(self, connector: Connector, limits: HTTPLimits, random: Callable[[], float]) -> None:
        self._connector = connector
        self._limits = limits
        self._random = random

    def get(self, source: HTTPSource, known: Entry | None, deadline: Deadline) -> Entry:
        """The document as it is now; `known` itself when the server says that nothing has changed.

        Raises:
            Invalid: trying again will not help before somebody changes something.
            Unavailable, RateLimited: trying again later may help.
        """
        attempt = _Attempt(self._connector, self._limits, source, known, deadline)
        pauses = [
            self._limits.backoff_seconds * 2**number * (0.5 + self._random() / 2)
            for number in range(self._limits.retries)
        ]
        try:
            return retry(attempt.run, pauses, deadline)
        except Passing as failure:
            raise _lasting(failure) from failure


class _TooMany(Passing):
    """The server wants to be asked less often."""


def _lasting(failure: Passing) -> CatalogError:
    asked = failure.asked_seconds
    seconds = max(1, _DEFAULT_RETRY_SECONDS if asked is None else math.ceil(asked))
    if isinstance(failure, _TooMany):
        return RateLimited(str(failure), retry_after_seconds=seconds)
    return Unavailable(str(failure), retry_after_seconds=seconds, is_asked=asked is not None)


class _Attempt:
    """One way from the URL of the source to an answer, over redirects. Can be run again."""

    def __init__(
        self, connector: Connector, limits: HTTPLimits, source: HTTPSource, known: Entry | None, deadline: Deadline
    ) -> None:
        self._connector = connector
        self._limits = limits
        self._source = source
        self._known = known
        self._deadline = deadline

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
        source, deadline = self._source, self._deadline
        try:
            with closing(self._connector.open(target, source.tls, deadline)) as connection:
                response = connection.ask(target.request_path, headers, deadline, source.max_bytes)
                return self._judge(target, response, is_stripped=bool(source.headers) and not own_headers)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of the host {target.host!r} is not trusted: {error.verify_message}"
            raise Invalid(problem, field="properties.url", code="certificate_refused") from error
        except BROKEN as error:
            late = f"the host {target.host!r} did not send all of its answer within {source.timeout_seconds:g} s"
            raise Passing(explain(error, target.host) if deadline.allows(0) else late) from error

    def _conditions(self, target: Target) -> dict[str, str]:
        """Only for whom the validators came from: another server may use the same words for another document."""
        known = self._known
        if known is None or known.place != target.digest:
            return {}
        given = {"if-none-match": known.etag, "if-modified-since": known.last_modified}
        return {name: value for name, value in given.items() if value is not None}

    def _judge(self, target: Target, response: Response, *, is_stripped: bool) -> Entry | Target:
        if response.status == 200:
            return self._read(target, response)
        if response.status == 304 and self._known is not None and self._conditions(target):
            return self._known
        if response.status in REDIRECTS:
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


def refusal(status: int, headers: Message, host: str, *, is_stripped: bool) -> CatalogError | Passing:
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
        return _TooMany(problem, asked_seconds=read_retry_after(headers, datetime.now(UTC)))
    if status in (408, 425) or status >= 500:
        problem = f"{shown} answers with an error (status {status})"
        return Passing(problem, asked_seconds=read_retry_after(headers, datetime.now(UTC)))
    return Invalid(
        f"{shown} answers without a document (status {status})", field="properties.url", code="status_unexpected"
    )


def read_validators(headers: Message) -> tuple[str | None, str | None]:
    """`ETag` and `Last-Modified`, in so far as they are fit to be sent back."""
    if "no-store" in headers.get("Cache-Control", "").lower():
        return None, None
    etag, modified = (
        value if len(value) <= _LONGEST_VALIDATOR and _PRINTABLE.fullmatch(value) else None
        for value in (headers.get(name, "").strip() for name in ("ETag", "Last-Modified"))
    )
    changed, sent = parse_date(modified or ""), parse_date(headers.get("Date", ""))
    if changed is None or (sent is not None and sent - changed < timedelta(seconds=1)):
        return etag, None  # it may change once more within that second, and nobody would ever tell us
    return etag, modified


def _refused_redirect(target: Target, how: str) -> Invalid:
    problem = f"the host {target.host!r} redirects {how}"
    return Invalid(problem, field="properties.url", code="redirect_refused")
