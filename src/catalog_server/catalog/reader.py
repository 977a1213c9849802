"""Answers reads from the index: lists, single entities, children. No database, no JSON made or parsed.

A query is first planned (names resolved, types checked, token read: everything that can be the client's fault), then
run. Planning and running are cheap enough for the event loop, but for filters that have to look into documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from pyroaring import BitMap

from catalog_server.catalog.follower import Indexes
from catalog_server.catalog.index.documents import Documents
from catalog_server.catalog.index.evaluate import evaluate, evaluate_children, match_words, reads_documents
from catalog_server.catalog.index.index import Checked, Index
from catalog_server.catalog.index.layout import SOURCE, search_words
from catalog_server.catalog.index.names import TableNames
from catalog_server.catalog.index.numbers import Positions
from catalog_server.catalog.index.ordering import Place
from catalog_server.catalog.index.table import OrderRef, Table
from catalog_server.catalog.named_queries import NamedQuery, check_named_query
from catalog_server.catalog.orders import child_order, entity_order
from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import Invalid, NotFound
from catalog_server.query.checker import All, Resolved, check_filter
from catalog_server.query.parser import parse_filter
from catalog_server.query.tokens import binding_of, decode_token, encode_token
from catalog_server.scope import Scope

# Looking into documents and sorting cost some microseconds each: beyond this many the event loop must not wait.
_FEW_DOCUMENTS = 500


# Structs, which are made ten times as fast as frozen dataclasses: each request makes one of each.
class ListQuery(msgspec.Struct, frozen=True):
    """A list request, typed but not yet checked against a kind. `sources` None: all of them."""

    page_size: int
    filter: str = ""
    q: str = ""
    order_by: str = ""
    descending: bool = False
    sources: frozenset[str] | None = None
    named_query: NamedQuery | None = None
    restriction: str = ""
    """What else narrows the list: part of what a page token is bound to."""
    token: str = ""
    token_parameter: str = "pageToken"  # noqa: S105 - the name of a request parameter


class Page(msgspec.Struct, frozen=True):
    """One page: the documents at some positions. `next_token` is empty on the last page."""

    held: Documents
    positions: Positions
    total: int
    next_token: str

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def documents(self) -> list[bytes]:
        """Finished JSON, each by itself."""
        return list(map(self.held.__getitem__, self.positions.tolist()))

    @property
    def joined(self) -> list[memoryview]:
        """The same with commas between them, in parts to be joined; not copied."""
        return self.held.joined(self.positions)


class Plan(msgspec.Struct, frozen=True):
    """A checked query on one snapshot."""

    index: Index
    table: Table
    order: OrderRef
    order_name: str
    query: ListQuery
    filters: tuple[Checked, ...]
    binding: str
    after: Place | None
    collection: str | None = None
    within: BitMap | None = None

    @property
    def is_heavy(self) -> bool:
        """Whether running it may take long enough to hold up other requests."""
        if len(self.table) <= _FEW_DOCUMENTS:
            return False
        return not self.order.is_sorted or any(one.reads_documents for one in self.filters)


class Reader:
    """Reads of one process. Every method takes the scope first."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    def index(self, scope: Scope, plugin: Plugin) -> Index:
        return self._indexes.get(scope, plugin.name)

    def plan(self, scope: Scope, plugin: Plugin, query: ListQuery) -> Plan:
        """Check a list query.

        Raises:
            Invalid: `field` names the parameter; filters also carry a position.
        """
        index = self.index(scope, plugin)
        filters = _checked(query.filter, index)
        if query.named_query is not None:
            filters = (*filters, _looked_at(check_named_query(query.named_query, index), index))
        name, order = entity_order(index, plugin.kind.rules, query.order_by, query.descending)
        binding = _binding(scope, plugin.name, query, name)
        after = _after(query, binding, index.table)
        return Plan(index, index.table, order, name, query, filters, binding, after)

    def plan_children(
        self, scope: Scope, plugin: Plugin, position: int, collection: str, query: ListQuery, within: BitMap | None
    ) -> Plan:
        """Check a list query on the children of the entity at `position`; `within` narrows them further."""
        index = self.index(scope, plugin)
        child = index.children[collection]
        own = TableNames({f.path: f for f in child.table.layout.fields}, child.table, child=None, like=False)
        node = _parse(query.filter) if query.filter else None
        filters = () if node is None else (_looked_at(check_filter(node, own), index),)
        name, order = child_order(child.table, query.order_by)
        of_entity = child.of(position)
        within = of_entity if within is None else of_entity & within
        binding = _binding(scope, f"{plugin.name}/{collection}/{index.table.ids[position]}", query, name)
        after = _after(query, binding, child.table)
        return Plan(index, child.table, order, name, query, filters, binding, after, collection, within)

    def run(self, plan: Plan) -> Page:
        """One page of a checked query."""
        query = plan.query
        hits = self._hits(plan)
        total = len(plan.table) if hits is None else len(hits)
        found = plan.order.get().page(hits, query.descending, plan.after, query.page_size + 1)
        shown = found[: query.page_size]
        token = _next_token(plan, int(shown[-1])) if len(found) > query.page_size else ""
        return Page(plan.table.documents, shown, total, token)

    def get(self, scope: Scope, plugin: Plugin, name: str, source_id: str | None = None) -> bytes:
        """The JSON of one entity.

        Raises:
            NotFound: no entity of this name in this namespace (and source).
        """
        index = self.index(scope, plugin)
        return index.table.documents[find(index, plugin, name, source_id)]

    def _hits(self, plan: Plan) -> BitMap | None:
        """Positions that satisfy the query; None for all."""
        query, index = plan.query, plan.index
        if plan.collection is not None:
            found = plan.within if plan.within is not None else plan.table.live
            for one in plan.filters:
                found = found & evaluate_children(one.filter, index, plan.collection)
            return found
        parts: list[BitMap] = []
        if query.sources is not None:
            sources = plan.table.columns[SOURCE].texts
            parts.append(BitMap.union(BitMap(), *(sources.positions(one) for one in query.sources)))
        if words := search_words([query.q]):
            parts.append(match_words(words, index))
        if plan.filters:
            filters = tuple(one.filter for one in plan.filters)
            parts.append(evaluate(filters[0] if len(filters) == 1 else All(filters), index))
        if not parts:
            return None
        return BitMap.intersection(*parts) if len(parts) > 1 else parts[0]


def find(index: Index, plugin: Plugin, name: str, source_id: str | None) -> int:
    """Position of an entity. Raises NotFound."""
    position = index.find(name, source_id)
    if position is None:
        if plugin.kind.rules.code_errors and source_id is not None:
            raise NotFound(f"No model found '{name}' in source '{source_id}'")
        raise NotFound(f'{plugin.kind.noun} "{name}" not found')
    return position


# Clients ask for page after page with the same filter; parsing is pure, and half of the cost of a small query.
_parse = lru_cache(maxsize=1024)(parse_filter)
_binding_of = lru_cache(maxsize=1024)(binding_of)
_KEPT_FILTERS = 1024


def _checked(text: str, index: Index) -> tuple[Checked, ...]:
    """The filter with the names of one snapshot, where it is kept: what a name means changes with the snapshot only."""
    if not text:
        return ()
    kept = index.checked.get(text)
    if kept is None:
        node = _parse(text)
        if node is None:
            return ()
        if len(index.checked) >= _KEPT_FILTERS:
            index.checked.clear()
        kept = index.checked[text] = _looked_at(check_filter(node, index.names), index)
    return (kept,)


def _looked_at(filter_: Resolved, index: Index) -> Checked:
    return Checked(filter_, reads_documents(filter_, index))


def _binding(scope: Scope, what: str, query: ListQuery, order_name: str) -> str:
    """What a page token is good for: the same list with the same filters in the same order."""
    sources: Sequence[str] = ["*"] if query.sources is None else sorted(query.sources)
    named = "" if query.named_query is None else query.named_query.name
    direction = "DESC" if query.descending else "ASC"
    return _binding_of(
        scope.namespace, what, query.filter, query.q, named, query.restriction, order_name, direction, *sources
    )


def _after(query: ListQuery, binding: str, table: Table) -> Place | None:
    if not query.token:
        return None
    value, entity_id = decode_token(query.token, binding, query.token_parameter)
    if not entity_id.isdecimal() or len(entity_id) > 19:
        raise Invalid("not a page token of this list", field=query.token_parameter, code="page_token")
    return Place(value, int(entity_id), table.position(int(entity_id)))


def _next_token(plan: Plan, last: int) -> str:
    return encode_token(plan.order.get().value_at(last), str(plan.table.ids[last]), plan.binding)
