"""What `orderBy` may say, and the order that it means (spec plugins.md 2.7, column OURS)."""

from __future__ import annotations

from functools import lru_cache

from catalog_server.catalog.index.column import Column
from catalog_server.catalog.index.index import ChildTable, Index
from catalog_server.catalog.index.layout import CUSTOM, ID, NAME, ORDERS, SOURCE, TIMES
from catalog_server.catalog.index.names import nearest
from catalog_server.catalog.index.ordering import sort_key, sort_value
from catalog_server.catalog.index.table import OrderRef, Table
from catalog_server.errors import Invalid
from catalog_server.query.checker import SUFFIXES
from catalog_server.query.fields import ValueType
from catalog_server.query.nodes import Scalar
from catalog_server.schema.kind import ListRules

_BY_JSON_NAME = {"id": ID, "name": NAME, "sourceid": SOURCE, "source_id": SOURCE}
ACCURACY = "artifacts.overall_average.double_value"


def entity_order(index: Index, rules: ListRules, order_by: str, descending: bool) -> tuple[str, OrderRef]:
    """Canonical name and order.

    Raises:
        Invalid: unknown, unless the kind's rules fall back to the default.
    """
    given = order_by.strip()
    found = _entity_order(index, given, descending) if given else None
    if found is None:
        if given and not rules.lenient_order:
            raise _unknown(index, given)
        name = ORDERS[rules.default_order]
        return name, index.table.order(name)
    return found


def _entity_order(index: Index, given: str, descending: bool) -> tuple[str, OrderRef] | None:
    if given.upper() == "ACCURACY" and "artifacts" in index.children:
        given = ACCURACY
    standard = _standard(given)
    if standard is not None:
        return standard, index.table.order(standard)
    collection, _, rest = given.partition(".")
    if collection in index.children and rest:
        return _aggregate_order(index, collection, rest, descending)
    declared = index.shape.kind.names.get(given)
    if declared is not None:
        return (declared.path, index.table.order(declared.path)) if declared.indexed else None
    return _custom_order(index.table, given)


def child_order(table: Table, order_by: str) -> tuple[str, OrderRef]:
    """The order of a child list. An unknown property or a name without a value type means the order by id.

    Raises:
        Invalid: a value type that does not exist.
    """
    given = order_by.strip()
    standard = _standard(given) or (ID if not given else None)
    if standard is not None:
        return standard, table.order(standard)
    name, _, suffix = given.rpartition(".")
    if not name or (suffix.endswith("_value") and suffix not in SUFFIXES):
        raise Invalid(
            f"unknown orderBy {given[:80]!r}: use {', '.join(ORDERS)} or <property>.<string|int|double|bool>_value",
            field="orderBy",
        )
    return _custom_order(table, given) or (ID, table.order(ID))


@lru_cache(maxsize=256)
def _standard(given: str) -> str | None:
    return ORDERS.get(given.upper()) or _BY_JSON_NAME.get(given.lower()) or (given if given in TIMES else None)


def _custom_order(table: Table, given: str) -> tuple[str, OrderRef] | None:
    """By a custom property; a type suffix takes the values of that type only."""
    base, only = _split_suffix(given)
    column = table.column(f"{CUSTOM}.{base.removeprefix(f'{CUSTOM}.')}")
    if column is None:
        return None
    key = f"{CUSTOM}.{base}:{only or ''}"
    return key, table.derived_order(key, lambda position: _typed(column, position, only))


def _aggregate_order(index: Index, collection: str, given: str, descending: bool) -> tuple[str, OrderRef] | None:
    """By a property of the children: the smallest value of each entity ascending, the largest descending."""
    base, only = _split_suffix(given)
    child = index.children[collection]
    column = child.table.column(f"{CUSTOM}.{base}") or child.table.column(base)
    if column is None:
        return None
    key = f"{collection}.{base}:{only or ''}:{'max' if descending else 'min'}"
    best: dict[int, Scalar | None] = {}

    def value_of(position: int) -> Scalar | None:
        if not best:
            best.update(_best_of_children(child, column, only, descending))
        return best.get(position)

    return key, index.table.derived_order(key, value_of)


def _best_of_children(
    child: ChildTable, column: Column, only: ValueType | None, descending: bool
) -> dict[int, Scalar | None]:
    best: dict[int, Scalar | None] = {}
    for position in child.table.live:
        value = _typed(column, position, only)
        if value is None:
            continue
        parent = child.parents[position]
        held = best.get(parent)
        if held is None or (sort_key(value) > sort_key(held)) == descending:
            best[parent] = value
    return best


def _typed(column: Column, position: int, only: ValueType | None) -> Scalar | None:
    value = sort_value(column.values[position])
    if only is None or value is None:
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        ValueType.STRING: isinstance(value, str),
        ValueType.BOOLEAN: isinstance(value, bool),
        ValueType.INTEGER: is_number and isinstance(value, int),
        ValueType.NUMBER: is_number,
    }
    return value if fits[only] else None


def _split_suffix(given: str) -> tuple[str, ValueType | None]:
    base, _, suffix = given.rpartition(".")
    return (base, SUFFIXES[suffix]) if base and suffix in SUFFIXES else (given, None)


def _unknown(index: Index, given: str) -> Invalid:
    declared = index.shape.kind.names.get(given)
    if declared is not None:
        hint = ", which is long text" if declared.scalar else ", which is an object"
    else:
        near = nearest(given, [*ORDERS, *index.names.known_names()])
        hint = f"; did you mean {near!r}?" if near else ""
    return Invalid(f"cannot order by {given[:80]!r}{hint}", field="orderBy", code="order_field")
