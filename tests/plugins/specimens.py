"""Makes an entity of any kind in which every field has a value."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog_server.schema.kind import Kind

_EMPTY = (msgspec.inspect.NoneType, msgspec.inspect.CustomType)
_SCALARS: dict[type, Any] = {
    msgspec.inspect.IntType: 7,
    msgspec.inspect.FloatType: 0.5,
    msgspec.inspect.BoolType: False,
    msgspec.inspect.AnyType: {"deep": [1, "two", None, {"three": 3.5}]},
}
CUSTOM = {"text": "x", "whole": 3, "part": 2.5, "flag": True}


def specimen(kind: Kind) -> dict[str, Any]:
    """A raw item with every declared field, as a file would hold it."""
    raw = _of_struct(msgspec.inspect.type_info(kind.entity))
    for field in kind.fields:
        if field.mark.options:
            _put_option(raw, field.attributes, field.mark.options[0])
    return {**raw, "name": "specimen", "customProperties": dict(CUSTOM)}


def _of_struct(info: msgspec.inspect.StructType) -> dict[str, Any]:
    values = {field.encode_name: _value(field.type, field.encode_name) for field in info.fields}
    if "customProperties" in values:
        values["customProperties"] = dict(CUSTOM)
    tag = {info.tag_field: info.tag} if info.tag_field else {}
    return {**tag, **values}


def _bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Without the "or nothing" and the remarks around it."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _bare(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        return _bare(next(one for one in info.types if not isinstance(one, _EMPTY)))
    return info


def _value(info: msgspec.inspect.Type, name: str) -> Any:
    info = _bare(info)
    scalar = _SCALARS.get(type(info))
    if scalar is not None:
        return scalar
    match info:
        case msgspec.inspect.StrType():
            return "1735689600000" if info.pattern else f"{name} é"
        case msgspec.inspect.LiteralType(values):
            return next(value for value in values if value)
        case msgspec.inspect.ListType(item):
            several = item.types if isinstance(item, msgspec.inspect.UnionType) else [item]
            return [_value(one, name) for one in several]
        case msgspec.inspect.DictType(value_type=inner):
            return {"key": _value(inner, name)}
        case msgspec.inspect.StructType():
            return _of_struct(info)
    raise AssertionError(f"{name}: no specimen of {info}")


def _put_option(raw: Any, keys: tuple[str, ...], option: str) -> None:
    holder = raw
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = [option] if isinstance(holder[keys[-1]], list) else option
