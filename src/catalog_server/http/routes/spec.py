"""The API document at /openapi.json, made of the routes themselves."""

from __future__ import annotations

from collections.abc import Sequence

from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.openapi import build_document
from catalog_server.http.router import Operation, Route


def spec_routes(routes: Sequence[Route], *, multi_tenant: bool, reviewed: bool, takes_tokens: bool) -> list[Route]:
    built: list[Response] = []

    def get_document(request: Request) -> Response:
        if not built:
            document = build_document(
                [*routes, route], multi_tenant=multi_tenant, reviewed=reviewed, takes_tokens=takes_tokens
            )
            built.append(json_response(document))
        return built[0]

    operation = Operation("This document", "home", responses={200: {"type": "object", "required": ["openapi"]}})
    route = Route("/openapi.json", get_document, operation, needs_tenant=False, permission=None)
    return [route]
