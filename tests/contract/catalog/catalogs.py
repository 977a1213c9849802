"""Random small catalogs and random questions about them, for the comparison of the index with the oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from catalog_server.catalog.plugin import Plugin
from tests.contract.catalog.oracle import Asset, Both, Either, Name, Negated, Pattern, Rules, Test
from tests.factories import Shelf

# Few letters, so that values meet; among them such that a pattern, a quote or a case rule could trip over.
CHARACTERS = "aAbBßé%_\\'\"[,🙂"
SOURCES = ("s1", "s2", "S1")
SEARCHED = (("name",), ("description",), ("maker",), ("tags",))

words = st.text(CHARACTERS, min_size=1, max_size=4)
texts = st.one_of(words, words, st.lists(words, min_size=2, max_size=3).map(" ".join))
integers = st.one_of(st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]))
floats = st.one_of(st.sampled_from([0.5, 1.0, -2.5, 1e300, 2.0**53]), st.integers(-3, 3).map(float))
scalars = st.one_of(words, integers, floats, st.booleans())
free = st.one_of(scalars, scalars, st.just(""), st.lists(st.one_of(words, scalars), max_size=3), st.none())
CUSTOM_NAMES = ("speed", "odd name", "mode")


def sparse(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A map in which each key may be missing."""
    return st.fixed_dictionaries({}, optional=fields)


def tagged_properties() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(CUSTOM_NAMES), st.one_of(scalars, st.just("")), max_size=3)


parts = sparse(
    material=st.sampled_from(["", "wood", "Wood", "steel"]),
    size=st.integers(0, 3),
    customProperties=tagged_properties(),
)
names = st.text("aAbB", min_size=1, max_size=3)


def entities(plugin: Plugin) -> st.SearchStrategy[dict[str, Any]]:
    """Raw items as a file holds them."""
    is_tagged = plugin.kind.custom_properties == "tagged"
    properties = st.dictionaries(st.sampled_from(CUSTOM_NAMES), free, max_size=3)
    optional = sparse(
        externalId=words,
        description=texts,
        color=st.sampled_from(["red", "RED", "green", "ß", "SS"]),
        maker=st.one_of(texts, st.sampled_from(["acme", "Acme"])),
        tags=st.lists(texts, max_size=3),
        weight=integers,
        price=floats,
        active=st.booleans(),
        safety=sparse(riskLevel=st.sampled_from(["low", "high"]), score=st.integers(0, 3)),
        links=st.lists(st.fixed_dictionaries({"ref": words}), max_size=2),
        settings=sparse(mode=free, deep=sparse(level=free)),
        notes=texts,
        customProperties=tagged_properties() if is_tagged else properties,
        parts=st.lists(parts, max_size=3),
    )
    return st.builds(lambda name, rest: {"name": name, **rest}, names, optional)


def catalogs(plugin: Plugin, max_size: int = 10) -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
    """(source, raw item) pairs, each name at most once in a source."""
    pairs = st.tuples(st.sampled_from(SOURCES), entities(plugin))
    return st.lists(pairs, max_size=max_size, unique_by=lambda pair: (pair[0], pair[1]["name"]))


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

pieces = st.one_of(
    st.sampled_from("%_").map(lambda wild: ("wild", wild)),
    st.sampled_from(CHARACTERS + "woS1 ").map(lambda one: ("literal", one)),
)
patterns = st.lists(pieces, max_size=4).map(lambda found: Pattern(tuple(found)))
text_operands = st.one_of(words, names, st.sampled_from(["red", "GREEN", "ss", "acme", "LOW", "s1", "wood", "", "2"]))
number_operands = st.one_of(integers, floats, st.integers(995, 1006))


@st.composite
def tests(draw: st.DrawFn, among: tuple[Name, ...]) -> Test:
    """One comparison whose types fit."""
    name = draw(st.sampled_from(among))
    sort = name.type
    if draw(st.integers(0, 3)) == 0:
        suffix = SUFFIXES.get(sort) or draw(st.sampled_from(sorted(SUFFIXES.values())))
        name = replace(name, suffix=suffix)
        sort = {suffix: found for found, suffix in SUFFIXES.items()}[suffix]
    operands = {"string": text_operands, "boolean": st.booleans()}.get(sort, number_operands)
    if sort == "any":
        operands = st.one_of(text_operands, number_operands, st.booleans())
    operators = ["=", "!=", "<>", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
    if not name.array and sort != "boolean":
        operators += ["<", "<=", ">", ">="]
    if sort in ("string", "any"):
        operators += ["LIKE", "ILIKE", "LIKE"]
    operator = draw(st.sampled_from(operators))
    return Test(name, operator.replace("<>", "!="), draw(_operand(operator, operands)))


def _operand(operator: str, operands: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if operator.startswith("IS"):
        return st.none()
    if operator.endswith("IN"):
        return st.lists(operands, max_size=3).map(tuple)
    if operator.endswith("LIKE"):
        return patterns
    if operator in ("<", "<=", ">", ">="):
        return operands.filter(lambda value: not isinstance(value, bool))
    return operands


def filters(among: tuple[Name, ...]) -> st.SearchStrategy[Any]:
    def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(several.map(Both), several.map(Either), inner.map(Negated))

    return st.recursive(tests(among), grow, max_leaves=5)


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
