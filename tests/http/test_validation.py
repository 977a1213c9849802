"""Validation: five layers, each with its codes, the same for the validating routes and for apply (spec 2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.operator import BASE, MANAGEMENT, MARKER, Operator, operating

SPARE = {"id": "spare", "name": "Spare", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}
LAYERS = ["yaml_parse", "strict_fields", "semantic", "security_warnings", "provider"]


def given(**properties: Any) -> dict[str, Any]:
    return {"properties": {"yamlCatalogPath": "spare.yaml", **properties}}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """For what changes nothing."""
    with operating(tmp_path_factory.mktemp("judge")) as found:
        yield found


def test_a_good_source_is_valid_in_five_layers(judge: Operator) -> None:
    for path in ("validate-source", "sources/spare:validate"):
        for base in (MANAGEMENT, BASE):
            found = judge.ok("POST", f"{base}/{path}", SPARE)
            assert found == {"valid": True, "layerResults": [{"layer": one, "valid": True} for one in LAYERS]}


YAML = "properties.content"
PATH = "properties.yamlCatalogPath"
FAULTS: list[tuple[dict[str, Any], str, str, str, str]] = [
    (given(content="a: [1"), "yaml_parse", YAML, "yaml_parse_error", "YAML parse error:"),
    ({"nmae": "x"}, "strict_fields", "source", "unknown_field", "unknown or invalid fields:"),
    ({"enabled": "yes"}, "strict_fields", "source", "unknown_field", "true or false"),
    ({"includedItems": 5}, "strict_fields", "source", "unknown_field", "a list of text"),
    ({"excludedItems": [5]}, "strict_fields", "source", "unknown_field", "a list of text"),
    ({"labels": {}}, "strict_fields", "source", "unknown_field", "a list of text"),
    ({"properties": []}, "strict_fields", "source", "unknown_field", "an object"),
    ({"id": ""}, "semantic", "id", "id_required", "source ID is required"),
    ({"id": "Bad Id"}, "semantic", "id", "id_invalid", "must contain only lowercase"),
    ({"name": ""}, "semantic", "name", "name_required", "source name is required"),
    ({"name": "n" * 257}, "semantic", "name", "name_too_long", "256 characters or fewer"),
    ({"type": ""}, "semantic", "type", "type_required", "source type is required"),
    ({"includedItems": [" "]}, "semantic", "includedItems[0]", "glob_empty", "pattern cannot be empty"),
    ({"type": "ftp"}, "provider", "type", "type_unsupported", 'unsupported source type "ftp"'),
    ({"properties": {}}, "provider", "properties.yamlCatalogPath", "property_required", "required"),
    (given(yamlCatalogPath=5), "provider", "properties.yamlCatalogPath", "property_type", "path"),
    (given(yamlCatalogPath="no.yaml"), "provider", PATH, "path_missing", "No such file"),
    (given(yamlCatalogPath="/etc/hostname"), "provider", PATH, "path_outside_roots", "outside"),
    (given(yamlCatalogPath="../../x"), "provider", PATH, "path_outside_roots", "outside"),
    (given(token={"name": "n", "key": "k"}), "provider", "properties.token", "secret_unresolved", "n"),
    (given(token=MARKER), "provider", "properties.token", "redacted_value", MARKER),
    (given(content="skills: []"), "provider", YAML, "content_unexpected", "exists"),
    (
        {"id": "main", **given(content="skills:\n- {name: z}\n- {name: a, nmae: b}\n")},
        *("provider", YAML, "content_unknown_field", "unknown or invalid fields in content: line 3"),
    ),
    (
        {"id": "main", **given(content="servers: []\n")},
        *("provider", YAML, "content_unknown_field", "unknown or invalid fields in content:"),
    ),
]


@pytest.mark.parametrize(("change", "layer", "field", "code", "message"), FAULTS)
def test_each_layer_tells_its_faults(
    judge: Operator, change: dict[str, Any], layer: str, field: str, code: str, message: str
) -> None:
    """200 with all findings on validation, 422 with the same body on apply, and nothing is changed."""
    before = judge.file.read_bytes()
    source = {**SPARE, **change}
    found = judge.ok("POST", f"{MANAGEMENT}/validate-source", source)
    assert found["valid"] is False
    told = [one for one in found["errors"] if one["layer"] == layer]
    assert [(one["field"], one["code"]) for one in told] == [(field, code)]
    assert message in told[0]["message"]
    assert next(one for one in found["layerResults"] if one["layer"] == layer)["errors"] == told
    assert judge.apply(source, status=422) == found
    assert judge.file.read_bytes() == before
    assert str(judge.folder) not in str(found)


def test_a_fault_of_the_first_layer_ends_the_run(judge: Operator) -> None:
    found = judge.ok("POST", f"{MANAGEMENT}/validate-source", {"properties": {"content": "a: [1"}})
    assert [one["layer"] for one in found["layerResults"]] == ["yaml_parse"]


def test_the_same_fault_is_told_once(judge: Operator) -> None:
    errors = judge.ok("POST", f"{MANAGEMENT}/validate-source", {})["errors"]
    assert sorted(one["code"] for one in errors) == ["id_required", "name_required", "type_required"]


def test_an_inline_credential_is_a_warning(judge: Operator) -> None:
    found = judge.ok("POST", f"{MANAGEMENT}/validate-source", {**SPARE, **given(password="hunter2")})
    assert found["valid"] is True
    assert [(one["field"], one["code"]) for one in found["warnings"]] == [("properties.password", "inline_credential")]
    assert "SecretRef" in found["warnings"][0]["message"]
    assert [one["valid"] for one in found["layerResults"]] == [True, True, True, False, True]
    assert "hunter2" not in str(found)


def test_the_id_of_the_path_counts(judge: Operator) -> None:
    """A body without an id has that of the path, another id is a fault."""
    without = {key: value for key, value in SPARE.items() if key != "id"}
    assert judge.ok("POST", f"{MANAGEMENT}/sources/spare:validate", without)["valid"] is True
    found = judge.ok("POST", f"{MANAGEMENT}/sources/main:validate", SPARE)
    assert [one["code"] for one in found["errors"]] == ["id_mismatch"]
