"""One HTTP call: a connection, a request, an answer, within one time.

On http.client of the standard library, which a start pays 20 ms for; httpx takes 80 (ADR-0015). No redirects are
followed and no proxies of the environment are used: a token goes to the server that was named and to nobody else.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from catalog_server import __version__
from catalog_server.cli.client.failures import Failure, Unreachable, Usage, exit_code_of

MAX_BYTES: Final = 256 * 1024 * 1024
_BLOCK: Final = 1 << 16
_NAMESPACE_HELP: Final = "name one with -n, CATALOG_NAMESPACE or `catalog-cli config set namespace NAME`"
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Target:
    """Whom to ask, and as whom. `headers` go with each request; they may hold secrets, so they are not shown."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 30.0
    ca_file: str = ""
    is_verified: bool = True


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as a value.

        Raises:
            Failure: it is no JSON. So this is no catalog-server, or something stands in between.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Failure(
                f"the answer is no JSON but {self.headers.get('content-type', 'of no type')}", status=self.status
            ) from error

    def object(self) -> dict[str, Any]:
        """The body as an object, which all answers are but those of `api`.

        Raises:
            Failure: it is none.
        """
        found = self.json()
        if not isinstance(found, dict):
            raise Failure("the answer is no object; is this a catalog-server?", status=self.status)
        return found


class Transport:
    """Sends requests to one target.

    Raises:
        Usage: the URL is not one of a server.
    """

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        try:
            port = parts.port
        except ValueError as error:
            raise Usage(f"server: {target.url!r} has no valid port") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise Usage(f"server: {target.url!r} is not a URL such as http://localhost:8080")
        if parts.username is not None:
            raise Usage("server: a URL with user and password is not taken; use --token-file")
        self.target = target
        self.base = target.url.rstrip("/")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._prefix = parts.path.rstrip("/")

    def send(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once. `path` is encoded already and starts with a slash; `body` is sent as JSON.

        Raises:
            Unreachable: no whole answer came in time.
        """
        deadline = time.monotonic() + self.target.timeout_seconds
        text = f"{self._prefix}{path}" + (f"?{urlencode(query, errors='surrogatepass')}" if query else "")
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        connection = self._connect()
        try:
            connection.putrequest(method, text, skip_accept_encoding=True)
            for name, value in self._headers(data, headers or {}).items():
                connection.putheader(name, _header_value(name, value))
            connection.endheaders(data)
            return _read(connection, deadline)
        except TimeoutError as error:
            raise Unreachable(f"{self.base}: no answer within {self.target.timeout_seconds:g} s") from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Unreachable(f"{self.base} cannot be reached: {_reason(error)}") from error
        finally:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once, for a good answer.

        Raises:
            Failure: the server's refusal, with its words. Unreachable: as `send`.
        """
        answer = self.send(method, path, query, body, headers)
        if answer.status >= 300:
            raise refusal(answer)
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self.target.timeout_seconds
        if not self._is_tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.target.ca_file or None)
        except OSError as error:
            raise Usage(f"ca-file: {self.target.ca_file!r} cannot be used: {_reason(error)}") from error
        if not self.target.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)

    def _headers(self, data: bytes | None, given: Mapping[str, str]) -> dict[str, str]:
        found = {
            "Accept": "application/json",
            "User-Agent": f"catalog-cli/{__version__}",
            **self.target.headers,
            **given,
        }
        if data is not None:
            found |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        return found


def refusal(answer: Answer) -> Failure:
    """What the server says in an answer that is not what was asked for."""
    try:
        parsed = json.loads(answer.body)
    except ValueError:
        parsed = None
    found = parsed if isinstance(parsed, dict) else {}
    word = str(found.get("error") or http.client.responses.get(answer.status, "error"))
    message = str(found.get("message") or found.get("error") or _raw(answer))
    if answer.status == 400 and found.get("field") == "namespace":
        message = f"{message}; {_NAMESPACE_HELP}"
    if choices := [str(one.get("sourceId")) for one in found.get("choices") or () if isinstance(one, dict)]:
        message = f"{message}; --source is one of {', '.join(choices)}"
    details = {key: value for key, value in found.items() if key not in ("error", "message")}
    if "retry-after" in answer.headers:
        details["retryAfterSeconds"] = answer.headers["retry-after"]
    return Failure(
        message,
        exit_code_of(answer.status),
        word=word,
        status=answer.status,
        request_id=answer.headers.get("x-request-id", ""),
        details=details,
    )


def _raw(answer: Answer) -> str:
    """Something to say of an answer that is none of ours: a proxy's page, for example."""
    phrase = http.client.responses.get(answer.status, "unknown status")
    is_text = answer.headers.get("content-type", "").startswith("text/plain")
    text = answer.body[:200].decode(errors="replace").strip() if is_text else ""
    return text or phrase


def _read(connection: http.client.HTTPConnection, deadline: float) -> Answer:
    response = connection.getresponse()
    blocks, size = [], 0
    while block := response.read1(_BLOCK):
        size += len(block)
        if size > MAX_BYTES:
            raise Failure(f"the answer is longer than {MAX_BYTES >> 20} MiB", status=response.status)
        if time.monotonic() > deadline:
            raise TimeoutError
        blocks.append(block)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, b"".join(blocks))


def _header_value(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    if any(byte < 0x20 or byte == 0x7F for byte in data):
        raise Usage(f"the value for {name} holds a control character")
    return data


def _reason(error: Exception) -> str:
    """In words, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
