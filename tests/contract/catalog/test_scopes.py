"""Namespaces never mix: every function of catalog/sql.py stays within the scope that it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
from sqlalchemy import Connection, select

from catalog_server.catalog import sql
from catalog_server.catalog.overlays import overlay_uid
from catalog_server.db.engine import reading, writing
from catalog_server.db.tables import changes, metadata
from catalog_server.scope import Scope
from tests.factories import GADGETS, Store

OURS, THEIRS = Scope("team-a"), Scope("team-b")
UNSCOPED = {"read_feeds", "read_statuses", "read_source_ids"}
"""What only the process's own picture is made of."""
GENERATION = 1
NOW = 2**40


def functions() -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(sql, inspect.isfunction)
    return {name: one for name, one in found if one.__module__ == sql.__name__ and not name.startswith("_")}


def test_function_when_it_touches_tenant_data_then_takes_a_scope_right_after_the_connection() -> None:
    for name, function in functions().items():
        parameters = list(inspect.signature(function).parameters)
        if name in UNSCOPED:
            assert parameters == ["connection"]
        else:
            assert parameters[:2] == ["connection", "scope"], name
            assert get_type_hints(function)["scope"] is Scope


def rows_of(store: Store, scope: Scope) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that one namespace owns, by table."""
    with reading(store.engine) as connection:
        return {
            table.name: sorted(
                tuple(row) for row in connection.execute(select(table).where(table.c.namespace == scope.namespace))
            )
            for table in metadata.tables.values()
            if "namespace" in table.c and table.name in TABLES
        }


TABLES = ("entities", "entity_children", "generations", "changes", "catalog_refresh_status", "catalog_overlays")


@pytest.fixture
def shared(store: Store) -> Store:
    """Two namespaces with equal sources, names and children."""
    for scope in (OURS, THEIRS):
        store.write([{"name": name, "parts": [{"size": 1}]} for name in "abc"], scope=scope)
        store.write([{"name": name, "parts": [{"size": 1}]} for name in "ab"], scope=scope)
        with writing(store.engine) as connection:
            sql.write_overlay(connection, scope, GADGETS.name, {**overlay_values(), "tags": f'["{scope.namespace}"]'})
    return store


def known_ids(store: Store, scope: Scope) -> set[int]:
    """Of all that one namespace holds or held."""
    with reading(store.engine) as connection:
        held = connection.execute(select(changes.c.entity_id).where(changes.c.namespace == scope.namespace)).scalars()
        return {*held, *ids_of(store, scope, "entities"), *ids_of(store, scope, "entity_children")}


def ids_of(store: Store, scope: Scope, table: str) -> list[int]:
    return [row[0] for row in rows_of(store, scope)[table]]


def arguments_of(function: Callable[..., Any], store: Store) -> dict[str, Any]:
    """Arguments under which a function that forgot its scope would meet the other namespace's rows."""
    theirs = ids_of(store, THEIRS, "entities")
    theirs_children = ids_of(store, THEIRS, "entity_children")
    is_on_children = "child" in function.__name__
    rows = {
        "update_entities": [{"entity_id": one, "document": "{}", "generation": 9} for one in theirs],
        "insert_entities": [entity_values("new")],
        "insert_children": [],
        "append_changes": [change_values()],
    }
    known: dict[str, Any] = {
        "plugin": GADGETS.name,
        "kind": GADGETS.kind.name,
        "source_id": "s",
        "after_generation": 0,
        "entity_ids": theirs,
        "generation": 7 if function.__name__ == "set_generation" else GENERATION,
        "rows": rows.get(function.__name__, []),
        "ids": theirs_children if is_on_children else theirs,
        "child_id": theirs_children[0],
        "before": NOW * 10,
        "name": "a",
        "names": ["a", "b"],
        "uid": overlay_uid("s", "a"),
        "entity_id": theirs[0],
        "values": values_for(function.__name__),
    }
    return {name: known[name] for name in inspect.signature(function).parameters if name not in ("connection", "scope")}


def values_for(function: str) -> dict[str, Any]:
    if "status" in function:
        return status_values()
    return overlay_values() if "overlay" in function else {"document": "{}"}


def overlay_values() -> dict[str, Any]:
    common = {"entity_kind": GADGETS.kind.name, "entity_uid": overlay_uid("s", "a"), "source_id": "s"}
    return {**common, "entity_name": "a", "tags": "[]", "annotations": "{}", "updated_at": NOW}


def entity_values(name: str) -> dict[str, Any]:
    common = {"kind": "Gadget", "source_id": "s", "document": "{}", "content_hash": "", "origin": "f", "line": 1}
    return {**common, "name": name, "created_at": 1, "updated_at": 1, "generation": GENERATION}


def change_values() -> dict[str, Any]:
    common = {"generation": 5, "kind": "Gadget", "source_id": "s", "changed_at": 1}
    return {**common, "entity_id": 1, "operation": "delete", "name": "gone"}


def status_values() -> dict[str, Any]:
    common = {"state": "error", "fingerprint": "", "entity_count": 0, "problems": "[]", "entities_loaded": 0}
    return {**common, "entities_removed": 0, "duration_ms": 0, "updated_at": NOW}


def ids_in(answer: Any) -> Iterator[int]:
    """Ids of entities (and of owners of children) in whatever a reading function returned."""
    values = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else []
    for one in values:
        if isinstance(one, int):
            yield one
        elif hasattr(one, "id"):
            yield from (one.id, getattr(one, "entity_id", one.id))


def call(connection: Connection, function: Callable[..., Any], given: dict[str, Any]) -> Any:
    answer = function(connection, OURS, **given)
    return list(answer) if inspect.isgenerator(answer) else answer


@pytest.mark.parametrize("name", sorted(set(functions()) - UNSCOPED))
def test_function_when_called_for_one_namespace_then_neither_shows_nor_changes_another(
    shared: Store, name: str
) -> None:
    function = functions()[name]
    before = rows_of(shared, THEIRS)
    given = arguments_of(function, shared)
    with writing(shared.engine) as connection:
        answer = call(connection, function, given)
    assert rows_of(shared, THEIRS) == before
    foreign, own = known_ids(shared, THEIRS), known_ids(shared, OURS)
    assert not set(ids_in(answer)) & (foreign - own)
    assert THEIRS.namespace not in repr(answer)


def test_namespaces_when_they_hold_equal_names_then_do_not_meet(store: Store) -> None:
    store.write([{"name": "a", "maker": "ours"}], scope=OURS)
    store.write([{"name": "a", "maker": "theirs"}, {"name": "b"}], scope=THEIRS)
    assert (store.names(scope=OURS), store.names(scope=THEIRS)) == (["a"], ["a", "b"])
    assert b'"ours"' in bytes(store.reader.get(OURS, GADGETS, "a"))
    store.write([], scope=THEIRS)
    assert (store.names(scope=OURS), store.names(scope=THEIRS)) == (["a"], [])
    assert store.names(scope=Scope("team-c")) == []
