"""A small Kubernetes API server for tests: real HTTP, any kind of object, optimistic concurrency as the real one does.

It knows namespaced and cluster-wide objects by path, GET, POST, PUT, DELETE, lists with labelSelector, limit and
continue, resourceVersion conflicts, the size limits of ConfigMaps and annotations, and SubjectAccessReviews, which it
judges by the roles and bindings that it holds, as RBAC does, or as a test says.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fake_rbac import rbac_allows

TOKEN = "the-token"
ANNOTATIONS_MAX_BYTES = 256 * 1024
OBJECT_MAX_BYTES = 1024 * 1024
REVIEWS = "subjectaccessreviews"

KubeObject = dict[str, Any]
Key = tuple[str, str, str, str]  # api, namespace, plural, name

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
_PATH = re.compile(r"/(api/v1|apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([^/]+)(?:/([^/]+))?")


class Refused(Exception):
    """An answer that is no success; `reason` is the machine word in it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class Cluster:
    """The objects, and how the server is to behave."""

    def __init__(self) -> None:
        self.objects: dict[Key, KubeObject] = {}
        self.tokens = {TOKEN}
        self.accounts: dict[str, str] = {}
        """Token -> user, of those who may do only what roles and bindings give them."""
        self.forbidden: set[tuple[str, str]] = set()
        """(HTTP method, plural) that are answered with 403."""
        self.allows: Callable[[KubeObject], bool] = lambda spec: rbac_allows(self.objects, spec)
        """Judges the spec of a SubjectAccessReview."""
        self.reviews: list[KubeObject] = []
        """The specs that were asked about and judged."""
        self.before: Callable[[str, str], None] = lambda method, path: None
        """Called before each request is looked at: to change objects meanwhile, to wait, or to raise Refused."""
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._version = 0

    def put(self, plural: str, namespace: str, body: KubeObject, *, api: str = "api/v1") -> KubeObject:
        """Store `body` behind the back of the clients."""
        with self._lock:
            return self._store((api, namespace, plural, body["metadata"]["name"]), body)

    def find(self, plural: str, namespace: str, name: str, *, api: str = "api/v1") -> KubeObject | None:
        return self.objects.get((api, namespace, plural, name))

    def names(self, plural: str, namespace: str, *, api: str = "api/v1") -> list[str]:
        return sorted(key[3] for key in self.objects if key[:3] == (api, namespace, plural))

    def check_account(self, token: str, method: str, path: str) -> None:
        """Raise Refused unless `token` is known and its user may do this."""
        if token not in self.tokens and token not in self.accounts:
            raise Refused(401, "Unauthorized", "Unauthorized")
        match = _PATH.fullmatch(path)
        if token not in self.accounts or match is None:
            return
        api, namespace, plural, name = (part or "" for part in match.groups())
        verb = _VERBS[method] if method != "GET" or name else "list"
        group = api.split("/")[1] if api.startswith("apis/") else ""
        wanted = {"group": group, "resource": plural, "verb": verb, "namespace": namespace}
        if not rbac_allows(self.objects, {"user": self.accounts[token], "resourceAttributes": wanted}):
            raise Refused(403, "Forbidden", f'{plural} is forbidden: User "{self.accounts[token]}" cannot {verb}')

    def answer(self, method: str, path: str, query: dict[str, str], body: KubeObject | None) -> tuple[int, KubeObject]:
        match = _PATH.fullmatch(path)
        if match is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        api, namespace, plural, name = (part or "" for part in match.groups())
        if (method, plural) in self.forbidden:
            raise Refused(403, "Forbidden", f'{plural} is forbidden: User "system:serviceaccount:x" cannot {method}')
        key = (api, namespace, plural, name)
        with self._lock:
            if method == "GET":
                return 200, self._existing(key) if name else self._list(key, query)
            if method == "POST" and body is not None:
                return 201, self._review(body) if plural == REVIEWS else self._create(key, body)
            if method == "PUT" and body is not None:
                return 200, self._replace(key, body)
            if method == "DELETE":
                self._existing(key)
                del self.objects[key]
                return 200, {"kind": "Status", "status": "Success"}
        raise Refused(405, "MethodNotAllowed", "the server does not allow this method")

    def _existing(self, key: Key) -> KubeObject:
        if key not in self.objects:
            raise Refused(404, "NotFound", f'{key[2]} "{key[3]}" not found')
        return self.objects[key]

    def _list(self, key: Key, query: dict[str, str]) -> KubeObject:
        wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
        found = [
            self.objects[one]
            for one in sorted(self.objects)
            if (one[0], one[2]) == (key[0], key[2])
            and key[1] in ("", one[1])
            and wanted.items() <= self.objects[one]["metadata"].get("labels", {}).items()
        ]
        start = int(query.get("continue") or 0)
        end = start + int(query.get("limit") or len(found) or 1)
        metadata = {"resourceVersion": str(self._version), **({"continue": str(end)} if end < len(found) else {})}
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start:end]}

    def _create(self, key: Key, body: KubeObject) -> KubeObject:
        metadata = body["metadata"]
        name = metadata.get("name") or metadata["generateName"] + uuid.uuid4().hex[:5]
        key = (*key[:3], name)
        if key in self.objects:
            raise Refused(409, "AlreadyExists", f'{key[2]} "{name}" already exists')
        return self._store(key, {**body, "metadata": {**metadata, "name": name}})

    def _replace(self, key: Key, body: KubeObject) -> KubeObject:
        old = self._existing(key)
        given = body["metadata"].get("resourceVersion")
        if given and given != old["metadata"]["resourceVersion"]:
            message = f'Operation cannot be fulfilled on {key[2]} "{key[3]}": the object has been modified'
            raise Refused(409, "Conflict", message)
        return self._store(key, body)

    def _store(self, key: Key, body: KubeObject) -> KubeObject:
        _check_sizes(key, body)
        _check_lease(key, body.get("spec") or {})
        self._version += 1
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        old = self.objects.get(key, {"metadata": {}})["metadata"]
        metadata = {
            "creationTimestamp": now,
            **body["metadata"],
            **{field: old[field] for field in ("uid", "creationTimestamp") if field in old},
            "resourceVersion": str(self._version),
        }
        metadata.setdefault("uid", str(uuid.uuid4()))
        if key[1]:
            metadata["namespace"] = key[1]
        self.objects[key] = json.loads(json.dumps({**body, "metadata": metadata}))
        return self.objects[key]

    def _review(self, body: KubeObject) -> KubeObject:
        spec = body.get("spec", {})
        _check_review(body, spec)
        self.reviews.append(spec)
        return {**body, "status": {"allowed": self.allows(spec)}}


def _check_review(body: KubeObject, spec: KubeObject) -> None:
    """What the real API refuses."""
    if (body.get("apiVersion"), body.get("kind")) != ("authorization.k8s.io/v1", "SubjectAccessReview"):
        raise Refused(400, "BadRequest", "no kind is registered for this version of authorization.k8s.io")
    if body.get("metadata"):
        raise Refused(422, "Invalid", "metadata: Invalid value: must be empty")
    if not spec.get("user") and not spec.get("groups"):
        raise Refused(422, "Invalid", "spec.user: Invalid value: at least one of user or group must be specified")
    if ("resourceAttributes" in spec) == ("nonResourceAttributes" in spec):
        raise Refused(422, "Invalid", "spec.resourceAttributes: exactly one of them must be specified")


def _check_lease(key: Key, spec: KubeObject) -> None:
    """What the real API refuses."""
    if key[2] == "leases" and (spec.get("holderIdentity") == "" or spec.get("leaseDurationSeconds", 1) <= 0):
        raise Refused(422, "Invalid", "spec: Invalid value: holderIdentity must not be empty, the duration not 0")


def _check_sizes(key: Key, body: KubeObject) -> None:
    annotations = body["metadata"].get("annotations") or {}
    if sum(len(name) + len(value.encode()) for name, value in annotations.items()) > ANNOTATIONS_MAX_BYTES:
        raise Refused(
            422, "Invalid", f"metadata.annotations: Too long: must have at most {ANNOTATIONS_MAX_BYTES} bytes"
        )
    values = [*(body.get("data") or {}).values(), *(body.get("binaryData") or {}).values()]
    if key[2] == "configmaps" and sum(len(value.encode()) for value in values) > OBJECT_MAX_BYTES:
        raise Refused(422, "Invalid", f"[]: Too long: must have at most {OBJECT_MAX_BYTES} bytes")


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cluster: Cluster

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        self.cluster.requests.append((method, url.path))
        try:
            self.cluster.before(method, url.path)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self.cluster.check_account(token, method, url.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, answer = self.cluster.answer(method, url.path, query, body)
        except Refused as refused:
            status = refused.status
            answer = {"kind": "Status", "status": "Failure", "message": refused.message, "code": status}
            answer["reason"] = refused.reason
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what some tests are about."""


@contextmanager
def serve_cluster(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[tuple[Cluster, str]]:
    """An empty cluster, and the URL that it answers at; on any free port, unless one is given."""
    cluster = Cluster()
    connection = type("Connection", (_Connection,), {"cluster": cluster})
    with _Server(("127.0.0.1", port), connection) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        # Closing the server waits for its loop to look up, half a second by default.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield cluster, f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
