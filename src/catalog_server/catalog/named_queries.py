"""Named queries of the configuration as filters (spec plugins.md 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog_server.catalog.index.index import Index
from catalog_server.errors import Invalid
from catalog_server.query.checker import Resolved, check_filter
from catalog_server.query.nodes import And, Comparison, Node, Operator, Property
from catalog_server.sources.config import NamedCondition


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query that the configuration gives a name: all its conditions have to hold."""

    name: str
    conditions: Mapping[str, NamedCondition]


def check_named_query(query: NamedQuery, index: Index) -> Resolved:
    """The query as a checked filter.

    Raises:
        Invalid: it does not fit the kind; the message names query and field.
    """
    nodes: list[Node] = [
        Comparison(
            Property(tuple(field.split("."))),
            Operator(condition.operator),
            _operand(bounded(field, condition.value, index)),
        )
        for field, condition in query.conditions.items()
    ]
    try:
        return check_filter(nodes[0] if len(nodes) == 1 else And(tuple(nodes)), index.names)
    except Invalid as error:
        raise Invalid(f"named query {query.name!r}: {error.reason}", field="namedQuery", code=error.code) from error


def bounded(field: str, value: Any, index: Index) -> Any:
    """The texts `min` and `max` stand for the bounds of a numeric field, where some entity has it."""
    if value not in ("min", "max"):
        return value
    resolved = index.names.resolve(tuple(field.split(".")), False)
    if resolved is None:
        return value
    table = index.children[resolved.child].table if resolved.child else index.table
    own_name = resolved.name.removeprefix(f"{resolved.child}.") if resolved.child else resolved.name
    column = table.column(own_name)
    bounds = column.bounds() if column is not None else None
    if bounds is None:
        return value
    return bounds[0] if value == "min" else bounds[1]


def _operand(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
