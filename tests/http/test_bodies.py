"""Bodies that no honest client sends: a clear 4xx, never a 5xx, and nothing changed (spec http-api.md 0.1, 7.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.operator import BASE, MANAGEMENT, SKILLS, SOURCES, Operator, operating


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(tmp_path_factory.mktemp("bodies")) as found:
        yield found


PATHS = (
    *(f"{MANAGEMENT}/{path}" for path in ("apply-source", "validate-source", "sources/main:validate")),
    *(f"{MANAGEMENT}/{path}" for path in ("sources/main/enable", "sources/main:rollback", "rollback")),
    *(f"{MANAGEMENT}/{path}" for path in ("sources/main:action", "entities/one:action")),
    f"{SKILLS}/one:action",
    f"{BASE}/apply-source",
)
HOSTILE = {
    "nothing": b"",
    "blank": b" \n",
    "no JSON": b"{a: 1}",
    "cut off": b'{"id": "x',
    "array": b"[]",
    "text": b'"x"',
    "number": b"5",
    "null": b"null",
    "trailing data": b"{}{}",
    "trailing word": b"{} x",
    "byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"id": "\xff"}',
    "UTF-16": '{"id": "x"}'.encode("utf-16"),
    "NUL": b'{"id": "x\\u0000"}',
    "NUL after backslashes": b'{"id": "x\\\\\\\\\\u0000"}',
    "raw NUL": b'{"id": "x\0"}',
    "lone surrogate": b'{"id": "\\ud800"}',
    "lone low surrogate": b'{"\\udc00": 1}',
    "deep": b'{"properties": ' + b"[" * 500 + b"]" * 500 + b"}",
    "very deep": b'{"a":' * 100_000,
    "deep objects": b'{"a":' * 400 + b"1" + b"}" * 400,
    "huge number": b'{"properties": {"n": 99999999999999999999999}}',
    "a number of 10,000 digits": b'{"properties": {"n": ' + b"9" * 10_000 + b"}}",
    "a float beyond all": b'{"properties": {"n": 1e999}}',
    "NaN": b'{"properties": {"n": NaN}}',
    "the same key twice": b'{"id": "main", "id": "other"}',
    "the same key twice inside": b'{"properties": {"a": [{"b": 1, "b": 2}]}}',
}


def test_every_route_bounds_its_body(tmp_path: Path) -> None:
    """Whatever the API document says takes a body refuses a huge one; what takes none does not read it."""
    huge = b" " * (3 * 1024 * 1024)
    tried = 0
    with operating(tmp_path) as operator:
        for template, operations in operator.client.ok("/openapi.json")["paths"].items():
            path = re.sub(r"\{\w+\}", "main", template)
            for method, operation in operations.items():
                response = operator.ask(method.upper(), path, huge)
                assert (response.status_code == 413) == ("requestBody" in operation), f"{method} {template}"
                assert response.status_code < 500 or template.startswith("/readyz"), response.text
                tried += response.status_code == 413
    assert tried > 100


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_body_that_is_no_proper_object(operator: Operator, name: str, path: str) -> None:
    error = operator.error("POST", path, HOSTILE[name], status=400)
    assert error["message"].startswith("invalid request body:")
    assert len(error["message"]) < 300
    assert operator.file.read_text() == SOURCES


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_large(operator: Operator, path: str) -> None:
    body = json.dumps({"id": "main", "properties": {"content": "x" * 3_000_000}}).encode()
    error = operator.error("POST", path, body, status=413)
    assert "larger than" in error["message"]


def test_escaped_backslashes_before_u0000_are_no_nul(operator: Operator) -> None:
    body = b'{"id": "spare", "name": "a\\\\u0000b", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}'
    assert operator.ok("POST", f"{MANAGEMENT}/validate-source", body)["valid"] is True


@pytest.mark.parametrize("depth", [60, 70, 99])
def test_depth_is_told_by_validation_as_well(operator: Operator, depth: int) -> None:
    nested: object = 1
    for _ in range(depth - 2):
        nested = [nested]
    given = {"id": "spare", "name": "S", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml", "x": nested}}
    found = operator.ok("POST", f"{MANAGEMENT}/validate-source", given)
    assert found["valid"] is (depth <= 64)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("sources/main/enable", {}, "enabled"),
        ("sources/main/enable", {"enabled": None}, "enabled"),
        ("sources/main/enable", {"enabled": "false"}, "enabled"),
        ("sources/main/enable", {"enabled": 0}, "enabled"),
        ("rollback", {}, "version"),
        ("rollback", {"version": ""}, "version"),
        ("rollback", {"version": 12345678}, "version"),
        ("rollback", {"version": "abc"}, "version"),
        ("rollback", {"version": "zzzzzzzz"}, "version"),
        ("rollback", {"version": "../../../etc/passwd"}, "version"),
        ("sources/main:action", {}, "action"),
        ("sources/main:action", {"action": "tag"}, "action"),
        ("sources/main:action", {"action": "refresh", "dryRun": True}, "dryRun"),
        ("entities/one:action", {"action": 5}, "action"),
        ("entities/one:action", {"action": "refresh"}, "action"),
        ("entities/one:action", {"action": "tag", "dryRun": "yes"}, "dryRun"),
        ("entities/one:action", {"action": "tag", "params": []}, "params"),
    ],
)
def test_a_field_that_is_wrong_is_named(operator: Operator, path: str, body: dict[str, object], field: str) -> None:
    """`{}` on enable does not mean disable (spec http-api.md 7.3)."""
    error = operator.error("POST", f"{MANAGEMENT}/{path}", body, status=400)
    assert error["field"] == field
    assert operator.sources()["main"]["enabled"] is True
