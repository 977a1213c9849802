"""The API document: valid, complete, and true to what the routes answer."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from tests.http.client import Client

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@pytest.fixture(scope="module")
def document(sample: Client) -> dict[str, Any]:
    found: dict[str, Any] = sample.ok("/openapi.json")
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_every_route_is_in_it(sample: Client, document: dict[str, Any]) -> None:
    served = {(route.template.replace("...", ""), route.method.lower()) for route in sample.server.app.router.routes}
    assert {(path, method) for path, method, _ in operations(document)} == served
    assert len(served) > 45


def test_path_parameters_are_declared(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        declared = [one for one in operation.get("parameters", []) if one["in"] == "path"]
        assert [one["name"] for one in declared] == PLACEHOLDER.findall(path)
        assert all(one["required"] is True for one in declared)


def test_operations(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))
    for _, _, operation in operations(document):
        parameters = [(one["in"], one["name"]) for one in operation.get("parameters", [])]
        assert len(parameters) == len(set(parameters))
        assert operation["summary"]
        assert operation["tags"]
        assert any(status.startswith("2") for status in operation["responses"])
        assert all(one["description"] for one in operation["responses"].values())


def test_every_schema_is_a_valid_json_schema(document: dict[str, Any]) -> None:
    found = 0
    for _, _, operation in operations(document):
        bodies = [one.get("content", {}) for one in operation["responses"].values()]
        schemas = [kind["schema"] for body in bodies for kind in body.values() if "schema" in kind]
        for schema in [*schemas, *(one["schema"] for one in operation.get("parameters", []))]:
            jsonschema_rs.meta.validate(schema)
            found += 1
    assert found > 300


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OPENAPI_31_VALIDATOR.validate(document)


def test_references_resolve(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document))):
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


def test_links_lead_to_operations_that_are_there(document: dict[str, Any]) -> None:
    parameters = {
        one["operationId"]: {parameter["name"] for parameter in one.get("parameters", ())}
        for _, _, one in operations(document)
    }
    links = [
        link
        for _, _, one in operations(document)
        for response in one["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 50
    for link in links:
        assert set(link["parameters"]) <= parameters[link["operationId"]]
