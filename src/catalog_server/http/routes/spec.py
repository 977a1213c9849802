"""The API document at /openapi.json, made of the routes themselves."""

from __future__ import annotations

from collections.abc import Sequence

from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.openapi import Mode, build_document
from catalog_server.http.router import Operation, Route


def spec_routes(routes: Sequence[Route], mode: Mode) -> list[Route]:
    built: list[Response] = []

    def get_document(request: Request) -> Response:
        if not built:
            built.append(json_response(build_document([*routes, route], mode)))
        return built[0]

    operation = Operation("This document", "home", responses={200: {"type": "object", "required": ["openapi"]}})
    route = Route("/openapi.json", get_document, operation, needs_tenant=False, permission=None)
    return [route]
