"""What tests make catalogs from: a small synthetic kind with one field of each sort, and the parts that store it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from sqlalchemy import Engine

from catalog_server.catalog.follower import Follower, Indexes, child_row, entity_row
from catalog_server.catalog.index.index import ChildRow, Index, Shape
from catalog_server.catalog.index.table import Row
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.records import Batch, Loaded
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.sql import ChildRow as StoredChild
from catalog_server.catalog.sql import EntityRow
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.writer import SourceKey, Writer, Written
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import open_engine
from catalog_server.db.migrate import migrate
from catalog_server.schema.decode import decode_entity
from catalog_server.schema.entity import UNSET, Entity, Flag, Integer, Nested, Number
from catalog_server.schema.kind import ChildKind, Kind, ListRules
from catalog_server.schema.marks import mark
from catalog_server.schema.metadata import tag_properties
from catalog_server.scope import DEFAULT_SCOPE, Scope

COLORS = ("red", "green", "blue")
RISKS = ("low", "high")


class Safety(Nested):
    """A nested object."""

    risk_level: Annotated[str, mark(alias="riskLevel", filter=True, options=RISKS, width="sm")] = ""
    score: Integer = UNSET


class Link(Nested):
    """One of a list of objects."""

    ref: str
    role: str = ""


class Part(Nested, forbid_unknown_fields=False):
    """A child."""

    name: str = ""
    material: str = ""
    size: Integer = UNSET
    custom_properties: dict[str, Any] = {}


class Gadget(Entity):
    """One field of each sort."""

    color: Annotated[str, mark(filter=True, options=COLORS, others="accepted", width="sm")] = ""
    maker: Annotated[str, mark(filter=True, search=True, width="md")] = ""
    tags: Annotated[list[str], mark(filter=True, search=True, width="md")] = []
    weight: Annotated[Integer, mark(filter=True, width="sm")] = UNSET
    price: Annotated[Number, mark(filter=True)] = UNSET
    active: Annotated[Flag, mark(filter=True)] = UNSET
    safety: Safety | None = None
    links: list[Link] = []
    settings: dict[str, Any] = {}
    notes: Annotated[str, mark(long_text=True)] = ""
    serial: Annotated[str, mark(hidden_option=True)] = ""
    parts: list[Part] = []


def tag_parts(raw: dict[str, Any]) -> dict[str, Any]:
    """Give the custom properties of the parts their tagged form."""
    parts = raw.get("parts", [])
    if not isinstance(parts, list):
        return raw
    return {
        **raw,
        "parts": [
            {**part, "customProperties": tag_properties(part.get("customProperties", {}))}
            if isinstance(part, dict)
            else part
            for part in parts
        ],
    }


GADGETS = Plugin(
    name="gadgets",
    display_name="Gadgets",
    description="Things made up for tests",
    icon="gadget",
    kind=Kind(
        name="Gadget",
        plural="gadgets",
        entity=Gadget,
        display_name="Gadget",
        noun="gadget",
        children=(ChildKind("part", "parts", Part, (Part,), inline=False),),
        prepare=tag_parts,
    ),
)
"""Free-form custom properties; LIKE without % is a substring; no id in the JSON."""

WIDGETS = replace(
    GADGETS,
    name="widgets",
    kind=replace(
        GADGETS.kind,
        name="Widget",
        plural="widgets",
        custom_properties="tagged",
        bare_like_is_substring=False,
        serves_id=True,
        rules=ListRules(default_order="ID", lenient_order=True),
    ),
)
"""As GADGETS, in the manner of models: tagged custom properties, strict LIKE, id and times in the JSON."""

REGISTRY = Registry([GADGETS, WIDGETS])


def loaded(plugin: Plugin, raw: Mapping[str, Any], source_id: str = "s", *, line: int = 1) -> Loaded:
    """One item of a file, decoded."""
    record = decode_entity(plugin.kind, dict(raw), source_id)
    return Loaded(record.name, record.content_hash, f"{source_id}.yaml", line, record)


def batch(
    plugin: Plugin, raws: Sequence[Mapping[str, Any]], source_id: str = "s", *, rejected: Sequence[str] = ()
) -> Batch:
    """What reading a source with these items gives."""
    items = {one.name: one for one in (loaded(plugin, raw, source_id) for raw in raws)}
    return Batch(items=items, rejected=set(rejected))


@dataclass
class Shelf:
    """A catalog without a database: hands out rows with ids as the store would."""

    plugin: Plugin
    next_id: int = 1
    entities: dict[tuple[str, str], EntityRow] = field(default_factory=dict)
    parts: dict[int, list[StoredChild]] = field(default_factory=dict)

    def put(self, raw: Mapping[str, Any], source_id: str, *, now: int = 1000) -> int:
        """Insert or replace an entity; it keeps its id, and its children theirs by place. Return its id."""
        record = decode_entity(self.plugin.kind, dict(raw), source_id)
        held = self.entities.get((source_id, record.name))
        entity_id = held.id if held else self._take_id()
        created = held.created_at if held else now
        self.entities[source_id, record.name] = EntityRow(
            entity_id, source_id, record.name, record.document, created, now
        )
        old = self.parts.get(entity_id, [])
        self.parts[entity_id] = [
            StoredChild(
                old[place].id if place < len(old) else self._take_id(),
                entity_id,
                child.kind,
                place,
                child.name,
                child.document.decode(),
                now,
                now,
            )
            for place, child in enumerate(record.children)
        ]
        return entity_id

    def drop(self, key: tuple[str, str]) -> int:
        entity_id = self.entities.pop(key).id
        del self.parts[entity_id]
        return entity_id

    def _take_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def rows(self, ids: set[int] | None = None) -> list[Row]:
        stored = sorted(self.entities.values(), key=lambda one: one.id)
        return [entity_row(self.plugin.kind, one) for one in stored if ids is None or one.id in ids]

    def child_rows(self, ids: set[int] | None = None) -> dict[str, list[ChildRow]]:
        stored = sorted((one for own in self.parts.values() for one in own), key=lambda one: one.id)
        return {
            kind.collection: [
                ChildRow(one.entity_id, child_row(kind, one))
                for one in stored
                if one.kind == kind.name and (ids is None or one.entity_id in ids)
            ]
            for kind in self.plugin.kind.children
        }

    def index(self, generation: int = 1) -> Index:
        """An index built from scratch."""
        return Index.build(Shape.of(self.plugin.kind), generation, self.rows(), self.child_rows())


def reader_of(plugin: Plugin, index: Index) -> Reader:
    """A reader of one snapshot, in the default namespace."""
    indexes = Indexes(REGISTRY)
    indexes.publish(DEFAULT_SCOPE, plugin.name, index)
    return Reader(indexes)


@dataclass
class Store:
    """A migrated database with everything that writes to it and follows it."""

    engine: Engine
    registry: Registry = REGISTRY

    def __post_init__(self) -> None:
        self.writer = Writer(self.engine)
        self.indexes = Indexes(self.registry)
        self.follower = Follower(self.engine, self.registry, self.indexes)
        self.reader = Reader(self.indexes)

    def write(
        self,
        raws: Sequence[Mapping[str, Any]],
        *,
        plugin: Plugin = GADGETS,
        source_id: str = "s",
        scope: Scope = DEFAULT_SCOPE,
        rejected: Sequence[str] = (),
    ) -> Written:
        """Replace a source by these items."""
        key = key_of(plugin, source_id, scope)
        return self.writer.replace_source(key, batch(plugin, raws, source_id, rejected=rejected), AVAILABLE)

    def names(self, plugin: Plugin = GADGETS, scope: Scope = DEFAULT_SCOPE) -> list[str]:
        """What a reader sees after catching up."""
        self.follower.catch_up()
        table = self.indexes.get(scope, plugin.name).table
        return sorted(json.loads(table.documents[position])["name"] for position in table.live)


AVAILABLE = SourceStatus("available")


def key_of(plugin: Plugin, source_id: str = "s", scope: Scope = DEFAULT_SCOPE) -> SourceKey:
    return SourceKey(scope, plugin.name, plugin.kind.name, source_id)


def open_store(dsn: str) -> Store:
    """Open and migrate a database. The caller disposes of `engine`."""
    engine = open_engine(parse_dsn(dsn, None))
    migrate(engine)
    return Store(engine)
