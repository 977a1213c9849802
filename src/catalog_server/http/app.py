"""The ASGI application: routes and middleware as two lists, and the one place that sends an answer.

Everything here is on the path of every read. The order of the middlewares: request id and access log (in `App`), CORS,
audit, error envelope, identity, tenancy, authorization, then conditional reads and the route. Audit stands outside of
all that may refuse a request or fail, so that it tells of that too.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catalog_server.access.permissions import UNKNOWN
from catalog_server.errors import NotFound
from catalog_server.http.messages import Handler, Header, Middleware, Receive, Request, Response, Send, takes_gzip
from catalog_server.http.middleware.audit import audit
from catalog_server.http.middleware.authorization import authorization
from catalog_server.http.middleware.conditional import conditional_reads
from catalog_server.http.middleware.cors import cors
from catalog_server.http.middleware.identity import identity
from catalog_server.http.middleware.tenancy import tenancy
from catalog_server.http.problems import MethodNotAllowed, problems
from catalog_server.http.router import Operation, Route, Router
from catalog_server.http.routes import build_routes
from catalog_server.http.services import Services
from catalog_server.telemetry import traces
from catalog_server.telemetry.access_log import AccessLine, AccessLog, Clock
from catalog_server.telemetry.measurements import Measurements
from catalog_server.telemetry.traces import Finished, Trace, Tracer

_MAX_ID_LENGTH = 128
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))
_OTHER = "_OTHER"
"""For counting, as OpenTelemetry has it: of methods there are only so many."""
_NO_OPERATION = Operation("", "")
_NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
_PROBE_HEADERS: tuple[Header, ...] = ((b"cache-control", b"no-store"), _NO_SNIFF)
_COMMON_HEADERS: tuple[Header, ...] = (
    # Who asks and for which namespace shapes the answer, so that nobody may keep it for others.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Accept-Encoding, Authorization, Origin, X-Namespace, X-Remote-Group, X-Remote-User, X-User-Role"),
    _NO_SNIFF,
)


def middlewares(services: Services) -> list[Middleware]:
    """Outermost first."""
    return [
        cors(services.cors_origins),
        audit(services.trail),
        problems,
        identity(services.trust, guards_reads=services.authorization_mode == "sar"),
        tenancy(services.namespaces, is_shared=services.tenancy_mode != "single"),
        authorization(services.authorizer, services.measurements.decisions),
        conditional_reads(services.response_cache_bytes, services.measurements.cache),
    ]


def build_app(services: Services, access_log: AccessLog) -> App:
    """The application with all routes of all plugins."""
    return App(build_routes(services), middlewares(services), access_log, services.measurements, services.tracer)


class App:
    """Serves ASGI."""

    def __init__(
        self,
        routes: Sequence[Route],
        stack: Sequence[Middleware],
        access_log: AccessLog,
        measurements: Measurements,
        tracer: Tracer,
    ) -> None:
        self.router = Router(routes)
        self._access_log = access_log
        self._measurements = measurements
        self._tracer = tracer
        self._clock = Clock()
        self._id_prefix = secrets.token_hex(6)
        self._count = 0
        handler: Handler = _dispatch
        for middleware in reversed(stack):
            handler = middleware(handler)
        self._handler = handler

    async def __call__(self, asgi: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if asgi["type"] != "http":
            await _refuse(asgi, receive, send)
            return
        started = time.perf_counter()
        request = Request(asgi, receive)
        request.id = self._request_id(request)
        parent = request.header(b"traceparent")
        request.trace = Trace(self._tracer, parent, None if parent is None else request.header(b"tracestate"))
        traces.current.set(request.trace)
        self._measurements.active_requests += 1
        try:
            methods = self.router.match(request)
            route = methods.get("GET" if request.method == "HEAD" else request.method)
            request.route = route or _stand_in(request, methods)
            if request.route.is_probe:
                response, common = await _probe(request), _PROBE_HEADERS
            else:
                common = _COMMON_HEADERS
                response = await self._handler(request)
                if takes_gzip(request):
                    response = response.gzipped()
            # Not in a function of its own: each `await` of one costs every request.
            headers = [*response.headers, *common, (b"x-request-id", request.id.encode())]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else response.body})
        finally:
            self._measurements.active_requests -= 1
        self._record(request, response, asgi["scheme"], time.perf_counter() - started)

    def _request_id(self, request: Request) -> str:
        given = request.header(b"x-request-id")
        if given and len(given) <= _MAX_ID_LENGTH and given.isascii() and given.isprintable():
            return given
        self._count += 1
        return f"{self._id_prefix}-{self._count:x}"

    def _record(self, request: Request, response: Response, scheme: str, seconds: float) -> None:
        """Count it, and show it: but not probes, of which there are many and nobody asks for one."""
        route = request.route
        template = route.template if route is not None else ""
        method = request.method if request.method in _METHODS else _OTHER
        self._measurements.requests.add((method, template, response.status, scheme), seconds)
        if route is not None and route.is_probe:
            return
        path = b"%b?%b" % (request.raw_path, request.raw_query) if request.raw_query else request.raw_path
        now = time.time()
        line = AccessLine(
            self._clock.text(now),
            "request",
            request.method,
            path.decode("ascii", "backslashreplace"),
            template,
            response.status,
            round(seconds * 1000, 3),
            len(response.body),
            request.scope.namespace,
            request.principal.user,
            request.id,
            request.trace.shown_id,
        )
        self._access_log.add(line, _call_later)
        if self._tracer.is_on and self._tracer.wants(request.trace.span):
            self._tracer.finish(_finished(request, response, scheme, now - seconds, now))


def _finished(request: Request, response: Response, scheme: str, started: float, ended: float) -> Finished:
    route, method = request.route, request.method if request.method in _METHODS else _OTHER
    template = route.template if route is not None else ""
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.response.status_code": response.status,
        "url.path": request.path,
        "url.scheme": scheme,
        "catalog.namespace": request.scope.namespace,
        "catalog.request_id": request.id,
    }
    if template:
        attributes["http.route"] = template
    name = f"{method} {template}" if template else method
    return Finished(request.trace.span, name, "server", started, ended, attributes, response.status >= 500)


async def _dispatch(request: Request) -> Response:
    assert request.route is not None
    answer = request.route.endpoint(request)
    return answer if isinstance(answer, Response) else await answer


_probe = problems(_dispatch)


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)


def _stand_in(request: Request, methods: Mapping[str, Route]) -> Route:
    """A route for what has none: it answers 404, 405 or OPTIONS inside the same middlewares as everything else."""
    allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"})

    def endpoint(request: Request) -> Response:
        if not methods:
            raise NotFound(f"no such path: {request.path[:200]}")
        if request.method == "OPTIONS":
            return Response.empty(204, ((b"allow", ", ".join(allowed).encode()),))
        raise MethodNotAllowed(request.method, allowed)

    return Route("", endpoint, _NO_OPERATION, needs_tenant=False, errors=_style(methods), permission=UNKNOWN)


def _style(methods: Mapping[str, Route]) -> Any:
    return next((route.errors for route in methods.values()), "phrase")


async def _refuse(asgi: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Lifespan is the supervisor's business; WebSockets are not spoken."""
    if asgi["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    raise RuntimeError(f"unsupported ASGI scope {asgi['type']!r}")
