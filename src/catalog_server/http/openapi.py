"""Routes -> OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from catalog_server import __version__
from catalog_server.http.router import Link, Route
from catalog_server.http.schemas import ERROR_SCHEMA

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?:\.\.\.)?\}")
_ERROR_REF = {"$ref": "#/components/schemas/Error"}
_NAMESPACE = {
    "name": "namespace",
    "in": "query",
    "required": True,
    "description": "The tenant. The header X-Namespace may name it instead.",
}


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How this server is run, as far as it shows in the document."""

    multi_tenant: bool
    """Of a single tenant nobody has to know the name, so it is not a parameter."""
    namespaces: Sequence[str] = ()
    """Those that there are, where that is no secret."""
    reviewed: bool = False
    """The cluster decides about each route that needs a permission."""
    takes_tokens: bool = False
    """Callers are known by tokens, and by no headers of a proxy."""

    def namespace_parameter(self) -> Mapping[str, Any]:
        any_name = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63}
        return {**_NAMESPACE, "schema": {"enum": list(self.namespaces)} if self.namespaces else any_name}


_TEXT_IN_PATH: dict[str, Any] = {"type": "string", "minLength": 1}


def build_document(routes: Sequence[Route], mode: Mode) -> dict[str, Any]:
    """The API document of these routes."""
    components: dict[str, Any] = {"schemas": {"Error": ERROR_SCHEMA}}
    security: dict[str, Any] = {}
    if mode.takes_tokens:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        security["security"] = [{}, {"token": []}]
    paths: dict[str, Any] = {}
    for route in routes:
        path = _PLACEHOLDER.sub(r"{\1}", route.template)
        asks_tenant = mode.multi_tenant and route.needs_tenant and not route.is_probe
        implied = _implied(route, asks_tenant) + _identified(route, mode)
        tenant = (mode.namespace_parameter(),) if asks_tenant else ()
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, tenant, implied)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "catalog-server",
            "version": __version__,
            "description": "Catalogs of AI assets: models, MCP servers, knowledge sources, prompts, agents and more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": components,
        **security,
    }


def _operation(route: Route, tenant: Sequence[Mapping[str, Any]], implied: tuple[int, ...]) -> dict[str, Any]:
    operation = route.operation
    parameters: list[Any] = [
        {"name": name, "in": "path", "required": True, "schema": {**_TEXT_IN_PATH, **operation.path.get(name, {})}}
        for name in _PLACEHOLDER.findall(route.template)
    ]
    parameters += [dict(one) for one in (*operation.parameters, *tenant)]
    document: dict[str, Any] = {
        "operationId": _operation_id(route.method, route.template),
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(route, implied),
    }
    if parameters:
        document["parameters"] = parameters
    if operation.body is not None:
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    return document


def _implied(route: Route, asks_tenant: bool) -> tuple[int, ...]:
    """Errors of what a route is, beside those that it names itself."""
    found = ((400, 403) if asks_tenant else ()) + ((403,) if route.needs_operator else ())
    return found + ((400, 413) if route.operation.body is not None else ())


def _identified(route: Route, mode: Mode) -> tuple[int, ...]:
    """Errors of finding out who asks, and whether they may."""
    found = (401, 403, 503) if mode.reviewed and route.permission is not None else ()
    if mode.takes_tokens:
        return found + ((401, 503) if route.needs_operator else ())
    return found + (() if route.is_probe else (400,))  # what a proxy says of a caller may be wrong anywhere


def _responses(route: Route, implied: tuple[int, ...]) -> dict[str, Any]:
    operation = route.operation
    found: dict[str, Any] = {}
    for status, schema in operation.responses.items():
        body: dict[str, Any] = {} if schema is None else {"schema": schema}
        text = {"text/plain": {"schema": {"type": "string"}}} if operation.is_text_too else {}
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {operation.content_type: body, **text},
            **_links([link for link in operation.links if link.status == status]),
        }
    if route.version is not None:
        found["304"] = {"description": HTTPStatus(304).phrase}
    for status in sorted({*operation.errors, *implied}):
        found.setdefault(
            str(status),
            {"description": HTTPStatus(status).phrase, "content": {"application/json": {"schema": _ERROR_REF}}},
        )
    return found


def _links(links: Sequence[Link]) -> dict[str, Any]:
    described = {
        (name := _operation_id(link.method, link.template)): {
            "operationId": name,
            "parameters": {one: f"$response.body#{pointer}" for one, pointer in link.parameters.items()},
        }
        for link in links
    }
    return {"links": described} if described else {}


def _operation_id(method: str, template: str) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", template.replace("...", "")).split()
    return "_".join([method.lower(), *words]) if words else f"{method.lower()}_home"
