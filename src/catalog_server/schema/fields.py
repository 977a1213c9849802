"""Reads an entity class and lists its fields: JSON path, value type, array or not, mark.

Nested objects are walked, so that `safety.riskLevel` is a field like any other; a list of objects gives array fields
(`tools.skillRef` holds all of them). Free-form maps are fields of type `object`, whose inner paths are not known.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from catalog_server.schema.marks import Mark

FieldType = Literal["string", "integer", "number", "boolean", "object"]
_SCALARS: dict[Any, FieldType] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field of a kind. `path` is the dotted JSON path, `name` the advertised name."""

    path: str
    type: FieldType
    array: bool
    mark: Mark
    attributes: tuple[str, ...]
    """The JSON keys from the entity to the value."""

    @property
    def name(self) -> str:
        return self.mark.alias or self.path

    @property
    def label(self) -> str:
        return self.mark.label or humanise(self.path.rsplit(".", 1)[-1])

    @property
    def scalar(self) -> bool:
        return self.type != "object"

    @property
    def indexed(self) -> bool:
        """Whether the values stand in the index; the others are filtered by reading the documents."""
        return self.scalar and not self.mark.long_text


def humanise(name: str) -> str:
    """`enforcementMode` -> `Enforcement Mode`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " "))
    return words[:1].upper() + words[1:]


def list_fields(cls: type[msgspec.Struct]) -> tuple[SchemaField, ...]:
    """All fields of `cls`, nested ones included, in declaration order."""
    return tuple(_walk(cls, (), False))


def _walk(cls: type[msgspec.Struct], prefix: tuple[str, ...], inside_array: bool) -> Iterator[SchemaField]:
    hints = get_type_hints(cls, include_extras=True)
    for info in msgspec.structs.fields(cls):
        hint, mark = _unwrap(hints[info.name])
        keys = (*prefix, info.encode_name)
        array = inside_array
        if get_origin(hint) in (list, tuple):
            hint, array = _unwrap(get_args(hint)[0])[0], True
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield SchemaField(".".join(keys), "object", array, mark, keys)
            yield from _walk(hint, keys, array)
        else:
            yield SchemaField(".".join(keys), _type_of(hint), array, mark, keys)


def _type_of(hint: Any) -> FieldType:
    if get_origin(hint) is Literal:
        return "string"
    return _SCALARS.get(hint, "object")


def _unwrap(hint: Any) -> tuple[Any, Mark]:
    """Take Annotated, Optional and UNSET off a type hint."""
    mark = Mark()
    while True:
        if get_origin(hint) is Annotated:
            mark = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Mark)), mark)
            hint = get_args(hint)[0]
        elif get_origin(hint) in (Union, types.UnionType):
            members = [arg for arg in get_args(hint) if arg not in (type(None), msgspec.UnsetType)]
            if len(members) != 1:
                return object, mark
            hint = members[0]
        else:
            return hint, mark
