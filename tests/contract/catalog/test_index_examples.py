"""Single answers of the index: the traps that random catalogs meet too seldom, and catalogs of thousands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from catalog_server.catalog.index.index import Changes, Index
from catalog_server.catalog.options import filter_options
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery
from catalog_server.errors import Invalid
from catalog_server.scope import DEFAULT_SCOPE
from tests.contract.catalog.catalogs import DECLARED, OF_PARTS, assets_of, comparison, rules_of
from tests.contract.catalog.oracle import Both, Either, accepts, in_order, render
from tests.factories import GADGETS, WIDGETS, Shelf, reader_of


def shelf_of(raws: Sequence[Mapping[str, Any]], plugin: Plugin = GADGETS) -> Shelf:
    shelf = Shelf(plugin)
    for raw in raws:
        shelf.put(raw, "s")
    return shelf


def names(index: Index, plugin: Plugin = GADGETS, **asked: Any) -> list[str]:
    """Names on all pages, following the tokens."""
    reader, found, token = reader_of(plugin, index), [], ""
    while True:
        plan = reader.plan(DEFAULT_SCOPE, plugin, ListQuery(**{"page_size": 100, "token": token, **asked}))
        page = reader.run(plan)
        found += [json.loads(bytes(document))["name"] for document in page.documents]
        token = page.next_token
        if not token:
            return found


@pytest.mark.parametrize("plugin", [GADGETS, WIDGETS], ids=["by-name", "by-id"])
def test_list_in_its_own_order_then_each_page_is_one_piece_of_memory(plugin: Plugin) -> None:
    """Until something changes."""
    raws = [{"name": f"n{number:03}"} for number in Random(1).sample(range(100), 100)]
    index = shelf_of(raws, plugin).index()
    reader, token, pieces = reader_of(plugin, index), "", []
    while not pieces or token:
        page = reader.run(reader.plan(DEFAULT_SCOPE, plugin, ListQuery(page_size=30, token=token)))
        pieces.append(len(page.joined))
        assert json.loads(b"[%b]" % b"".join(page.joined)) == list(map(json.loads, page.documents))
        token = page.next_token
    assert pieces == [1, 1, 1, 1]
    wanted = [raw["name"] for raw in raws]
    assert names(index, plugin) == (wanted if plugin is WIDGETS else sorted(wanted))


def with_property(value: Any, name: str = "x", plugin: Plugin = GADGETS) -> Index:
    return shelf_of([{"name": "one", "customProperties": {name: value}}], plugin).index()


@pytest.mark.parametrize(
    ("value", "filter_", "is_hit"),
    [
        ([True, 1], "x = 1", True),
        ([True, 1], "x = true", True),
        ([1, True], "x.bool_value IS NOT NULL", True),
        ([0, False], "x.int_value IS NOT NULL", True),
        ([1, 2], "x LIKE '%1%'", False),
        ([1, "2"], "x LIKE '[1,\"2\"]'", True),
        (["a", 1], "x.string_value LIKE '%1%'", True),
        (["a"], "x LIKE '[%'", False),
        (2**53 + 1, f"x = {2**53}", False),
        (2**53 + 1, f"x > {2**53}", True),
        (2**63 - 1, f"x >= {2**63 - 1}", True),
        (2**63 - 1, f"x < {2**63 - 1}", False),
        (1, "x = true", False),
        (True, "x = 1", False),
        ("1", "x = 1", False),
        ("1", "x != 1", False),
        (1.0, "x.int_value = 1", False),
        (1, "x.double_value = 1.0", True),
        ("", "x IS NOT NULL", True),
        ("", "x = ''", True),
        (None, "`x` IS NULL", True),
        ([], "`x` IS NULL", True),
        ({"y": {"z": 3}}, "customProperties.x.y.z = 3", True),
        ("ß", "x ILIKE 'SS'", True),
        ("a\nb", "x LIKE 'a%b'", True),
        ("a\nb", "x ILIKE '%A\nB%'", True),
    ],
)
def test_free_form_value_when_filtered_on_then_has_its_own_type(value: Any, filter_: str, is_hit: bool) -> None:
    assert (names(with_property(value), filter=filter_) == ["one"]) is is_hit


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("parts.material = 'wood' AND parts.size = 1", ["same"]),
        ("parts.size = 1 AND name != 'x' AND parts.material = 'wood'", ["same"]),
        ("(parts.size = 1 AND (parts.material = 'wood'))", ["same"]),
        ("parts.material = 'wood' OR parts.size = 1", ["other", "same"]),
        ("parts.material = 'wood' AND (parts.size = 1 OR parts.size = 9)", ["other", "same"]),
        ("parts.material = 'wood' AND NOT (parts.size = 1)", []),
        ("parts.material != 'wood'", ["other", "same"]),
        ("NOT (parts.material = 'wood')", ["none"]),
        ("parts.size IS NULL", ["other"]),
        ("parts.material = 'wood' AND parts.size IS NULL", ["other"]),
    ],
)
def test_conditions_on_children_when_joined_by_and_then_hold_on_the_same_child(
    filter_: str, expected: list[str]
) -> None:
    shelf = shelf_of(
        [
            {"name": "same", "parts": [{"material": "wood", "size": 1}, {"material": "tin", "size": 2}]},
            {"name": "other", "parts": [{"material": "wood"}, {"material": "tin", "size": 1}]},
            {"name": "none"},
        ]
    )
    assert sorted(names(shelf.index(), filter=filter_)) == expected


def test_condition_when_it_comes_second_then_means_the_same_as_alone() -> None:
    for value, filter_ in (([1, 2], "x LIKE '%1%'"), (["a", 1], "x.string_value LIKE '%1%'"), ([True, 1], "x = 1")):
        index = with_property(value)
        assert names(index, filter=filter_) == names(index, filter=f"name = 'one' AND {filter_}")


def test_bounds_when_whole_numbers_are_large_then_lose_no_digit() -> None:
    shelf = shelf_of([{"name": "a", "weight": 2**63 - 1}, {"name": "b", "weight": -(2**63)}])
    assert filter_options(shelf.index(), {})["filters"]["weight"]["range"] == {"min": -(2**63), "max": 2**63 - 1}


def test_bounds_when_a_number_is_huge_then_stay_a_float() -> None:
    found = filter_options(shelf_of([{"name": "a", "price": 1e300}, {"name": "b", "price": 3.0}]).index(), {})
    assert json.dumps(found["filters"]["price"]["range"]) == '{"min": 3, "max": 1e+300}'


def test_search_when_the_first_word_comes_after_a_search_in_nothing_then_it_is_found() -> None:
    shelf = Shelf(GADGETS)
    index = shelf.index()
    assert names(index, q="acme") == []
    assert names(index, filter="maker LIKE '%acme%'") == []
    added = {shelf.put({"name": "one", "maker": "acme"}, "s")}
    index = index.changed(2, Changes(shelf.rows(added), shelf.child_rows(added), []))
    assert names(index, q="acme") == ["one"]
    assert names(index, filter="maker LIKE '%acme%'") == ["one"]


def test_property_when_its_last_entity_is_gone_then_is_unknown_as_after_a_restart() -> None:
    shelf = shelf_of([{"name": "one", "customProperties": {"x": 1}}, {"name": "two"}])
    index = shelf.index()
    assert names(index, filter="x = 1") == ["one"]
    index = index.changed(2, Changes([], {}, [shelf.drop(("s", "one"))]))
    for asked in ({"filter": "x = 1"}, {"order_by": "x"}):
        with pytest.raises(Invalid, match="x"):
            names(index, **asked)


@pytest.mark.parametrize("plugin", [GADGETS, WIDGETS], ids=lambda plugin: plugin.name)
def test_properties_when_there_are_more_than_get_columns_then_answer_all_the_same(plugin: Plugin) -> None:
    raws = [{"name": f"n{number:03}", "customProperties": {f"p{number}": number, "e": ""}} for number in range(300)]
    raws.append({"name": "z", "customProperties": {"last": "", "p1": 1}})
    index = shelf_of(raws, plugin).index()
    assert names(index, plugin, filter="customProperties.p7 = 7") == ["n007"]
    assert names(index, plugin, filter="customProperties.p299 = 299") == ["n299"]
    assert names(index, plugin, filter="customProperties.last IS NOT NULL") == ["z"]
    assert len(names(index, plugin, filter="customProperties.nobody IS NULL")) == 301


def test_property_when_it_comes_late_and_changes_its_type_then_each_value_is_found() -> None:
    raws: list[dict[str, Any]] = [{"name": f"n{number:03}", "maker": "m" * (number % 2)} for number in range(1000)]
    late = {250: "text", 251: "text", 349: "other", 450: 7, 451: True, 700: ["text", "b"], 999: "last"}
    for number, value in late.items():
        raws[number]["customProperties"] = {"x": value}
    index = shelf_of(raws).index()
    assert names(index, filter="x = 'text'") == ["n250", "n251", "n700"]
    assert names(index, filter="x = 7 OR x = true OR x = 'last'") == ["n450", "n451", "n999"]
    assert len(names(index, filter="x IS NULL")) == 1000 - len(late)
    assert len(names(index, filter="maker = 'm'")) == 500
    texts = shelf_of([one for one in raws if not isinstance(one.get("customProperties", {}).get("x"), int | list)])
    assert names(texts.index(), filter="x LIKE '%t%'") == ["n250", "n251", "n349", "n999"]


def test_properties_when_columns_become_free_then_those_without_one_are_still_found() -> None:
    shelf = shelf_of([{"name": f"n{number:03}", "customProperties": {f"p{number}": number}} for number in range(300)])
    index = shelf.index()
    changed = {shelf.put({"name": f"n{number:03}"}, "s") for number in range(20)}
    index = index.changed(2, Changes(shelf.rows(changed), shelf.child_rows(changed), []))
    assert names(index, filter="customProperties.p299 = 299") == ["n299"]
    assert names(index, filter="customProperties.p1 IS NOT NULL") == []


@pytest.mark.parametrize(
    "value", ["x" * 20_000, "🙂" * 5000, '"' * 5000, "\x01" * 5000], ids=["x", "emoji", "quote", "control"]
)
def test_pages_when_ordered_by_long_texts_then_are_read_to_the_end(value: str) -> None:
    shelf = shelf_of([{"name": f"n{number}", "maker": value + str(number % 3)} for number in range(7)])
    for descending in (False, True):
        found = names(shelf.index(), order_by="maker", page_size=2, descending=descending)
        assert sorted(found) == [f"n{number}" for number in range(7)]


def test_pages_when_names_are_as_long_as_they_may_be_then_are_read_to_the_end() -> None:
    given = [letter * 511 + last for letter in ("🙂", "\\", '"') for last in "ab"]
    shelf = shelf_of([{"name": name} for name in given])
    assert sorted(names(shelf.index(), order_by="NAME", page_size=1)) == sorted(given)


@pytest.fixture(scope="module")
def large_shelf() -> Shelf:
    """More entities than any shortcut for few of them takes."""
    dice = Random(7)
    shelf = Shelf(WIDGETS)
    for number in range(6000):
        raw = {
            "name": f"w{number:05}",
            "color": dice.choice(("red", "Red", "green")),
            "maker": dice.choice(("acme", "Acme Ltd", "other")),
            "tags": dice.sample(("a", "b", "c"), k=dice.randint(0, 2)),
            "weight": dice.randint(0, 500),
            "active": dice.random() < 0.9,
            "parts": [{"size": dice.randint(0, 3)}] if dice.random() < 0.3 else [],
        }
        shelf.put({key: value for key, value in raw.items() if value or dice.random() < 0.5}, dice.choice(("s1", "s2")))
    return shelf


@pytest.fixture(scope="module")
def large_index(large_shelf: Shelf) -> Index:
    return large_shelf.index()


ASKED = [name for name in (*DECLARED, *OF_PARTS[:3]) if not name.text.startswith(("settings", "links", "notes"))]


@pytest.mark.parametrize("seed", range(25))
def test_large_catalog_when_asked_then_answers_as_the_oracle(large_shelf: Shelf, large_index: Index, seed: int) -> None:
    dice = Random(seed)
    several = tuple(comparison(ASKED, dice) for _ in range(dice.randint(1, 3)))
    tree = dice.choice((Both, Either))(several) if len(several) > 1 else several[0]
    assets, rules = assets_of(large_shelf), rules_of(WIDGETS)
    hits = [asset for asset in assets if accepts(tree, asset, rules)]
    order, descending = dice.choice(("name", "weight", "maker")), dice.random() < 0.5
    expected = in_order(hits, lambda asset: asset.document.get(order), descending)
    by_id = {asset.id: asset.document["name"] for asset in assets}
    asked = {"filter": render(tree), "order_by": order, "descending": descending, "page_size": 700}
    assert names(large_index, WIDGETS, **asked) == [by_id[one] for one in expected]
