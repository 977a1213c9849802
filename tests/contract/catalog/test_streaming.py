"""Reading many rows on all databases: documents as they were stored, and our own error when the connection breaks."""

from __future__ import annotations

import json

import pytest

from catalog_server.catalog import sql
from catalog_server.db.engine import reading
from catalog_server.errors import Unavailable
from catalog_server.scope import DEFAULT_SCOPE
from tests.factories import Store

MAKERS = ["Zürich 東京 🦜", "back\\slash\tand \\x41", "it's 100 % {}", '"quoted"', ""]


def gadgets() -> list[dict[str, object]]:
    return [
        {"name": f"gadget-{number} é%s", "maker": maker, "parts": [{"size": number}]}
        for number, maker in enumerate(MAKERS)
    ]


def read_after_break(store: Store) -> None:
    with reading(store.engine) as connection:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
        list(sql.read_entities(connection, DEFAULT_SCOPE, "gadgets"))


def test_documents_when_streamed_then_are_the_stored_bytes(store: Store) -> None:
    store.write(gadgets())
    with reading(store.engine) as connection:
        found = {row.name: row for row in sql.read_entities(connection, DEFAULT_SCOPE, "gadgets")}
        children = list(sql.read_children(connection, DEFAULT_SCOPE, "gadgets"))
        some = list(sql.read_children(connection, DEFAULT_SCOPE, "gadgets", [row.id for row in found.values()]))
    assert [json.loads(found[f"gadget-{n} é%s"].document).get("maker", "") for n in range(len(MAKERS))] == MAKERS
    assert all(isinstance(row.document, bytes) for row in found.values())
    assert [json.loads(row.document)["size"] for row in children] == list(range(len(MAKERS)))
    assert children == sorted(some)


def test_rows_when_more_than_one_portion_then_all_come_once(store: Store) -> None:
    store.write([{"name": f"g{number:03}"} for number in range(250)])
    store.write([{"name": f"g{number:03}", "weight": number % 2} for number in range(250)])
    with reading(store.engine) as connection:
        names = sorted(row.name for row in sql.read_entities(connection, DEFAULT_SCOPE, "gadgets"))
        later = list(sql.read_entities(connection, DEFAULT_SCOPE, "gadgets", after_generation=1))
        assert list(sql.read_entities(connection, DEFAULT_SCOPE, "100 % 'other'")) == []
    assert names == [f"g{number:03}" for number in range(250)]
    assert len(later) == 250


def test_rows_when_left_before_the_end_then_the_connection_goes_on(store: Store) -> None:
    store.write([{"name": f"g{number:03}", "maker": "x" * 5000} for number in range(250)])
    with reading(store.engine) as connection:
        rows = sql.read_entities(connection, DEFAULT_SCOPE, "gadgets")
        next(rows)
        rows.close()
    assert len(store.names()) == 250


def test_rows_when_the_connection_breaks_then_the_database_is_unavailable(store: Store) -> None:
    store.write(gadgets())
    with pytest.raises(Unavailable, match="database"):
        read_after_break(store)
    assert len(store.names()) == len(MAKERS)
