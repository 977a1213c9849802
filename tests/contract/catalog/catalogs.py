"""Random small catalogs and random questions about them, for the comparison of the index with the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from catalog_server.catalog.plugin import Plugin
from tests.contract.catalog.oracle import Asset, Both, Either, Name, Negated, Pattern, Rules, Test
from tests.factories import Shelf

# Few letters, so that values meet; among them such that a pattern, a quote or a case rule could trip over.
CHARACTERS = "aAbBßé%_\\'\"[,🙂"
SOURCES = ("s1", "s2", "S1")
SEARCHED = (("name",), ("description",), ("maker",), ("tags",))
CUSTOM_NAMES = ("speed", "odd name", "mode")

Make = Callable[[Random], Any]


def word(dice: Random) -> str:
    return "".join(dice.choices(CHARACTERS, k=dice.randint(1, 4)))


def text(dice: Random) -> str:
    return " ".join(word(dice) for _ in range(dice.choice((1, 1, 1, 2, 3))))


def integer(dice: Random) -> int:
    return dice.choice((2**53, 2**53 + 1, -(2**63), 2**63 - 1)) if dice.random() < 0.2 else dice.randint(-3, 3)


def number(dice: Random) -> float:
    return dice.choice((0.5, -2.5, 1e300, 2.0**53)) if dice.random() < 0.4 else float(dice.randint(-3, 3))


def flag(dice: Random) -> bool:
    return dice.random() < 0.5


def scalar(dice: Random) -> Any:
    return dice.choice((word, integer, number, flag))(dice)


def free(dice: Random) -> Any:
    """A value of a free-form map."""
    roll = dice.random()
    if roll < 0.6:
        return scalar(dice)
    if roll < 0.7:
        return dice.choice(("", None))
    return [dice.choice((word, scalar))(dice) for _ in range(dice.randint(0, 3))]


def some(make: Make, most: int) -> Make:
    return lambda dice: [make(dice) for _ in range(dice.randint(0, most))]


def any_of(*values: Any) -> Make:
    return lambda dice: dice.choice(values)


def sparse(**fields: Make) -> Make:
    """A map in which each key may be missing."""
    return lambda dice: {name: make(dice) for name, make in fields.items() if dice.random() < 0.5}


def tagged_properties(dice: Random) -> dict[str, Any]:
    return {name: dice.choice((scalar, scalar, any_of("")))(dice) for name in CUSTOM_NAMES if dice.random() < 0.4}


def free_properties(dice: Random) -> dict[str, Any]:
    return {name: free(dice) for name in CUSTOM_NAMES if dice.random() < 0.5}


part = sparse(
    material=any_of("wood", "wood", "Wood", "steel"),
    size=any_of(0, 1, 1, 2),
    customProperties=tagged_properties,
)
FIELDS: dict[str, Make] = {
    "externalId": word,
    "description": text,
    "color": any_of("red", "RED", "green", "ß", "SS"),
    "maker": lambda dice: dice.choice((text, any_of("acme", "Acme")))(dice),
    "tags": some(text, 3),
    "weight": integer,
    "price": number,
    "active": flag,
    "safety": sparse(riskLevel=any_of("low", "high"), score=lambda dice: dice.randint(0, 3)),
    "links": some(lambda dice: {"ref": word(dice)}, 2),
    "settings": sparse(mode=free, deep=sparse(level=free)),
    "notes": text,
}


def entity(plugin: Plugin, dice: Random) -> dict[str, Any]:
    """A raw item as a file holds it."""
    properties = tagged_properties if plugin.kind.custom_properties == "tagged" else free_properties
    name = "".join(dice.choices("aAbB", k=dice.randint(1, 3)))
    return {"name": name, **sparse(**FIELDS, customProperties=properties)(dice), "parts": some(part, 3)(dice)}


# One number makes one entity: hypothesis drops what it need not see, and draws a hundred times faster than by fields.
seeds = st.integers(0, 2**24)


def catalogs(plugin: Plugin, max_size: int = 10) -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
    """(source, raw item) pairs, each name at most once in a source."""

    def make(seed: int) -> tuple[str, dict[str, Any]]:
        dice = Random(seed)
        return dice.choice(SOURCES), entity(plugin, dice)

    def lists(min_size: int) -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
        pairs = seeds.map(make)
        return st.lists(pairs, min_size=min_size, max_size=max_size, unique_by=lambda pair: (pair[0], pair[1]["name"]))

    return st.one_of(lists(0), lists(max_size // 2))


def fill(plugin: Plugin, catalog: list[tuple[str, dict[str, Any]]]) -> Shelf:
    shelf = Shelf(plugin)
    for number, (source, raw) in enumerate(catalog):
        shelf.put(raw, source, now=1000 + number // 2)
    return shelf


def assets_of(shelf: Shelf) -> list[Asset]:
    """The same catalog as the oracle sees it."""
    return [
        Asset(
            one.id,
            one.source_id,
            one.created_at,
            one.updated_at,
            json.loads(one.document),
            tuple(json.loads(part.document) for part in shelf.parts[one.id]),
        )
        for one in shelf.entities.values()
    ]


def rules_of(plugin: Plugin) -> Rules:
    return Rules(plugin.kind.custom_properties == "tagged", plugin.kind.bare_like_is_substring)


# --- questions -------------------------------------------------------------------------------------------------------

DECLARED = (
    Name("id", ("id",), "string"),
    Name("name", ("name",), "string"),
    Name("externalId", ("externalId",), "string"),
    Name("description", ("description",), "string"),
    Name("sourceId", ("sourceId",), "string"),
    Name("source_id", ("sourceId",), "string"),
    Name("createTimeSinceEpoch", ("createTimeSinceEpoch",), "integer"),
    Name("color", ("color",), "string", fold=True),
    Name("maker", ("maker",), "string"),
    Name("spec.maker", ("maker",), "string"),
    Name("tags", ("tags",), "string", array=True),
    Name("weight", ("weight",), "integer"),
    Name("price", ("price",), "number"),
    Name("active", ("active",), "boolean"),
    Name("riskLevel", ("safety", "riskLevel"), "string", fold=True),
    Name("safety.riskLevel", ("safety", "riskLevel"), "string", fold=True),
    Name("safety.score", ("safety", "score"), "integer"),
    Name("links.ref", ("links", "ref"), "string", array=True),
    Name("notes", ("notes",), "string"),
    Name("settings.mode", ("settings", "mode"), "any"),
    Name("settings.deep.level", ("settings", "deep", "level"), "any"),
)
CUSTOM = tuple(
    Name(text, ("customProperties", name), "any", custom=True)
    for text, name in (
        ("`speed`", "speed"),
        ("customProperties.speed", "speed"),
        ("`odd name`", "odd name"),
        ("customProperties.`odd name`", "odd name"),
        ("customProperties.mode", "mode"),
    )
)
OF_PARTS = (
    Name("parts.name", ("name",), "string", child="parts"),
    Name("parts.material", ("material",), "string", child="parts"),
    Name("parts.size", ("size",), "integer", child="parts"),
    Name("parts.customProperties.speed", ("customProperties", "speed"), "any", custom=True, child="parts"),
    Name("parts.`odd name`", ("customProperties", "odd name"), "any", custom=True, child="parts"),
)
SUFFIXES = {"string": "string_value", "integer": "int_value", "number": "double_value", "boolean": "bool_value"}


def pattern(dice: Random) -> Pattern:
    pieces = []
    for _ in range(dice.randint(0, 4)):
        is_wild = dice.random() < 0.4
        pieces.append(("wild", dice.choice("%_")) if is_wild else ("literal", dice.choice(CHARACTERS + "woS1 ")))
    return Pattern(tuple(pieces))


def text_operand(dice: Random) -> str:
    known = ("red", "GREEN", "ss", "acme", "LOW", "s1", "wood", "", "2", "a", "b", "A", "ab")
    return word(dice) if dice.random() < 0.4 else dice.choice(known)


def number_operand(dice: Random) -> float:
    return dice.choice((integer, number, lambda dice: dice.randint(995, 1006)))(dice)


OPERANDS: dict[str, tuple[Make, ...]] = {
    "string": (text_operand,),
    "boolean": (flag,),
    "integer": (number_operand,),
    "number": (number_operand,),
    "any": (text_operand, number_operand, flag),
}
ORDERINGS = ("<", "<=", ">", ">=")


def comparison(among: Sequence[Name], dice: Random) -> Test:
    """A comparison whose types fit."""
    name = dice.choice(among)
    sort = name.type
    if dice.random() < 0.25:
        suffix = SUFFIXES.get(sort) or dice.choice(sorted(SUFFIXES.values()))
        name = replace(name, suffix=suffix)
        sort = {suffix: found for found, suffix in SUFFIXES.items()}[suffix]
    operators = ["=", "!=", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
    if not name.array and sort != "boolean":
        operators += ORDERINGS
    if sort in ("string", "any"):
        operators += ["LIKE", "ILIKE", "LIKE"]
    operator = dice.choice(operators)
    return Test(name, operator, _operand(operator, OPERANDS[sort], dice))


def _operand(operator: str, makes: Sequence[Make], dice: Random) -> Any:
    if operator.startswith("IS"):
        return None
    if operator.endswith("LIKE"):
        return pattern(dice)
    if operator.endswith("IN"):
        return tuple(dice.choice(makes)(dice) for _ in range(dice.randint(0, 3)))
    if operator in ORDERINGS:
        makes = [make for make in makes if make is not flag]
    return dice.choice(makes)(dice)


def filters(among: Sequence[Name]) -> st.SearchStrategy[Any]:
    def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(several.map(Both), several.map(Either), inner.map(Negated))

    return st.recursive(seeds.map(lambda seed: comparison(among, Random(seed))), grow, max_leaves=5)


ORDERS: Mapping[str, Name] = {
    "ID": Name("", ("id",), "integer"),
    "name": Name("", ("name",), "string"),
    "CREATE_TIME": Name("", ("createTimeSinceEpoch",), "integer"),
    "lastUpdateTimeSinceEpoch": Name("", ("lastUpdateTimeSinceEpoch",), "integer"),
    "source_id": Name("", ("sourceId",), "string"),
    "color": Name("", ("color",), "string"),
    "maker": Name("", ("maker",), "string"),
    "tags": Name("", ("tags",), "string", array=True),
    "weight": Name("", ("weight",), "integer"),
    "price": Name("", ("price",), "number"),
    "active": Name("", ("active",), "boolean"),
    "riskLevel": Name("", ("safety", "riskLevel"), "string"),
    "links.ref": Name("", ("links", "ref"), "string", array=True),
    "customProperties.speed": Name("", ("customProperties", "speed"), "any", custom=True),
    "customProperties.mode.int_value": Name("", ("customProperties", "mode"), "any", custom=True, suffix="int_value"),
    "parts.size": Name("", ("size",), "integer", child="parts"),
    "parts.speed.double_value": Name(
        "", ("customProperties", "speed"), "any", custom=True, child="parts", suffix="double_value"
    ),
    "parts.mode.string_value": Name(
        "", ("customProperties", "mode"), "any", custom=True, child="parts", suffix="string_value"
    ),
}
