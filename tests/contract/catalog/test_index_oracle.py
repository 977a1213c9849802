"""The index answers as the specification says: compared with an oracle of plain loops on random catalogs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from catalog_server.catalog.index.index import Changes, Index
from catalog_server.catalog.options import filter_options
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery, Page, Reader
from catalog_server.scope import DEFAULT_SCOPE
from tests.contract.catalog.catalogs import (
    CUSTOM,
    DECLARED,
    OF_PARTS,
    ORDERS,
    SEARCHED,
    SOURCES,
    assets_of,
    catalogs,
    fill,
    filters,
    rules_of,
    seeds,
    text,
)
from tests.contract.catalog.oracle import (
    Asset,
    Both,
    Name,
    Test,
    accepts,
    best_of_parts,
    facet,
    has_type,
    in_order,
    is_found,
    is_scalar,
    part_holds,
    plain,
    render,
    single,
    suffix_of,
    values_of,
    walk,
)
from tests.factories import GADGETS, WIDGETS, Shelf, reader_of

PLUGINS = st.booleans().map(lambda tagged: WIDGETS if tagged else GADGETS)
NAMES = (*DECLARED, *CUSTOM, *OF_PARTS)


def pages_of(reader: Reader, plugin: Plugin, query: ListQuery) -> list[Page]:
    """All pages, following the tokens."""
    found = [reader.run(reader.plan(DEFAULT_SCOPE, plugin, query))]
    while found[-1].next_token and len(found) < 200:
        following = ListQuery(**{**as_fields(query), "token": found[-1].next_token})
        found.append(reader.run(reader.plan(DEFAULT_SCOPE, plugin, following)))
    return found


def as_fields(query: ListQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in ListQuery.__struct_fields__}


def keys_in(page: Page) -> list[tuple[str, str]]:
    return [(one["sourceId"], one["name"]) for one in map(json.loads, map(bytes, page.documents))]


def ids_of(shelf: Shelf, keys: Sequence[tuple[str, str]]) -> list[int]:
    return [shelf.entities[key].id for key in keys]


def sort_value(asset: Asset, name: Name, descending: bool, tagged: bool) -> Any:
    if name.path == ("id",):
        return asset.id
    if name.child:
        return best_of_parts(asset, name, descending)
    values = values_of(asset, asset.document, name, tagged)
    raw = asset.document.get(name.path[0], {}) if name.custom else None
    is_list = name.array or (isinstance(raw, dict) and isinstance(raw.get(name.path[1]), list))
    value = single(values, is_list)
    return value if value is None or has_type(value, name.suffix) else None


def is_orderable(index: Index, name: Name) -> bool:
    """An order by a custom property that no entity has is refused, as an unknown name is."""
    if not name.custom:
        return True
    table = index.children["parts"].table if name.child else index.table
    return f"customProperties.{name.path[1]}" in table.columns


@st.composite
def questions(draw: st.DrawFn) -> tuple[ListQuery, Any, str, bool]:
    """A list query, with the tree of its filter and its order."""
    tree = draw(st.one_of(st.none(), filters(NAMES), filters((*OF_PARTS, *DECLARED[-3:]))))
    order = draw(st.sampled_from(sorted(ORDERS)))
    descending = draw(st.booleans())
    query = ListQuery(
        page_size=draw(st.integers(1, 5)),
        filter="" if tree is None else render(tree),
        q=draw(st.one_of(st.just(""), st.just(""), seeds.map(lambda seed: text(Random(seed))), st.just("A b"))),
        order_by=order,
        descending=descending,
        sources=draw(st.one_of(st.none(), st.none(), st.frozensets(st.sampled_from([*SOURCES, "gone"])))),
    )
    return query, tree, order, descending


def expected_ids(assets: Sequence[Asset], plugin: Plugin, question: tuple[ListQuery, Any, str, bool]) -> list[int]:
    query, tree, order, descending = question
    rules = rules_of(plugin)
    hits = [
        asset
        for asset in assets
        if (tree is None or accepts(tree, asset, rules))
        and is_found(query.q, asset.document, SEARCHED)
        and (query.sources is None or asset.source in query.sources)
    ]
    return in_order(hits, lambda asset: sort_value(asset, ORDERS[order], descending, rules.tagged), descending)


def check_answer(shelf: Shelf, index: Index, question: tuple[ListQuery, Any, str, bool]) -> None:
    """Same set, same order, same count; the pages joined lose and repeat nothing."""
    plugin, (query, tree, order, _) = shelf.plugin, question
    note(f"filter: {query.filter}")
    reader = reader_of(plugin, index)
    if not is_orderable(index, ORDERS[order]):
        query = ListQuery(**{**as_fields(query), "order_by": "ID"})
        question = (query, tree, "ID", query.descending)
    expected = expected_ids(assets_of(shelf), plugin, question)
    pages = pages_of(reader, plugin, query)
    assert ids_of(shelf, [key for page in pages for key in keys_in(page)]) == expected
    assert {page.total for page in pages} == {len(expected)}
    assert all(len(page.documents) == query.page_size for page in pages[:-1])


@given(st.data())
@settings(max_examples=120)
def test_list_when_asked_anything_then_answers_as_the_oracle(data: st.DataObject) -> None:
    plugin = data.draw(PLUGINS)
    shelf = fill(plugin, data.draw(catalogs(plugin)))
    check_answer(shelf, shelf.index(), data.draw(questions()))


# Material and size as they are in the catalogs, so that most pairs are met, on one child or on two.
pairs_on_parts = st.tuples(st.sampled_from(["wood", "steel"]), st.integers(0, 2)).map(
    lambda wanted: Both((Test(OF_PARTS[1], "=", wanted[0]), Test(OF_PARTS[2], "=", wanted[1])))
)
chains_on_parts = st.lists(filters(OF_PARTS), min_size=2, max_size=3).map(lambda terms: Both(tuple(terms)))


@given(st.data())
@settings(max_examples=60)
def test_conditions_on_children_when_in_one_chain_then_hold_on_the_same_child(data: st.DataObject) -> None:
    shelf = fill(GADGETS, data.draw(catalogs(GADGETS, max_size=20)))
    for tree in (data.draw(pairs_on_parts), data.draw(chains_on_parts)):
        query = ListQuery(page_size=50, filter=render(tree), order_by="ID")
        check_answer(shelf, shelf.index(), (query, tree, "ID", False))


def apply_random_changes(data: st.DataObject, shelf: Shelf, index: Index) -> Index:
    """One delta: some entities put (new or changed), some gone."""
    keys = sorted(shelf.entities)
    gone = data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=3)) if keys else []
    deleted = [shelf.drop(key) for key in gone]
    now = 2000 + index.generation
    put = {shelf.put(raw, source, now=now) for source, raw in data.draw(catalogs(shelf.plugin, max_size=4))}
    return index.changed(index.generation + 1, Changes(shelf.rows(put), shelf.child_rows(put), deleted))


@given(st.data())
@settings(max_examples=50)
def test_index_when_changed_by_deltas_then_answers_as_one_built_from_scratch(data: st.DataObject) -> None:
    plugin = data.draw(PLUGINS)
    shelf = fill(plugin, data.draw(catalogs(plugin, max_size=6)))
    index = shelf.index()
    asked = data.draw(st.lists(questions(), min_size=1, max_size=3))
    for question in asked:
        check_answer(shelf, index, question)
    for _ in range(data.draw(st.integers(1, 4))):
        index = apply_random_changes(data, shelf, index)
        for question in asked:
            check_answer(shelf, index, question)
    scratch = shelf.index()
    assert index.custom_properties() == scratch.custom_properties()
    assert sorted(index.names.known_names()) == sorted(scratch.names.known_names())
    assert filter_options(index, {}) == filter_options(scratch, {})


def expected_options(shelf: Shelf) -> dict[str, Any]:
    """filter_options by the words of the specification."""
    assets, tagged = assets_of(shelf), rules_of(shelf.plugin).tagged
    paths = {
        *("color", "maker", "tags", "weight", "price", "safety.riskLevel", "safety.score", "links.ref", "links.role"),
    }
    found = {path: [v for a in assets for v in walk(a.document, path.split("."))] for path in paths}
    found |= {
        f"parts.{path}": [v for a in assets for p in a.parts for v in walk(p, (path,))] for path in ("material", "size")
    }
    holders = [("", [a.document for a in assets], tagged), ("parts.", [p for a in assets for p in a.parts], True)]
    for prefix, documents, is_tagged in holders:
        properties: dict[str, list[Any]] = {}
        for document in documents:
            for name, value in document.get("customProperties", {}).items():
                properties.setdefault(name, []).append(plain(value) if is_tagged else value)
        for name, values in properties.items():
            kept = [value for value in values if is_scalar(value) or (isinstance(value, list) and value)]
            if kept:
                found[f"{prefix}{name}.{suffix_of(kept)}"] = [v for value in kept for v in walk(value, ())]
    options = {name: facet(list(filter(is_scalar, values))) for name, values in found.items()}
    return {name: options[name] for name in sorted(options) if options[name] is not None}


@given(st.data())
@settings(max_examples=60)
def test_filter_options_when_asked_then_are_those_of_the_oracle(data: st.DataObject) -> None:
    plugin = data.draw(PLUGINS)
    shelf = fill(plugin, data.draw(catalogs(plugin)))
    found = filter_options(shelf.index(), {})["filters"]
    assert found == expected_options(shelf)
    assert list(found) == sorted(found)


@given(st.data())
@settings(max_examples=60)
def test_pages_when_entities_come_and_go_between_them_then_untouched_ones_appear_once(data: st.DataObject) -> None:
    plugin = data.draw(PLUGINS)
    shelf = fill(plugin, data.draw(catalogs(plugin)))
    untouched = dict(shelf.entities)
    order, descending = (
        data.draw(st.sampled_from(["ID", "name", "maker", "tags", "weight", "active"])),
        data.draw(st.booleans()),
    )
    index, token, seen = shelf.index(), "", []
    for _ in range(100):
        query = ListQuery(page_size=data.draw(st.integers(1, 3)), order_by=order, descending=descending, token=token)
        reader = reader_of(plugin, index)
        page = reader.run(reader.plan(DEFAULT_SCOPE, plugin, query))
        seen += keys_in(page)
        token = page.next_token
        if not token:
            break
        index = apply_random_changes(data, shelf, index)
        untouched = {key: one for key, one in untouched.items() if shelf.entities.get(key) == one}
    assert not token, "the pages came to no end"
    assert all(seen.count(key) == 1 for key in untouched)


@given(st.data())
@settings(max_examples=50)
def test_children_when_listed_then_are_those_of_the_entity_that_the_oracle_accepts(data: st.DataObject) -> None:
    plugin = data.draw(PLUGINS)
    shelf = fill(plugin, data.draw(catalogs(plugin, max_size=4)))
    if not shelf.entities:
        return
    index = shelf.index()
    asset = data.draw(st.sampled_from(assets_of(shelf)))
    tree = data.draw(filters(OF_PARTS))
    if "NOT (" in render(tree) or " OR " in render(tree):
        tree = Both(tuple(leaves(tree)))
    query = ListQuery(page_size=2, filter=render(tree).replace("parts.", ""), order_by="ID")
    reader = reader_of(plugin, index)
    position = index.table.position(asset.id)
    assert position is not None
    found, token = [], ""
    while True:
        asked = ListQuery(**{**as_fields(query), "token": token})
        page = reader.run(reader.plan_children(DEFAULT_SCOPE, plugin, position, "parts", asked, None))
        found += [one["id"] for one in map(json.loads, map(bytes, page.documents))]
        token = page.next_token
        if not token:
            break
    rules, terms = rules_of(plugin), list(leaves(tree))
    stored = shelf.parts[asset.id]
    expected = [
        str(row.id) for row, part in zip(stored, asset.parts, strict=True) if part_holds(terms, asset, part, rules)
    ]
    assert found == expected


def leaves(tree: Any) -> Sequence[Any]:
    if hasattr(tree, "terms"):
        return [leaf for term in tree.terms for leaf in leaves(term)]
    return leaves(tree.term) if hasattr(tree, "term") else [tree]
