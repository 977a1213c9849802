"""Kind: the one description of a kind of asset, from which all else derives (architecture.md 4)."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from catalog_server.schema.entity import Entity
from catalog_server.schema.fields import SchemaField, list_fields

CustomProperties = Literal["json", "tagged"]


@dataclass(frozen=True)
class ListRules:
    """How the native list routes of a kind answer (spec plugins.md 0.4, column OURS)."""

    page_size: int = 100
    max_page_size: int = 1000
    lenient_page_size: bool = True
    """A page size that is not a positive number means the default; else it is a 400."""
    size_is_total: bool = True
    """`size` counts all matches; else the entities of this page."""
    lenient_order: bool = False
    """An unknown orderBy falls back to the default order; else it is a 400."""
    default_order: str = "NAME"
    code_errors: bool = False
    """Error bodies carry `code` beside `error`."""


@dataclass(frozen=True)
class ChildKind:
    """Things that live and die with an entity: the artifacts of a model, the tools of an MCP server."""

    name: str
    """Singular noun, e.g. `artifact`."""
    collection: str
    """JSON key of the list in the file, and prefix of filter names, e.g. `artifacts`."""
    struct: Any
    """Struct class (or tagged union of them) of one child."""
    fields_of: tuple[type[msgspec.Struct], ...]
    """The classes whose fields can be filtered on."""
    inline: bool
    """Whether the children stay in the entity's own JSON too."""
    served: bool = True
    """Whether a child has an address and with it id and times in its JSON."""


@dataclass(frozen=True)
class Kind:
    """One kind of asset.

    Hooks, each only where a kind differs:
        prepare: raw map of the file -> raw map, before validation; may raise Invalid.
        enrich: validated entity -> entity.
        warn: validated entity -> warnings as (field, message).
    """

    name: str
    plural: str
    entity: type[Entity]
    display_name: str
    noun: str
    description: str = ""
    top_keys: tuple[str, ...] = ()
    slashes_in_names: bool = False
    serves_id: bool = False
    """Whether id and times are part of the entity's JSON."""
    source_field: str = "sourceId"
    source_column: bool = False
    """Whether the source is a list column and an advertised filter."""
    custom_properties: CustomProperties = "json"
    bare_like_is_substring: bool = True
    rules: ListRules = field(default_factory=ListRules)
    children: tuple[ChildKind, ...] = ()
    color: str | None = None
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    enrich: Callable[[Any], Any] | None = None
    warn: Callable[[Any], list[tuple[str, str]]] | None = None

    @cached_property
    def fields(self) -> tuple[SchemaField, ...]:
        """All fields of the entity class, nested ones included; children that are not inline excepted."""
        hidden = {child.collection for child in self.children}
        return tuple(f for f in list_fields(self.entity) if f.attributes[0] not in hidden)

    @cached_property
    def digest(self) -> str:
        """Of the code that the kind is declared in: content read by other code has to be read again."""
        path = inspect.getsourcefile(self.entity)
        source = Path(path).read_bytes() if path else msgspec.json.encode(msgspec.json.schema(self.entity))
        return hashlib.sha256(source).hexdigest()

    @cached_property
    def file_keys(self) -> frozenset[str]:
        """The top keys that a catalog file of this kind may use."""
        return frozenset((self.plural, *self.top_keys))

    @cached_property
    def names(self) -> Mapping[str, SchemaField]:
        """Every name that a filter or ordering may use for a declared field -> field."""
        known: dict[str, SchemaField] = {}
        for one in self.fields:
            for name in (one.path, one.name, *one.mark.names):
                known.setdefault(name, one)
        return known

    @cached_property
    def sections(self) -> tuple[str, ...]:
        """Detail sections in order of first appearance."""
        return tuple(dict.fromkeys(f.mark.section for f in self.fields if f.mark.section))
