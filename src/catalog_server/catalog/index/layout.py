"""Which values of a document go into which column, derived from the schema once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

import msgspec
from msgspec.structs import astuple

from catalog_server.catalog.index.column import Value
from catalog_server.query.nodes import Scalar
from catalog_server.schema.fields import SchemaField, list_fields
from catalog_server.schema.kind import ChildKind, Kind
from catalog_server.schema.marks import Mark
from catalog_server.schema.metadata import untag

ID, NAME, SOURCE = "id", "name", "sourceId"
CREATED, UPDATED = "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"
CUSTOM = "customProperties"
ORDERS = {"ID": ID, "NAME": NAME, "CREATE_TIME": CREATED, "LAST_UPDATE_TIME": UPDATED}
"""Orders that every list has, and the columns that they are by."""
TIMES = (CREATED, UPDATED)
_SCALARS = (str, int, float)  # bool is an int


@dataclass(slots=True)
class Extract:
    """What some documents hold, by field: each list has one item for each document."""

    own: list[Sequence[Value]]
    """The values of each field, in the order of Layout.names."""
    custom: list[dict[str, Value]]
    """Custom properties by name."""
    searched: list[str]
    """The search fields, case-folded, with blanks between them. Empty for a kind without search fields."""


@dataclass(frozen=True)
class Layout:
    """How documents of one kind (or child kind) are taken apart."""

    fields: tuple[SchemaField, ...]
    """Declared fields that are indexed."""
    names: tuple[str, ...]
    """Paths of these fields: the plain ones, then the deep ones."""
    tagged: bool
    """Custom properties are MetadataValues."""
    decode: Callable[[bytes], Any]
    keys: tuple[str, ...]
    """What is decoded at the top of a document, in this order."""
    plain: tuple[SchemaField, ...]
    """Fields that are scalars at the top."""
    deep: tuple[SchemaField, ...]
    """Fields that are lists, or inside of something."""
    searched: tuple[SchemaField, ...]
    """Fields that `q` looks into."""

    def extract(self, documents: Iterable[bytes]) -> Extract:
        """The indexed values of many documents: field by field costs less than document by document."""
        by_key = list(zip(*map(astuple, map(self.decode, documents)), strict=True)) or [()] * len(self.keys)
        held: dict[str, Sequence[Any]] = dict(zip(self.keys, by_key, strict=True))
        own: list[Sequence[Value]] = [held[field.path] for field in self.plain]
        for field in self.deep:
            own.append([None if top is None else value_at(top, field) for top in held[field.attributes[0]]])
        texts = [map(_searched_text, held[field.path]) for field in self.searched]
        searched = [" ".join(parts).casefold() for parts in zip(*texts, strict=True)]
        return Extract(own, list(map(self._custom, held[CUSTOM])), searched)

    def _custom(self, given: Any) -> dict[str, Value]:
        if not isinstance(given, dict):
            return {}
        found: dict[str, Value] = {}
        for name, raw in given.items():
            value = untag(raw) if self.tagged else scalars(raw)
            if value is not None:
                found[name] = value
        return found


def _searched_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return " ".join(map(str, value)) if isinstance(value, list) else ""


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
    # Names and times come from the row, not from the document.
    indexed = tuple(f for f in fields if f.indexed and f.path not in (NAME, *TIMES))
    plain = tuple(f for f in indexed if len(f.attributes) == 1 and not f.array)
    deep = tuple(f for f in indexed if f not in plain)
    searched = tuple(f for f in fields if f.mark.search)
    keys = tuple(dict.fromkeys([f.attributes[0] for f in (*indexed, *searched)] + [CUSTOM]))
    # Only these keys are decoded; msgspec skips the rest of a document without making objects of it.
    projection = msgspec.defstruct("Projection", [(key, Any, None) for key in keys], gc=False)
    return Layout(
        fields=(*plain, *deep),
        names=tuple(f.path for f in (*plain, *deep)),
        tagged=tagged,
        decode=msgspec.json.Decoder(projection).decode,
        keys=keys,
        plain=plain,
        deep=deep,
        searched=searched,
    )


def value_at(found: Any, field: SchemaField) -> Value:
    """The value of a field, given what stands at the top of its path: a scalar, or a tuple for an array field."""
    if len(field.attributes) > 1:
        found = _descend(found, field.attributes[1:])
    value = scalars(found)
    if field.array and value is not None and not isinstance(value, tuple):
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
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, list):  # tags and the like: few texts, again and again, that need not be kept twice
        return tuple([intern(one) if type(one) is str else one for one in value if isinstance(one, _SCALARS)]) or None
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
