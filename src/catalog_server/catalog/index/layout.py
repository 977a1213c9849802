"""Which values of a document go into which column, derived from the schema once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from catalog_server.catalog.index.column import Value
from catalog_server.query.nodes import Scalar
from catalog_server.schema.fields import SchemaField, list_fields
from catalog_server.schema.kind import ChildKind, Kind
from catalog_server.schema.marks import Mark
from catalog_server.schema.metadata import untag

ID, NAME, SOURCE = "id", "name", "sourceId"
CREATED, UPDATED = "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"
CUSTOM = "customProperties"
TIMES = (CREATED, UPDATED)


@dataclass(frozen=True)
class Layout:
    """How documents of one kind (or child kind) are taken apart."""

    fields: tuple[SchemaField, ...]
    """Declared fields that are indexed."""
    searched: tuple[SchemaField, ...]
    """Fields that `q` looks into."""
    tagged: bool
    """Custom properties are MetadataValues."""
    decode: Callable[[bytes], Any]

    def values(self, document: bytes) -> Extract:
        """The indexed values of one document."""
        top = self.decode(document)
        own = [value_at(top, field.attributes, field.array) for field in self.fields]
        return Extract(own, self._custom(top), top)

    def search_text(self, document: bytes) -> set[str]:
        """The case-folded words that `q` looks into."""
        top = self.decode(document)
        words: set[str] = set()
        for field in self.searched:
            value = value_at(top, field.attributes, field.array)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    words.update(text.casefold().split())
        return words

    def _custom(self, top: Any) -> dict[str, Value]:
        given = getattr(top, CUSTOM, None)
        if not isinstance(given, dict):
            return {}
        found: dict[str, Value] = {}
        for name, raw in given.items():
            value = untag(raw) if self.tagged else scalars(raw)
            if value is not None:
                found[name] = value
        return found


@dataclass(slots=True)
class Extract:
    """What one document holds: values in the order of Layout.fields, and custom properties by name."""

    own: list[Value]
    custom: dict[str, Value]
    top: Any


def kind_layout(kind: Kind) -> Layout:
    return _layout(kind.fields, kind.custom_properties == "tagged")


def child_layout(child: ChildKind) -> Layout:
    fields: dict[str, SchemaField] = {}
    for struct in child.fields_of:
        config = struct.__struct_config__
        if config.tag_field:
            from_tag = (config.tag_field,)
            fields[config.tag_field] = SchemaField(config.tag_field, "string", False, Mark(), from_tag)
        for one in list_fields(struct):
            fields.setdefault(one.path, one)
    return _layout(tuple(fields.values()), tagged=True)


def _layout(fields: tuple[SchemaField, ...], tagged: bool) -> Layout:
    indexed = tuple(f for f in fields if f.indexed and f.path not in TIMES)
    searched = tuple(f for f in fields if f.mark.search)
    keys = dict.fromkeys([f.attributes[0] for f in (*indexed, *searched)] + [CUSTOM])
    # Only these keys are decoded; msgspec skips the rest of a document without making objects of it.
    projection = msgspec.defstruct("Projection", [(key, Any, None) for key in keys], gc=False)
    return Layout(indexed, searched, tagged, msgspec.json.Decoder(projection).decode)


def value_at(top: Any, keys: tuple[str, ...], array: bool) -> Value:
    """The value under a path of keys: a scalar, or for an array field a tuple of all values found."""
    found: Any = getattr(top, keys[0], None)
    if found is None:
        return None
    if len(keys) > 1:
        found = _descend(found, keys[1:])
    value = scalars(found)
    if array and value is not None and not isinstance(value, tuple):
        return (value,)
    return value


def _descend(value: Any, keys: tuple[str, ...]) -> Any:
    for depth, key in enumerate(keys):
        if isinstance(value, list):
            parts = [_descend(one, keys[depth:]) for one in value]
            return [one for part in parts if part is not None for one in (part if isinstance(part, list) else [part])]
        value = value.get(key) if isinstance(value, dict) else None
    return value


def scalars(value: Any) -> Value:
    """A scalar as it is, an empty text too; a list as the tuple of its scalars; None for maps, null and empty lists."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str | int | float)) or None
    return None


def values_at_path(document: bytes, keys: tuple[str, ...]) -> tuple[Scalar, ...]:
    """The values under a path of keys of a document that is decoded whole: for fields that are not indexed."""
    found = _descend(msgspec.json.decode(document), keys)
    value = scalars(untag(found) if isinstance(found, dict) else found)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def search_words(texts: Iterable[str]) -> list[str]:
    """`q` as case-folded words; all of them have to match (spec plugins.md 2.6)."""
    return [word for text in texts for word in text.casefold().split()]
