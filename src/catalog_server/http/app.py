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
from catalog_server.telemetry import AccessLine, AccessLog, Clock

_MAX_ID_LENGTH = 128
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
        authorization(services.authorizer),
        conditional_reads(services.response_cache_bytes),
    ]


def build_app(services: Services, access_log: AccessLog) -> App:
    """The application with all routes of all plugins."""
    return App(build_routes(services), middlewares(services), access_log)


class App:
    """Serves ASGI."""

    def __init__(self, routes: Sequence[Route], stack: Sequence[Middleware], access_log: AccessLog) -> None:
        self.router = Router(routes)
        self._access_log = access_log
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
        if not request.route.is_probe:
            self._log(request, response, started)

    def _request_id(self, request: Request) -> str:
        given = request.header(b"x-request-id")
        if given and len(given) <= _MAX_ID_LENGTH and given.isascii() and given.isprintable():
            return given
        self._count += 1
        return f"{self._id_prefix}-{self._count:x}"

    def _log(self, request: Request, response: Response, started: float) -> None:
        route = request.route
        path = b"%b?%b" % (request.raw_path, request.raw_query) if request.raw_query else request.raw_path
        line = AccessLine(
            self._clock.text(time.time()),
            "request",
            request.method,
            path.decode("ascii", "backslashreplace"),
            route.template if route is not None else "",
            response.status,
            round((time.perf_counter() - started) * 1000, 3),
            len(response.body),
            request.scope.namespace,
            request.id,
        )
        self._access_log.add(line, _call_later)


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
