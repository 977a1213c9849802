"""Routes -> OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from catalog_server import __version__
from catalog_server.http.router import Route
from catalog_server.http.schemas import ERROR_SCHEMA

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?:\.\.\.)?\}")
_ERROR_REF = {"$ref": "#/components/schemas/Error"}
_NAMESPACE = {
    "name": "namespace",
    "in": "query",
    "required": True,
    "description": "The tenant. The header X-Namespace may name it instead.",
    "schema": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63},
}


def build_document(routes: Sequence[Route], *, multi_tenant: bool, reviewed: bool = False) -> dict[str, Any]:
    """The API document of these routes. Of a single tenant nobody has to know the name, so it is not a parameter.

    `reviewed`: the cluster decides about each of them that needs a permission.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        path = _PLACEHOLDER.sub(r"{\1}", route.template)
        asks_tenant = multi_tenant and route.needs_tenant and not route.is_probe
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, asks_tenant, reviewed)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "catalog-server",
            "version": __version__,
            "description": "Catalogs of AI assets: models, MCP servers, knowledge sources, prompts, agents and more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {"Error": ERROR_SCHEMA}},
    }


def _operation(route: Route, asks_tenant: bool, reviewed: bool) -> dict[str, Any]:
    operation = route.operation
    parameters: list[Any] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACEHOLDER.findall(route.template)
    ]
    parameters += [dict(one) for one in operation.parameters]
    if asks_tenant:
        parameters.append(_NAMESPACE)
    document: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(route, asks_tenant, reviewed),
    }
    if parameters:
        document["parameters"] = parameters
    if operation.body is not None:
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    return document


def _responses(route: Route, asks_tenant: bool, reviewed: bool) -> dict[str, Any]:
    operation = route.operation
    found: dict[str, Any] = {}
    for status, schema in operation.responses.items():
        body: dict[str, Any] = {} if schema is None else {"schema": schema}
        text = {"text/plain": {"schema": {"type": "string"}}} if operation.is_text_too else {}
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {operation.content_type: body, **text},
        }
    if route.version is not None:
        found["304"] = {"description": HTTPStatus(304).phrase}
    implied = ((400, 403) if asks_tenant else ()) + ((403,) if route.needs_operator else ())
    implied += (401, 403, 503) if reviewed and route.permission is not None else ()
    implied += (400, 413) if operation.body is not None else ()
    for status in sorted({*operation.errors, *implied}):
        found.setdefault(
            str(status),
            {"description": HTTPStatus(status).phrase, "content": {"application/json": {"schema": _ERROR_REF}}},
        )
    return found


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", route.template.replace("...", "")).split()
    return "_".join([route.method.lower(), *words]) if words else f"{route.method.lower()}_home"
