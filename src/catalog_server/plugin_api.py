"""All that a plugin may import. The names listed here, and only they, are under semantic versioning."""

from __future__ import annotations

from catalog_server.catalog.plugin import SOURCE_TYPES, Plugin
from catalog_server.errors import Invalid
from catalog_server.schema.entity import UNSET, Entity, Flag, Integer, Milliseconds, Nested, Number, TimedEntity
from catalog_server.schema.kind import ChildKind, Kind, ListRules
from catalog_server.schema.marks import mark
from catalog_server.schema.metadata import tag_properties

__all__ = [
    "SOURCE_TYPES",
    "UNSET",
    "ChildKind",
    "Entity",
    "Flag",
    "Integer",
    "Invalid",
    "Kind",
    "ListRules",
    "Milliseconds",
    "Nested",
    "Number",
    "Plugin",
    "TimedEntity",
    "mark",
    "tag_properties",
]
