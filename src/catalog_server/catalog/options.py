"""filter_options: the values and ranges that make sense in a filter (spec plugins.md 2.9, column OURS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog_server.catalog.index.column import Column
from catalog_server.catalog.index.index import Index
from catalog_server.catalog.index.layout import CUSTOM
from catalog_server.catalog.index.table import Table
from catalog_server.catalog.named_queries import bounded
from catalog_server.sources.config import NamedQueries

MAX_VALUES = 50
MAX_VALUE_LENGTH = 100
_SKIPPED = ("name", "externalId", "metricsType", "model_id")
Option = dict[str, Any]


def filter_options(index: Index, named_queries: NamedQueries) -> dict[str, Any]:
    """The document: `filters` by name, and `namedQueries` where there are any."""
    filters = dict(_table_options(index.table, ""))
    for collection, child in index.children.items():
        filters.update(_table_options(child.table, f"{collection}."))
    document: dict[str, Any] = {"filters": dict(sorted(filters.items()))}
    if named_queries:
        document["namedQueries"] = {
            name: {
                field: {"operator": condition.operator, "value": bounded(field, condition.value, index)}
                for field, condition in conditions.items()
            }
            for name, conditions in named_queries.items()
        }
    return document


def _table_options(table: Table, prefix: str) -> Iterator[tuple[str, Option]]:
    for field in table.layout.fields:
        if field.mark.hidden_option or field.path in _SKIPPED:
            continue
        option = _option(table.columns[field.path])
        if option is not None:
            yield prefix + field.path, option
    for name, column in table.columns.items():
        bare = name.removeprefix(f"{CUSTOM}.")
        if bare != name and bare not in _SKIPPED and (option := _option(column)) is not None:
            yield f"{prefix}{bare}.{_suffix(column)}", option


def _option(column: Column) -> Option | None:
    """Texts as values, numbers as a range; None for booleans, and for texts that are too many or too long."""
    bounds = column.bounds()
    if bounds is not None:
        return {"type": "number", "range": {"min": bounds[0], "max": bounds[1]}}
    values = sorted(value for value in column.texts.texts() if value)
    if not values or len(values) >= MAX_VALUES or max(map(len, values)) > MAX_VALUE_LENGTH:
        return None
    return {"type": "string", "values": values}


def _suffix(column: Column) -> str:
    if column.has_lists:
        return "array_value"
    if not column.numbers.at:
        return "string_value"
    are_whole = all(isinstance(column.values[position], int) for position in column.numbers.at)
    return "int_value" if are_whole else "double_value"
