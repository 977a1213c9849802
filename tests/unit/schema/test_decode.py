"""From a raw map to a record: strict, with the JSON path of what is wrong, and a hash of all that is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.schema.decode import Record, decode_entity
from catalog_server.schema.kind import Kind
from tests.factories import GADGETS, WIDGETS

KIND = GADGETS.kind


def decoded(kind: Kind = KIND, **fields: Any) -> Record:
    return decode_entity(kind, {"name": "x", **fields}, "s1")


def fault(raw: Any, kind: Kind = KIND) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decode_entity(kind, raw, "s1")
    return caught.value


def test_record_when_made_then_holds_the_document_without_id_and_with_its_source() -> None:
    record = decoded(weight=0, externalId="e")
    assert json.loads(record.document) == {"name": "x", "externalId": "e", "weight": 0, "sourceId": "s1"}
    assert (record.name, record.times, record.children, record.warnings) == ("x", (None, None), (), ())


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"colr": "red"}, "colr", "unknown field; did you mean 'color'?"),
        ({"zzzzzz": 1}, "zzzzzz", "unknown field"),
        ({"safety": {"risklevel": "low"}}, "safety.risklevel", "did you mean 'riskLevel'?"),
        ({"links": [{"ref": "a"}, {"ref": "a", "rolle": "b"}]}, "links[1].rolle", "did you mean 'role'?"),
        ({"links": [{}]}, "links[0].ref", "required, and missing"),
        ({"weight": "3"}, "weight", "expected `int`, got `str`"),
        ({"weight": True}, "weight", "expected `int`"),
        ({"weight": 1.5}, "weight", "expected `int`"),
        ({"active": "yes"}, "active", "expected `bool`"),
        ({"tags": "a"}, "tags", "expected `array`"),
        ({"tags": ["a", 5]}, "tags[1]", "expected `str`"),
        ({"tags": [None]}, "tags[0]", "expected `str`"),
        ({"safety": []}, "safety", "expected `object"),
        ({"safety": {"riskLevel": "extreme"}}, "safety.riskLevel", "'extreme' is none of low, high"),
        ({"maker": "\ud800"}, None, "surrogate"),
        ({"parts": [{"size": "x"}]}, "parts[0].size", "expected `int`"),
    ],
)
def test_field_when_wrong_then_the_fault_names_its_path(fields: dict[str, Any], field: str | None, words: str) -> None:
    found = fault({"name": "x", **fields})
    assert words in found.message
    assert field is None or found.field == field


@pytest.mark.parametrize("raw", [None, "x", 5, [], [("name", "x")]])
def test_item_when_not_a_map_then_is_refused(raw: Any) -> None:
    assert "expected a map" in fault(raw).message


@pytest.mark.parametrize("raw", [{}, {"name": None}, {"name": ""}, {"name": 5}, {"name": "x" * 513}, {"name": "a\x7f"}])
def test_name_when_missing_or_unfit_then_is_refused(raw: dict[str, Any]) -> None:
    assert fault(raw).field == "name"


def test_select_field_when_others_are_accepted_then_keeps_them() -> None:
    assert json.loads(decoded(color="mauve").document)["color"] == "mauve"


def test_null_when_given_at_the_top_then_means_not_given() -> None:
    assert decoded(maker=None, parts=None) == decoded()


def test_custom_properties_when_tagged_or_free_then_are_kept_in_their_form() -> None:
    free = {"a": [1, {"b": None}], "c": 1}
    assert json.loads(decoded(customProperties=free).document)["customProperties"] == free
    kept = json.loads(decoded(WIDGETS.kind, customProperties={"c": 1}).document)["customProperties"]
    assert kept == {"c": {"metadataType": "MetadataIntValue", "int_value": "1"}}
    assert fault({"name": "x", "customProperties": free}, WIDGETS.kind).field == "customProperties.a"


def test_children_when_decoded_then_have_names_and_are_no_part_of_the_document() -> None:
    record = decoded(parts=[{"size": 1}, {"name": "own"}])
    assert [(child.kind, child.name) for child in record.children] == [("part", "part-1"), ("part", "own")]
    assert "parts" not in json.loads(record.document)


def test_children_when_inline_then_stay_in_the_document_too() -> None:
    inline = replace(KIND, children=(replace(KIND.children[0], inline=True),))
    record = decoded(inline, parts=[{"size": 1}])
    assert json.loads(record.document)["parts"] == [{"size": 1}]
    assert len(record.children) == 1


CHANGES: list[dict[str, Any]] = [
    {},
    {"maker": "a"},
    {"weight": 0},
    {"weight": 1},
    {"price": 1.0},
    {"parts": [{}]},
    {"parts": [{}, {}]},
    {"parts": [{"size": 1}]},
    {"customProperties": {"a": 1}},
    {"customProperties": {"a": 1.0}},
    {"customProperties": {"a": True}},
    {"customProperties": {"a": "1"}},
]


def test_hash_when_anything_stored_differs_then_differs() -> None:
    hashes = [decoded(**fields).content_hash for fields in CHANGES]
    assert len(set(hashes)) == len(hashes)
    assert decode_entity(KIND, {"name": "x"}, "s2").content_hash not in hashes
    assert [decoded(**fields).content_hash for fields in CHANGES] == hashes


def test_hooks_when_given_then_prepare_enrich_and_warn_in_turn() -> None:
    def enrich(entity: Any) -> Any:
        entity.maker += "!"
        return entity

    kind = replace(
        KIND,
        prepare=lambda raw: {**raw, "maker": "prepared"},
        enrich=enrich,
        warn=lambda entity: [("maker", f"is {entity.maker}")],
    )
    record = decoded(kind)
    assert json.loads(record.document)["maker"] == "prepared!"
    assert record.warnings == (("maker", "is prepared!"),)
