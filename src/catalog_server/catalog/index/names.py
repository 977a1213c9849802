"""Which names a filter or ordering may use on one kind, and what they mean (spec plugins.md 2.2, column OURS)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from catalog_server.catalog.index.layout import CREATED, CUSTOM, ID, NAME, SOURCE, UPDATED
from catalog_server.catalog.index.table import Table
from catalog_server.query.fields import Field, ValueType
from catalog_server.schema.fields import SchemaField
from catalog_server.schema.kind import Kind

_STANDARD = {
    ID: Field(ID, ValueType.STRING),
    NAME: Field(NAME, ValueType.STRING),
    CREATED: Field(CREATED, ValueType.INTEGER),
    UPDATED: Field(UPDATED, ValueType.INTEGER),
    **{name: Field(SOURCE, ValueType.STRING) for name in (SOURCE, "source_id")},
}


class TableNames:
    """Names of one table's fields. A bare name of a custom property is known while some entity has it."""

    def __init__(self, declared: Mapping[str, SchemaField], table: Table, *, child: str | None, like: bool) -> None:
        self._declared = declared
        self._table = table
        self._child = child
        self._bare_like_is_substring = like
        self._known: dict[str, Field | None] = {}

    def resolve(self, path: tuple[str, ...], quoted: bool) -> Field | None:
        """The field with this path, or None."""
        name = ".".join(path)
        if name in _STANDARD:
            return self._field(_STANDARD[name])
        if name in self._declared:
            if name not in self._known:
                self._known[name] = self._from_schema(self._declared[name])
            return self._known[name]
        if path[0] == CUSTOM:
            return self._custom(".".join(path[1:])) if len(path) > 1 else None
        if path[0] == "spec" and len(path) > 1:
            return self.resolve(path[1:], quoted)
        if self._is_inside_map(path):
            return self._field(Field(name, ValueType.ANY))
        if quoted or f"{CUSTOM}.{name}" in self._table.columns:
            return self._custom(name)
        return None

    def suggest(self, name: str) -> str | None:
        return nearest(name, self.known())

    def known(self) -> Iterable[str]:
        """Every name that could have been meant."""
        yield from _STANDARD
        yield from self._declared
        yield from (name.removeprefix(f"{CUSTOM}.") for name in self._table.columns if name.startswith(f"{CUSTOM}."))

    def _is_inside_map(self, path: tuple[str, ...]) -> bool:
        """Whether the path leads into a free-form map, whose keys nobody declared."""
        for length in range(len(path) - 1, 0, -1):
            parent = self._declared.get(".".join(path[:length]))
            if parent is not None:
                has_declared_keys = any(name.startswith(f"{parent.path}.") for name in self._declared)
                return parent.type == "object" and not has_declared_keys
        return False

    def _custom(self, name: str) -> Field:
        return self._field(Field(f"{CUSTOM}.{name}", ValueType.ANY))

    def _from_schema(self, declared: SchemaField) -> Field | None:
        if declared.type == "object":
            return None
        like = self._bare_like_is_substring
        return Field(
            self._prefixed(declared.path),
            ValueType(declared.type),
            array=declared.array,
            fold_equality=bool(declared.mark.options),
            bare_like_is_substring=like and declared.type == "string",
            child=self._child,
        )

    def _field(self, field: Field) -> Field:
        like = self._bare_like_is_substring and field.type in (ValueType.STRING, ValueType.ANY)
        return Field(self._prefixed(field.name), field.type, bare_like_is_substring=like, child=self._child)

    def _prefixed(self, name: str) -> str:
        return f"{self._child}.{name}" if self._child else name


class KindNames:
    """The role `query.fields.Fields` for one kind: its own fields and those of its children."""

    def __init__(self, kind: Kind, own: Table, children: Mapping[str, TableNames]) -> None:
        self._own = TableNames(kind.names, own, child=None, like=kind.bare_like_is_substring)
        self._children = children

    def resolve(self, path: tuple[str, ...], quoted: bool) -> Field | None:
        child = self._children.get(path[0])
        if child is not None:
            return child.resolve(path[1:], quoted) if len(path) > 1 else None
        return self._own.resolve(path, quoted)

    def suggest(self, name: str) -> str | None:
        return nearest(name, self.known_names())

    def known_names(self) -> list[str]:
        """Every name that could have been meant."""
        return [*self._own.known(), *self._known_of_children()]

    def _known_of_children(self) -> Iterable[str]:
        for collection, names in self._children.items():
            yield from (f"{collection}.{name}" for name in names.known())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    by_folded = {one.casefold(): one for one in known if one != name}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None
