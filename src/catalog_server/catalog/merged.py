"""One list over the entities of several plugins: in order of kind, and within a kind by name (spec http-api.md 4.8).

A page token says which plugin the page ends in, and where in it. Every plugin is asked for one snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery, Page, Plan, Reader
from catalog_server.errors import Invalid
from catalog_server.query.tokens import binding_of, decode_token, encode_token
from catalog_server.scope import Scope

_NONE = 1
"""A page of one: for who wants to know the total only."""


@dataclass(frozen=True, slots=True)
class MergedPlan:
    """A checked query over several plugins, in their order. `start` is the plugin that the page begins in."""

    plans: Sequence[tuple[Plugin, Plan]]
    start: int
    size: int
    binding: str

    @property
    def is_heavy(self) -> bool:
        return any(plan.is_heavy for _, plan in self.plans)


@dataclass(frozen=True, slots=True)
class MergedPage:
    """Parts of the page by plugin."""

    parts: Sequence[tuple[Plugin, Page]]
    total: int
    next_token: str


def plan_merged(reader: Reader, scope: Scope, plugins: Sequence[Plugin], query: ListQuery) -> MergedPlan:
    """Check a query against each plugin. One that does not have a field of the filter has no part in the list.

    Raises:
        Invalid: no plugin understands the query, or the token is of another list.
    """
    names = ",".join(plugin.name for plugin in plugins)
    sources = ",".join(sorted(query.sources or ()))
    parts = (scope.namespace, names, query.filter, query.q, query.order_by, str(query.descending), sources)
    binding = binding_of(*parts)
    first, inner = _read_token(query, binding, plugins)
    plans: list[tuple[Plugin, Plan]] = []
    refused: Invalid | None = None
    for plugin in plugins:
        own = replace(query, token=inner if plugin.name == first else "")
        try:
            plans.append((plugin, reader.plan(scope, plugin, own)))
        except Invalid as error:
            refused = refused or error
    if refused is not None and not plans:
        raise refused
    start = next((number for number, (plugin, _) in enumerate(plans) if plugin.name == first), 0)
    return MergedPlan(plans, start, query.page_size, binding)


def run_merged(reader: Reader, plan: MergedPlan) -> MergedPage:
    """One page: what is left of the plugin that it begins in, then of those that follow."""
    parts: list[tuple[Plugin, Page]] = []
    total, room, token = 0, plan.size, ""
    for number, (plugin, one) in enumerate(plan.plans):
        is_shown = number >= plan.start and room > 0
        query = replace(one.query, page_size=room if is_shown else _NONE)
        page = reader.run(replace(one, query=query))
        total += page.total
        if is_shown:
            parts.append((plugin, page))
            room -= len(page)
            if page.next_token:
                token = encode_token(plugin.name, page.next_token, plan.binding)
        elif number > plan.start and room == 0 and not token and page.total:
            token = encode_token(plugin.name, "", plan.binding)
    return MergedPage(parts, total, token)


def _read_token(query: ListQuery, binding: str, plugins: Sequence[Plugin]) -> tuple[str, str]:
    """The plugin that the page begins in, and that plugin's own token."""
    if not query.token:
        return (plugins[0].name, "") if plugins else ("", "")
    name, inner = decode_token(query.token, binding, query.token_parameter)
    if not isinstance(name, str) or all(plugin.name != name for plugin in plugins):
        raise Invalid("not a page token of this list", field=query.token_parameter, code="page_token")
    return name, inner
