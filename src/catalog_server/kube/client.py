"""A small synchronous client for the Kubernetes REST API: JSON objects in and out, errors of ours, one deadline.

For: ConfigMaps, Secrets, Leases, SubjectAccessReviews, Events; any kind that resources.py names.
Not for: watching, and not for typed objects: an object is the mapping that the API speaks of.

404 is NotFound, 409 Conflict, 403 Forbidden; everything else, and silence, is Unavailable. After Unavailable a change
may have happened or not: repeat it with the same resourceVersion and the API server decides.
"""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import SHUT_RDWR
from typing import Any, Final
from urllib.parse import urlencode

from catalog_server.errors import CatalogError, Conflict, Forbidden, NotFound, Unavailable
from catalog_server.kube.access import Access
from catalog_server.kube.resources import Resource
from catalog_server.telemetry import traces

KubeObject = dict[str, Any]

TIMEOUT_SECONDS: Final = 10.0
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_PAGE_SIZE: Final = 100
_IDLE_CONNECTIONS: Final = 8
_SHOWN_MESSAGE: Final = 300
_UNAUTHORIZED: Final = 401
_KINDS: Final[Mapping[int, type[CatalogError]]] = {403: Forbidden, 404: NotFound, 409: Conflict}


class KubeClient:
    """Thread-safe; keeps a few connections open. Close it at the end."""

    def __init__(self, access: Access, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._access = access
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self._is_closed = False

    def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> KubeObject:
        return self.request("GET", resource.path(namespace=namespace, name=name))

    def create(self, resource: Resource, body: KubeObject, *, namespace: str | None = None) -> KubeObject:
        """Make the object `body`; the API server names what is missing in it. Conflict: it exists already."""
        return self.request("POST", resource.path(namespace=namespace), body)

    def replace(self, resource: Resource, body: KubeObject, *, namespace: str | None = None) -> KubeObject:
        """Put `body` over the object of its name. Conflict: its resourceVersion is not the present one."""
        path = resource.path(namespace=namespace, name=str(body["metadata"]["name"]))
        return self.request("PUT", path, body)

    def delete(self, resource: Resource, name: str, *, namespace: str | None = None) -> None:
        self.request("DELETE", resource.path(namespace=namespace, name=name))

    def list(
        self, resource: Resource, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Iterator[KubeObject]:
        """All objects that carry `labels`, page by page."""
        query = {"limit": str(_PAGE_SIZE)}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())
        while True:
            page = self.request("GET", f"{resource.path(namespace=namespace)}?{urlencode(query)}")
            yield from page.get("items") or ()
            query["continue"] = page.get("metadata", {}).get("continue") or ""
            if not query["continue"]:
                return

    def request(
        self, method: str, path: str, body: KubeObject | None = None, *, timeout_seconds: float | None = None
    ) -> KubeObject:
        """Send one request and return the object in the answer. The whole of it ends within `timeout_seconds`."""
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        payload = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        token = self._access.token()
        status, answer = self._send(method, path, payload, token, deadline)
        if status == _UNAUTHORIZED and self._access.token() != token:  # renewed while we asked
            status, answer = self._send(method, path, payload, self._access.token(), deadline)
        if status >= 300:
            raise _refusal(method, path, status, answer)
        try:
            result = json.loads(answer)
        except ValueError as error:
            raise _failure(method, path, "the answer is no JSON") from error
        if not isinstance(result, dict):
            raise _failure(method, path, "the answer is no object")
        return result

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _send(self, method: str, path: str, payload: bytes | None, token: str, deadline: float) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "User-Agent": "catalog-server", **traces.headers()}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = self._connection()
        try:
            with _ending_at(connection, deadline):
                connection.request(method, self._access.prefix + path, payload, headers)
                response = connection.getresponse()
                answer = response.read(_MAX_ANSWER_BYTES + 1)
            if response.length and len(answer) <= _MAX_ANSWER_BYTES:
                raise IncompleteRead(answer, response.length)  # a read of a given size keeps quiet about it
        except (OSError, HTTPException) as error:
            connection.close()
            late = "no answer in time" if time.monotonic() >= deadline else str(error) or type(error).__name__
            raise _failure(method, path, late) from error
        if len(answer) > _MAX_ANSWER_BYTES:
            connection.close()
            raise _failure(method, path, "the answer is too large")
        self._keep(connection, response)
        return response.status, answer

    def _connection(self) -> HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if connection.sock is not None and not _is_readable(connection):
                return connection
            connection.close()  # the server has hung up meanwhile
        if self._access.tls is None:
            return HTTPConnection(self._access.host, self._access.port)
        return HTTPSConnection(self._access.host, self._access.port, context=self._access.tls)

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        if not response.will_close:
            with self._lock:
                if not self._is_closed and len(self._idle) < _IDLE_CONNECTIONS:
                    self._idle.append(connection)
                    return
        connection.close()


def _is_readable(connection: HTTPConnection) -> bool:
    """Whether something came in that nobody asked for: the end of the connection, as a rule."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _ending_at(connection: HTTPConnection, deadline: float) -> Iterator[None]:
    """Break off what happens on `connection` inside at `deadline`.

    A timeout of the socket alone starts anew with every byte, and a leader must know in time that it cannot renew.
    """
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("no time left")
    connection.timeout = remaining
    if connection.sock is not None:
        connection.sock.settimeout(remaining)
    alarm = threading.Timer(remaining, _break_off, [connection])
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _break_off(connection: HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(SHUT_RDWR)


def _refusal(method: str, path: str, status: int, answer: bytes) -> CatalogError:
    try:
        said = str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        said = "no reason given"
    message = _message(method, path, f"{status}: {said[:_SHOWN_MESSAGE]}")
    return _KINDS.get(status, Unavailable)(message)


def _failure(method: str, path: str, problem: str) -> Unavailable:
    return Unavailable(_message(method, path, problem))


def _message(method: str, path: str, problem: str) -> str:
    return f"kubernetes: {method} {path.partition('?')[0]}: {problem}"
