"""Which values of a document go into which column, derived from the schema once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from sys import intern
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
_SCALARS = (str, int, float)  # bool is an int


@dataclass(slots=True)
class Extract:
    """What one document holds: values in the order of Layout.names, custom properties by name, the text for `q`."""

    own: tuple[Value, ...]
    custom: dict[str, Value]
    searched: str
    """The search fields, case-folded, with blanks between them."""


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
    plain: Callable[[Any], tuple[Any, ...]]
    """Decoded document -> the values of all fields that are scalars at the top, in one go."""
    deep: tuple[SchemaField, ...]
    """Fields that are lists, or inside of something."""
    deep_tops: Callable[[Any], tuple[Any, ...]]
    """Decoded document -> what stands at the top of the path of each deep field."""
    searched: Callable[[Any], tuple[Any, ...]]
    """Decoded document -> the values of the fields that `q` looks into."""

    def values(self, document: bytes) -> Extract:
        """The indexed values of one document."""
        top = self.decode(document)
        own = self.plain(top)
        if self.deep:
            tops = zip(self.deep, self.deep_tops(top), strict=True)
            own += tuple([None if found is None else value_at(found, field) for field, found in tops])
        return Extract(own, self._custom(top), self._searched(top))

    def _searched(self, top: Any) -> str:
        texts = []
        for value in self.searched(top):
            if isinstance(value, str):
                texts.append(value)
            elif isinstance(value, list):
                texts += map(str, value)
        return " ".join(texts).casefold()

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
    keys = dict.fromkeys([f.attributes[0] for f in (*indexed, *searched)] + [CUSTOM])
    # Only these keys are decoded; msgspec skips the rest of a document without making objects of it.
    projection = msgspec.defstruct("Projection", [(key, Any, None) for key in keys], gc=False)
    return Layout(
        fields=(*plain, *deep),
        names=tuple(f.path for f in (*plain, *deep)),
        tagged=tagged,
        decode=msgspec.json.Decoder(projection).decode,
        plain=_getter([f.path for f in plain]),
        deep=deep,
        deep_tops=_getter([f.attributes[0] for f in deep]),
        searched=_getter([f.path for f in searched]),
    )


def _getter(keys: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """attrgetter, which gives no tuple for fewer than two names."""
    if len(keys) > 1:
        return attrgetter(*keys)
    return lambda top: tuple(getattr(top, key) for key in keys)


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
