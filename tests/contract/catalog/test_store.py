"""The entity store on all databases: one transaction per source, exact names and documents, a feed without holes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from catalog_server.catalog import sql
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.records import Batch
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.db.engine import reading, writing
from catalog_server.db.tables import changes, entities, entity_children, generations
from catalog_server.errors import Conflict, Invalid, Unavailable
from catalog_server.scope import DEFAULT_SCOPE
from tests.factories import AVAILABLE, GADGETS, REGISTRY, WIDGETS, Store, batch, key_of, open_store

Rows = dict[str, dict[str, Any]]


def rows_of(store: Store) -> Rows:
    """All entity rows by name."""
    with reading(store.engine) as connection:
        return {row.name: dict(row._mapping) for row in connection.execute(select(entities))}


def children_of(store: Store, name: str) -> list[dict[str, Any]]:
    owner = rows_of(store)[name]["id"]
    query = select(entity_children).where(entity_children.c.entity_id == owner).order_by(entity_children.c.position)
    with reading(store.engine) as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def count(store: Store, table: Any) -> int:
    with reading(store.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def gadget(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


def written_rows(store: Store, work: Callable[[], object]) -> dict[str, int]:
    """Table -> rows that statements of `work` inserted, updated or deleted."""
    counted: dict[str, int] = {}

    def count_rows(_conn: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        verb, *words = statement.replace('"', "").replace("`", "").split()
        if verb in ("INSERT", "UPDATE", "DELETE"):
            table = next(word for word in words if word not in ("INTO", "FROM", "OR", "IGNORE"))
            counted[table] = counted.get(table, 0) + max(cursor.rowcount, 0)

    event.listen(store.engine, "after_cursor_execute", count_rows)
    try:
        work()
    finally:
        event.remove(store.engine, "after_cursor_execute", count_rows)
    return counted


def test_source_when_replaced_then_holds_exactly_the_new_items(store: Store) -> None:
    first = store.write([gadget("a"), gadget("b", maker="x"), gadget("c")])
    assert (first.generation, first.upserted, first.removed, first.held) == (1, 3, 0, 3)
    before = rows_of(store)
    second = store.write([gadget("b", maker="y"), gadget("c"), gadget("d")])
    after = rows_of(store)
    assert (second.generation, second.upserted, second.removed, second.held) == (2, 2, 1, 3)
    assert sorted(after) == ["b", "c", "d"]
    assert after["c"] == before["c"]
    assert after["b"]["id"] == before["b"]["id"]
    assert after["b"]["created_at"] == before["b"]["created_at"]
    assert json.loads(after["b"]["document"])["maker"] == "y"
    assert {name: row["generation"] for name, row in after.items()} == {"b": 2, "c": 1, "d": 2}


def test_source_when_unchanged_then_no_entity_is_written(store: Store) -> None:
    items = [gadget("a", parts=[{"size": 1}]), gadget("b")]
    store.write(items)
    before = rows_of(store)
    result = store.write(items)
    assert (result.generation, result.upserted, result.removed, result.held) == (None, 0, 0, 2)
    assert rows_of(store) == before
    counted = written_rows(store, lambda: store.write(items))
    assert not {"entities", "entity_children", "changes"} & set(counted)


def test_ten_changed_of_many_when_written_then_only_they_are_touched(store: Store) -> None:
    items = [gadget(f"g{number:04}", weight=number, parts=[{"size": 1}]) for number in range(1500)]
    store.write(items)
    before = rows_of(store)
    changed = [{**item, "price": 9.5} if number % 150 == 0 else item for number, item in enumerate(items)]
    counted = written_rows(store, lambda: store.write(changed))
    after = rows_of(store)
    touched = {name for name in after if after[name] != before[name]}
    assert touched == {f"g{number:04}" for number in range(0, 1500, 150)}
    assert counted.get("entities", 10) == 10
    assert counted["changes"] == 10
    assert counted.get("entity_children", 0) == 0


def test_item_when_rejected_then_its_last_good_version_stays(store: Store) -> None:
    store.write([gadget("a", maker="good"), gadget("b")])
    result = store.write([gadget("b")], rejected=["a", "never-stored"])
    assert (result.removed, result.held) == (0, 2)
    assert json.loads(rows_of(store)["a"]["document"])["maker"] == "good"
    assert store.names() == ["a", "b"]


def test_children_when_the_entity_changes_then_keep_their_ids_by_place(store: Store) -> None:
    store.write([gadget("a", parts=[{"size": 1}, {"size": 2}, {"size": 3}])])
    before = children_of(store, "a")
    store.write([gadget("a", parts=[{"size": 1}, {"size": 20}])])
    after = children_of(store, "a")
    assert [row["id"] for row in after] == [row["id"] for row in before[:2]]
    assert after[0] == before[0]
    assert after[1]["created_at"] == before[1]["created_at"]
    assert json.loads(after[1]["document"])["size"] == 20
    store.write([gadget("a", parts=[{"size": 1}, {"size": 20}, {"size": 3}])])
    assert len(children_of(store, "a")) == 3


def test_children_when_the_entity_goes_then_go_with_it(store: Store) -> None:
    store.write([gadget("a", parts=[{"size": 1}]), gadget("b", parts=[{"size": 2}])])
    store.write([gadget("b", parts=[{"size": 2}])])
    assert count(store, entity_children) == 1
    store.follower.catch_up()
    assert len(store.indexes.get(DEFAULT_SCOPE, "gadgets").children["parts"].table) == 1


def test_transaction_when_it_fails_then_everything_stays(store: Store) -> None:
    store.write([gadget("a", parts=[{"size": 1}])])
    before, feed = rows_of(store), count(store, changes)
    too_long = batch(GADGETS, [gadget("b"), gadget("c")])
    broken = SourceStatus(None)  # type: ignore[arg-type]  # a column that must not be null, written last
    with pytest.raises(Unavailable):
        store.writer.replace_source(key_of(GADGETS), too_long, broken)
    assert rows_of(store) == before
    assert count(store, changes) == feed
    assert store.names() == ["a"]
    assert store.write([gadget("a"), gadget("b")]).generation == 2


@pytest.mark.parametrize("is_told", [True, False], ids=["what-is-known-is-told", "nothing-is-told"])
def test_stored_content_when_it_changed_after_the_comparison_then_is_a_conflict(store: Store, is_told: bool) -> None:
    store.write([gadget("a", maker="one")])
    known = store.writer.read_known(key_of(GADGETS))
    store.write([gadget("a", maker="two")])
    with pytest.raises(Conflict, match="'a'"):
        store.writer.replace_source(
            key_of(GADGETS), Batch(unchanged=dict(known.hashes)), AVAILABLE, known=known if is_told else None
        )
    assert json.loads(rows_of(store)["a"]["document"])["maker"] == "two"


@pytest.mark.parametrize("others", [0, 1], ids=["nothing-was-written-since", "another-source-was"])
def test_batch_when_compared_before_then_only_what_differs_is_written(store: Store, others: int) -> None:
    store.write([gadget("a"), gadget("b"), gadget("c", maker="one")])
    known = store.writer.read_known(key_of(GADGETS))
    assert set(known.hashes) == {"a", "b", "c"}
    for number in range(others):
        store.write([gadget("a", maker=f"{number}")], source_id="t")
    items = batch(GADGETS, [gadget("c", maker="two"), gadget("d")]).items
    given = Batch(items=items, unchanged={"a": known.hashes["a"]})
    written = store.writer.replace_source(key_of(GADGETS), given, AVAILABLE, known=known)
    assert (written.generation, written.upserted, written.removed, written.held) == (2 + others, 2, 1, 3)
    assert store.names() == ["a", *["a"] * others, "c", "d"]


def test_feed_when_followed_then_tells_upserts_and_deletions(store: Store) -> None:
    store.write([gadget("a"), gadget("b")])
    ids = {name: row["id"] for name, row in rows_of(store).items()}
    store.write([gadget("b", maker="x"), gadget("c")])
    with reading(store.engine) as connection:
        found = [
            tuple(row)
            for row in connection.execute(
                select(changes.c.operation, changes.c.name, changes.c.entity_id).where(changes.c.generation == 2)
            )
        ]
    assert sorted(found)[0] == ("delete", "a", ids["a"])
    assert sorted((operation, name) for operation, name, _ in found) == [
        ("delete", "a"),
        ("upsert", "b"),
        ("upsert", "c"),
    ]


def test_follower_when_it_applies_deltas_then_sees_what_a_new_one_sees(store: Store) -> None:
    generations_of = [
        [gadget("a", maker="x"), gadget("b", parts=[{"size": 1}])],
        [gadget("b", parts=[{"size": 1}, {"size": 2}]), gadget("c")],
        [gadget("a", maker="y"), gadget("c", weight=3)],
        [],
        [gadget("z")],
    ]
    for raws in generations_of:
        store.write(raws)
        assert store.names() == sorted(raw["name"] for raw in raws)
        fresh = Indexes(REGISTRY)
        Follower(store.engine, REGISTRY, fresh).catch_up()
        new, held = fresh.get(DEFAULT_SCOPE, "gadgets"), store.indexes.get(DEFAULT_SCOPE, "gadgets")
        assert new.generation == held.generation
        documents = {bytes(new.table.documents[position]) for position in new.table.live}
        assert {bytes(held.table.documents[position]) for position in held.table.live} == documents
        assert len(new.children["parts"].table) == len(held.children["parts"].table)
    assert store.follower.catch_up() == 0


def test_follower_when_much_has_come_and_gone_then_builds_anew_and_keeps_nothing_of_it(store: Store) -> None:
    allocated = []
    for turn in range(8):
        store.write([gadget(f"g{number}") for number in range(turn * 60, turn * 60 + 200)])
        store.follower.catch_up()
        allocated.append(store.indexes.get(DEFAULT_SCOPE, "gadgets").table.allocated)
    # 60 come and 60 go in each turn, and 250 changes are the most that deltas are put upon each other for.
    assert allocated == [200, 260, 320, 200, 260, 320, 200, 260]


def test_follower_when_the_feed_was_pruned_past_it_then_builds_anew(store: Store) -> None:
    store.write([gadget("a"), gadget("b")])
    assert store.names() == ["a", "b"]
    store.write([gadget("b")])
    with writing(store.engine) as connection:
        connection.execute(update(changes).values(changed_at=1))
    store.write([gadget("b"), gadget("c")])
    assert count(store, changes) == 1
    with reading(store.engine) as connection:
        assert connection.execute(select(generations.c.pruned_to)).scalar_one() == 2
    assert store.names() == ["b", "c"]


def test_follower_when_the_store_was_put_back_then_builds_anew(store: Store) -> None:
    for maker in "xyz":
        store.write([gadget("a", maker=maker)])
    store.follower.catch_up()
    with writing(store.engine) as connection:
        connection.execute(update(generations).values(generation=1))
        connection.execute(update(entities).values(generation=1, document='{"name":"a","maker":"old","sourceId":"s"}'))
    store.follower.catch_up()
    assert json.loads(store.reader.get(DEFAULT_SCOPE, GADGETS, "a"))["maker"] == "old"


def run_at_once(*works: Callable[[], object]) -> list[BaseException]:
    """Run all in threads that start together; return what went wrong."""
    barrier, failures = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("sources", [("s", "s"), ("s1", "s2")], ids=["one-source", "two-sources"])
def test_writers_when_two_work_at_once_then_take_turns_and_lose_nothing(
    store: Store, database: str, sources: tuple[str, str]
) -> None:
    other = open_store(database)
    rounds = 5

    def work(by: Store, source: str, mark: str) -> Callable[[], None]:
        def run() -> None:
            for number in range(rounds):
                by.write(
                    [
                        gadget(f"{source}-{index}", maker=f"{mark}{number}", parts=[{"size": number}])
                        for index in range(20)
                    ],
                    source_id=source,
                )

        return run

    try:
        assert run_at_once(work(store, sources[0], "x"), work(other, sources[1], "y")) == []
    finally:
        other.engine.dispose()
    with reading(store.engine) as connection:
        assert connection.execute(select(generations.c.generation)).scalar_one() == 2 * rounds
        told = connection.execute(select(changes.c.generation, func.count()).group_by(changes.c.generation)).all()
    assert sorted(tuple(row) for row in told) == [(number, 20) for number in range(1, 2 * rounds + 1)]
    assert store.names() == sorted(f"{source}-{index}" for source in set(sources) for index in range(20))
    assert count(store, entity_children) == 20 * len(set(sources))


NAMES = [
    "A",
    "a",
    "é",
    "e\u0301",
    "é ".strip(),
    "日本語",
    "🙂",
    "ß",
    "ss",
    "SS",
    "a b",
    "İ",
    "i",
    "x" * 511 + "y",
    "🙂" * 512,
    "\uff21",
]


def test_names_when_they_differ_in_any_character_then_are_different_entities(store: Store) -> None:
    given = sorted(set(NAMES))
    store.write([gadget(name, maker=name) for name in given])
    assert sorted(rows_of(store)) == given
    assert store.names() == given
    store.write([gadget(name, maker=f"{name}!") for name in given])
    store.follower.catch_up()
    for name in given:
        found = json.loads(store.reader.get(DEFAULT_SCOPE, GADGETS, name))
        assert (found["name"], found["maker"]) == (name, f"{name}!")
    store.write([gadget(name) for name in given if name != "a"])
    assert "A" in store.names()
    assert "a" not in store.names()


@pytest.mark.parametrize("name", ["a ", " a", "a\t", "\u00a0a", "", "x" * 513, "a\x00b", "a\nb", "a/b"])
def test_name_when_it_could_not_be_told_apart_or_addressed_then_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        batch(GADGETS, [gadget(name)])
    assert caught.value.field == "name"


TEXTS = [
    "\x00",
    "a\x00b\x1f\x7f",
    "'\"\\`%_$1:x?{}",
    "é🙂\u2028\ufeff",
    "\r\n\t",
    "x" * 70_000,
    "\\u0000",
    "\ud7ff\ue000\U0010ffff",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_document_when_read_back_then_is_equal_byte_for_byte(store: Store, text: str) -> None:
    raw = gadget(
        "a",
        maker=text,
        settings={"k": [text, {"z": 1, "a": 1.50, "m": 2**63 - 1, "big": 1e300}]},
        parts=[{"material": text}],
    )
    record = batch(GADGETS, [raw]).items["a"].record
    store.write([raw])
    store.follower.catch_up()
    assert rows_of(store)["a"]["document"].encode() == record.document
    assert bytes(store.reader.get(DEFAULT_SCOPE, GADGETS, "a")) == record.document
    assert children_of(store, "a")[0]["document"].encode() == record.children[0].document
    assert store.write([raw]).generation is None


def test_plugins_when_they_hold_equal_names_then_do_not_meet(store: Store) -> None:
    store.write([gadget("a")])
    store.write([gadget("a"), gadget("b")], plugin=WIDGETS)
    store.write([], plugin=WIDGETS)
    assert store.names() == ["a"]
    assert store.names(WIDGETS) == []


def test_source_when_removed_then_only_its_entities_and_status_go(store: Store) -> None:
    store.write([gadget("a")], source_id="s1")
    store.write([gadget("a"), gadget("b")], source_id="s2")
    assert store.writer.remove_source(key_of(GADGETS, "s1"), None).removed == 1
    statuses = Statuses(store.engine, REGISTRY)
    statuses.follow()
    assert statuses.get(key_of(GADGETS, "s1")) is None
    held = statuses.get(key_of(GADGETS, "s2"))
    assert held is not None
    assert (held.state, held.entity_count, held.last_refresh_summary) == ("available", 2, "Loaded 2 entities")
    assert store.names() == ["a", "b"]
    with reading(store.engine) as connection:
        assert sql.read_source_ids(connection) == {("default", "gadgets", "s2")}


def test_reader_when_a_writer_commits_between_its_statements_then_sees_one_state(store: Store) -> None:
    store.write([gadget("a")])
    with reading(store.engine) as connection:
        feeds = sql.read_feeds(connection)
        store.write([gadget("a"), gadget("b", parts=[{"size": 1}])])
        assert [row.name for row in sql.read_entities(connection, DEFAULT_SCOPE, "gadgets")] == ["a"]
        assert list(sql.read_children(connection, DEFAULT_SCOPE, "gadgets")) == []
        assert sql.read_feeds(connection) == feeds
    assert store.names() == ["a", "b"]
