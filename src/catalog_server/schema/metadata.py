"""MetadataValue: the tagged custom properties of models, their artifacts and MCP servers (spec plugins.md 1.1).

A value is an object with `metadataType` and exactly one value key; `int_value` is decimal text, so that 64 bits survive
JSON. Plain scalars in a file are accepted and tagged on load.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from catalog_server.errors import Invalid

Scalar = str | int | float | bool

_KEYS = {
    "MetadataStringValue": "string_value",
    "MetadataIntValue": "int_value",
    "MetadataDoubleValue": "double_value",
    "MetadataBoolValue": "bool_value",
    "MetadataStructValue": "struct_value",
    "MetadataProtoValue": "proto_value",
}
_INT64 = range(-(2**63), 2**63)


def tag_properties(properties: Any, *, field: str = "customProperties") -> dict[str, dict[str, Any]]:
    """Return `properties` with every value in its tagged form.

    Raises:
        Invalid: not a map, an unknown `metadataType`, a value key that does not fit it.
    """
    if not isinstance(properties, Mapping):
        raise Invalid(f"expected a map of name to value, got {_kind_of(properties)}", field=field)
    return {name: _tag(value, f"{field}.{name}") for name, value in properties.items()}


def untag(value: Any) -> Scalar | None:
    """The scalar inside a tagged value, typed; None for structs, protos and anything else."""
    if not isinstance(value, (dict, Mapping)):  # asking for dict first is ten times as fast
        return value if isinstance(value, str | int | float | bool) else None
    if "string_value" in value:
        return str(value["string_value"])
    if "int_value" in value:
        return int(value["int_value"])
    if "double_value" in value:
        return float(value["double_value"])
    return bool(value["bool_value"]) if "bool_value" in value else None


def _kind_of(value: Any) -> str:
    names = {dict: "a map", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)


def _tag(value: Any, field: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and "metadataType" in value:
        return _check_tagged(value, field)
    if isinstance(value, bool):
        return {"metadataType": "MetadataBoolValue", "bool_value": value}
    if isinstance(value, int):
        return {"metadataType": "MetadataIntValue", "int_value": str(value)}
    if isinstance(value, float):
        return {"metadataType": "MetadataDoubleValue", "double_value": value}
    if isinstance(value, str):
        return {"metadataType": "MetadataStringValue", "string_value": value}
    raise Invalid(f"expected text, a number, a boolean or a tagged value, got {_kind_of(value)}", field=field)


def _check_tagged(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    tag = value["metadataType"]
    key = _KEYS.get(tag) if isinstance(tag, str) else None
    if key is None:
        raise Invalid(f"unknown metadataType {tag!r}; one of {', '.join(_KEYS)}", field=f"{field}.metadataType")
    allowed = {"metadataType", key} | ({"type"} if key == "proto_value" else set())
    if set(value) - allowed or key not in value:
        raise Invalid(f"{tag} takes exactly the keys {', '.join(sorted(allowed))}", field=field)
    return {"metadataType": tag, **_check_value(key, value, f"{field}.{key}")}


def _check_value(key: str, value: Mapping[str, Any], field: str) -> dict[str, Any]:
    given = value[key]
    if key == "int_value":
        return {key: str(_check_int(given, field))}
    if key == "double_value":
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise Invalid(f"expected a number, got {_kind_of(given)}", field=field)
        return {key: float(given)}
    if key == "bool_value":
        if not isinstance(given, bool):
            raise Invalid(f"expected true or false, got {_kind_of(given)}", field=field)
        return {key: given}
    return _check_text(key, value, field)


def _check_text(key: str, value: Mapping[str, Any], field: str) -> dict[str, Any]:
    given = value[key]
    if not isinstance(given, str):
        raise Invalid(f"expected text, got {_kind_of(given)}", field=field)
    if key in ("struct_value", "proto_value"):
        _check_base64(given, field)
    if key == "proto_value":
        return {key: given, "type": str(value.get("type", ""))}
    return {key: given}


def _check_int(given: Any, field: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise Invalid(f"expected a whole number as text, got {_kind_of(given)}", field=field)
    try:
        number = int(given) if len(str(given)) <= 20 else None
    except ValueError:
        number = None
    if number is None or number not in _INT64:
        raise Invalid(f"{str(given)[:40]!r} is not a 64-bit whole number", field=field)
    return number


def _check_base64(given: str, field: str) -> None:
    try:
        base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("not base64 text", field=field) from error
