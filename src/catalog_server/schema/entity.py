"""The base of all entity classes, and of the nested objects that they hold.

Wire names are camelCase; empty optional fields are left out of the JSON (spec plugins.md 1.0). Numbers and booleans
default to UNSET, so that an explicit `0` or `false` is kept and can be filtered on.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from catalog_server.schema.marks import Name, mark


class Nested(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """Base of objects inside an entity. Unknown keys are refused."""


class Entity(Nested):
    """Base of all kinds: the fields that every kind has (spec plugins.md 1.0)."""

    name: Annotated[str, Name, mark(width="lg", filter=True, section="Overview", search=True, cli=True)]
    external_id: Annotated[str, mark(label="External ID")] = ""
    description: Annotated[str, mark(section="Overview", search=True, long_text=True)] = ""
    custom_properties: dict[str, Any] = {}


Integer = int | UnsetType
Number = float | UnsetType
Flag = bool | UnsetType
Milliseconds = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$", description="milliseconds since the epoch, as text")]


class TimedEntity(Entity):
    """Base of the kinds whose JSON carries times; a file may give them, else the store's are shown."""

    create_time_since_epoch: Milliseconds | None = None
    last_update_time_since_epoch: Milliseconds | None = None


__all__ = ["UNSET", "Entity", "Flag", "Integer", "Milliseconds", "Nested", "Number", "TimedEntity"]
