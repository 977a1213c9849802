"""MetadataValue: tagging on load, strict checks of given tags, and the scalar inside."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.schema.metadata import tag_properties, untag


def tagged(value: Any) -> dict[str, Any]:
    return tag_properties({"p": value})["p"]


def fault(value: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        tagged(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", {"metadataType": "MetadataStringValue", "string_value": "x"}),
        ("", {"metadataType": "MetadataStringValue", "string_value": ""}),
        (3, {"metadataType": "MetadataIntValue", "int_value": "3"}),
        (-(2**63), {"metadataType": "MetadataIntValue", "int_value": str(-(2**63))}),
        (True, {"metadataType": "MetadataBoolValue", "bool_value": True}),
        (1.5, {"metadataType": "MetadataDoubleValue", "double_value": 1.5}),
    ],
)
def test_plain_scalar_when_tagged_then_has_the_type_that_it_has(value: Any, expected: dict[str, Any]) -> None:
    assert tagged(value) == expected
    assert tagged(expected) == expected


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"metadataType": "MetadataIntValue", "int_value": 7}, {"int_value": "7"}),
        ({"metadataType": "MetadataIntValue", "int_value": "007"}, {"int_value": "7"}),
        ({"metadataType": "MetadataDoubleValue", "double_value": 2}, {"double_value": 2.0}),
        ({"metadataType": "MetadataStructValue", "struct_value": "eA=="}, {"struct_value": "eA=="}),
        (
            {"metadataType": "MetadataProtoValue", "proto_value": "eA==", "type": "t"},
            {"proto_value": "eA==", "type": "t"},
        ),
        ({"metadataType": "MetadataProtoValue", "proto_value": ""}, {"proto_value": "", "type": ""}),
    ],
)
def test_tagged_value_when_given_then_is_kept_in_its_one_form(given_: dict[str, Any], kept: dict[str, Any]) -> None:
    assert tagged(given_) == {"metadataType": given_["metadataType"], **kept}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "p"),
        ([1], "p"),
        ({"a": 1}, "p"),
        ({"metadataType": "Nope", "string_value": "x"}, "p.metadataType"),
        ({"metadataType": ["MetadataIntValue"], "int_value": "1"}, "p.metadataType"),
        ({"metadataType": "MetadataIntValue"}, "p"),
        ({"metadataType": "MetadataIntValue", "string_value": "1"}, "p"),
        ({"metadataType": "MetadataIntValue", "int_value": "1", "more": 1}, "p"),
        ({"metadataType": "MetadataIntValue", "int_value": "1.5"}, "p.int_value"),
        ({"metadataType": "MetadataIntValue", "int_value": str(2**63)}, "p.int_value"),
        ({"metadataType": "MetadataIntValue", "int_value": "9" * 10_000}, "p.int_value"),
        ({"metadataType": "MetadataIntValue", "int_value": 2**70}, "p.int_value"),
        ({"metadataType": "MetadataIntValue", "int_value": True}, "p.int_value"),
        ({"metadataType": "MetadataDoubleValue", "double_value": "1"}, "p.double_value"),
        ({"metadataType": "MetadataDoubleValue", "double_value": False}, "p.double_value"),
        ({"metadataType": "MetadataBoolValue", "bool_value": "true"}, "p.bool_value"),
        ({"metadataType": "MetadataStringValue", "string_value": 5}, "p.string_value"),
        ({"metadataType": "MetadataStructValue", "struct_value": "not base64!"}, "p.struct_value"),
    ],
)
def test_value_when_it_does_not_fit_then_the_fault_names_its_place(value: Any, field: str) -> None:
    assert fault(value).field == f"customProperties.{field}"


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_properties_when_not_a_map_then_are_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="expected a map"):
        tag_properties(value, field="here")


scalars = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans())


@given(scalars)
def test_scalar_when_tagged_and_untagged_then_is_itself_with_its_type(value: Any) -> None:
    back = untag(tagged(value))
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize("value", [None, [1], {}, {"struct_value": "eA=="}, {"a": 1}])
def test_value_when_it_holds_no_scalar_then_untags_to_nothing(value: Any) -> None:
    assert untag(value) is None


@pytest.mark.parametrize("value", ["x", 0, False, 1.5])
def test_plain_scalar_when_untagged_then_is_itself(value: Any) -> None:
    assert untag(value) is value
