"""Which tenant a request is for (spec platform.md 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Collection

from catalog_server.errors import Invalid
from catalog_server.http.messages import Handler, Middleware, Request, Response
from catalog_server.http.problems import TenantForbidden, TenantRejected
from catalog_server.scope import Scope


def tenancy(allowed: Collection[str], *, is_shared: bool) -> Middleware:
    """In mode `namespace` each request names its namespace; in mode `single` all stay in `default`, as they begin."""

    def wrap(following: Handler) -> Handler:
        def by_namespace(request: Request) -> Awaitable[Response]:
            if request.route is not None and request.route.needs_tenant:
                request.scope = _scope_of(request, allowed)
            return following(request)

        return by_namespace if is_shared else following

    return wrap


def _scope_of(request: Request, allowed: Collection[str]) -> Scope:
    try:
        name = request.first("namespace") or (request.header(b"x-namespace") or "").strip(" \t")
    except Invalid as error:  # who cannot be understood has named no namespace
        raise TenantRejected(error.reason, field=error.field) from error
    if not name:
        raise TenantRejected(
            "namespace is required in multi-tenant mode: pass ?namespace= or the header X-Namespace", field="namespace"
        )
    try:
        scope = Scope(name)
    except Invalid as error:
        raise TenantRejected(error.message, field="namespace") from error
    if allowed and name not in allowed:
        raise TenantForbidden(f"namespace {name!r} is not served here", field="namespace")
    return scope
