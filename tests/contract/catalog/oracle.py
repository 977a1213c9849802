"""What a list request has to answer, in plain loops over decoded JSON: the second opinion on the index.

Written from the specification (plugins.md 2.1-2.9, column OURS) and from nothing in src/catalog_server/catalog or
src/catalog_server/query. Slow on purpose. Filters come as trees that `render` turns into the text of a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Family = type
ESCAPED_IN_PATTERNS = "%_\\"
TYPED_SUFFIXES = ("string_value", "int_value", "double_value", "bool_value")


@dataclass(frozen=True)
class Name:
    """A property as a filter writes it, and where its values are."""

    text: str
    path: tuple[str, ...]
    type: str  # string | integer | number | boolean | any
    array: bool = False
    fold: bool = False
    """A select field: equality ignores case."""
    custom: bool = False
    child: str | None = None
    suffix: str | None = None


@dataclass(frozen=True)
class Pattern:
    """Of LIKE: pieces that are literal characters, or one of the two wildcards."""

    pieces: tuple[tuple[str, str], ...]  # ("literal" | "wild", character)

    @property
    def text(self) -> str:
        return "".join(
            f"\\{piece}" if sort == "literal" and piece in ESCAPED_IN_PATTERNS else piece for sort, piece in self.pieces
        )


@dataclass(frozen=True)
class Test:
    """One comparison. The operand is a scalar, a tuple, a Pattern or None."""

    __test__ = False
    name: Name
    operator: str
    operand: Any = None


@dataclass(frozen=True)
class Both:
    terms: tuple[Any, ...]


@dataclass(frozen=True)
class Either:
    terms: tuple[Any, ...]


@dataclass(frozen=True)
class Negated:
    term: Any


# --- as text ---------------------------------------------------------------------------------------------------------


def render(node: Any) -> str:
    """The filter as a request writes it. Groups inside groups get parentheses."""
    match node:
        case Both(terms):
            return " AND ".join(
                f"({render(term)})" if isinstance(term, Both | Either) else render(term) for term in terms
            )
        case Either(terms):
            return " OR ".join(f"({render(term)})" if isinstance(term, Either) else render(term) for term in terms)
        case Negated(term):
            return f"NOT ({render(term)})"
        case Test(name, operator, operand):
            written = name.text + (f".{name.suffix}" if name.suffix else "")
            return f"{written} {operator}{'' if operand is None else ' ' + literal(operand)}"
    raise AssertionError(node)


def literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))})"
    if isinstance(value, Pattern):
        return "'" + value.text.replace("'", "\\'") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)


# --- what an entity holds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asset:
    """One stored entity: `document` is what a client gets, `parts` are the documents of its children."""

    id: int
    source: str
    created: int
    updated: int
    document: Document
    parts: tuple[Document, ...]


@dataclass(frozen=True)
class Rules:
    """In what the kinds differ."""

    tagged: bool
    bare_like_is_substring: bool


def plain(tagged: Any) -> Any:
    """The scalar of a MetadataValue."""
    for key, make in (("string_value", str), ("int_value", int), ("double_value", float), ("bool_value", bool)):
        if key in tagged:
            return make(tagged[key])
    return None


def is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def walk(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """All values under a path; lists on the way are opened."""
    if isinstance(value, list):
        for one in value:
            yield from walk(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from walk(value[path[0]], path[1:])


def values_of(asset: Asset, holder: Document, name: Name, tagged: bool) -> list[Any]:
    """The values that `holder` (the entity or a child of it) has for a property; none where it is missing."""
    if name.child is None:
        standard = {
            "id": str(asset.id),
            "sourceId": asset.source,
            "createTimeSinceEpoch": asset.created,
            "lastUpdateTimeSinceEpoch": asset.updated,
        }
        if name.path[0] in standard:
            return [standard[name.path[0]]]
    found = list(walk(holder, name.path))
    if name.custom and tagged:
        found = [plain(value) for value in found]
    return [value for value in found if is_scalar(value)]


# --- what a filter means ---------------------------------------------------------------------------------------------


def family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def has_type(value: Any, suffix: str | None) -> bool:
    match suffix:
        case "string_value":
            return family(value) == "text"
        case "bool_value":
            return family(value) == "boolean"
        case "int_value":
            return family(value) == "number" and isinstance(value, int)
        case "double_value":
            return family(value) == "number"
    return True


def is_like(pattern: Pattern, text: str, *, fold: bool, bare: bool) -> bool:
    has_run = ("wild", "%") in pattern.pieces
    if bare and not has_run:
        return "".join(piece for _, piece in pattern.pieces).casefold() in text.casefold()
    wild = {"%": ".*", "_": "."}
    expression = "".join(
        wild[piece] if sort == "wild" else re.escape(piece.casefold() if fold else piece)
        for sort, piece in pattern.pieces
    )
    return re.fullmatch(expression, text.casefold() if fold else text, re.DOTALL) is not None


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def holds(test: Test, values: list[Any], rules: Rules) -> bool:
    present = [value for value in values if has_type(value, test.name.suffix)]
    operator, operand = test.operator, test.operand
    if operator in ("IS NULL", "IS NOT NULL"):
        return bool(present) == (operator == "IS NOT NULL")
    if operator in ("LIKE", "ILIKE"):
        return holds_like(test, values, rules)
    literals = operand if isinstance(operand, tuple) else (operand,)
    families = {family(one) for one in literals}
    comparable = [value for value in present if not literals or family(value) in families]
    if not comparable:
        return False
    if operator in COMPARE:
        return any(COMPARE[operator](value, operand) for value in comparable)

    def same(one: Any, other: Any) -> bool:
        if test.name.fold and isinstance(one, str) and isinstance(other, str):
            return one.casefold() == other.casefold()
        return family(one) == family(other) and one == other

    contained = any(same(value, one) for value in comparable for one in literals)
    return contained == (operator in ("=", "IN"))


def holds_like(test: Test, values: list[Any], rules: Rules) -> bool:
    """On each text; of a list that holds some text, also on the JSON text of the whole list."""
    fold, bare = test.operator == "ILIKE", rules.bare_like_is_substring and test.name.child is None
    texts = [value for value in values if isinstance(value, str)]
    if any(is_like(test.operand, text, fold=fold, bare=bare) for text in texts):
        return True
    is_list = test.name.array or len(values) > 1
    whole = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return bool(texts) and is_list and is_like(test.operand, whole, fold=fold, bare=bare)


def accepts(node: Any, asset: Asset, rules: Rules) -> bool:
    match node:
        case Either(terms):
            return any(accepts(term, asset, rules) for term in terms)
        case Negated(term):
            return not accepts(term, asset, rules)
        case Both(terms):
            chain = list(flatten(terms))
            on_parts = [term for term in chain if isinstance(term, Test) and term.name.child]
            others = [term for term in chain if term not in on_parts]
            return all(accepts(term, asset, rules) for term in others) and (
                not on_parts or has_part(on_parts, asset, rules)
            )
        case Test(name):
            if name.child:
                return has_part([node], asset, rules)
            return holds(node, values_of(asset, asset.document, name, rules.tagged), rules)
    raise AssertionError(node)


def flatten(terms: Sequence[Any]) -> Iterator[Any]:
    for term in terms:
        if isinstance(term, Both):
            yield from flatten(term.terms)
        else:
            yield term


def has_part(tests: Sequence[Test], asset: Asset, rules: Rules) -> bool:
    """All tests of one AND chain have to hold on the same child."""
    return any(part_holds(tests, asset, part, rules) for part in asset.parts)


def part_holds(tests: Sequence[Test], asset: Asset, part: Document, rules: Rules) -> bool:
    return all(holds(test, values_of(asset, part, test.name, True), rules) for test in tests)


def is_found(q: str, document: Document, searched: Sequence[tuple[str, ...]]) -> bool:
    texts = [text.casefold() for path in searched for text in walk(document, path) if isinstance(text, str)]
    return all(any(word in text for text in texts) for word in q.casefold().split())


# --- order and facets ------------------------------------------------------------------------------------------------


def sort_key(value: Any) -> tuple[int, Any, Any]:
    ranks = {"number": 0, "boolean": 1, "text": 2}
    return (
        (ranks[family(value)], value.casefold(), value) if isinstance(value, str) else (ranks[family(value)], value, 0)
    )


def in_order(assets: Sequence[Asset], value_of: Callable[[Asset], Any], descending: bool) -> list[int]:
    """Ids by value, ties by id, entities without a value last in both directions."""
    present = [asset for asset in assets if value_of(asset) is not None]
    missing = [asset for asset in assets if value_of(asset) is None]
    present.sort(key=lambda asset: (sort_key(value_of(asset)), asset.id), reverse=descending)
    missing.sort(key=lambda asset: asset.id, reverse=descending)
    return [asset.id for asset in [*present, *missing]]


def single(values: Sequence[Any], is_list: bool) -> Any:
    """What several values sort by."""
    if not values:
        return None
    return ",".join(map(str, values)) if is_list else values[0]


def best_of_parts(asset: Asset, name: Name, descending: bool) -> Any:
    """The smallest value of all children ascending, the largest descending."""
    found = [
        value for part in asset.parts for value in values_of(asset, part, name, True) if has_type(value, name.suffix)
    ]
    return (max if descending else min)(found, key=sort_key) if found else None


def facet(values: Sequence[Any]) -> dict[str, Any] | None:
    """The option of one property, from all its values in the catalog."""
    numbers = [value for value in values if family(value) == "number"]
    if numbers:
        low, high = (int(bound) if bound == int(bound) else bound for bound in (min(numbers), max(numbers)))
        return {"type": "number", "range": {"min": low, "max": high}}
    texts = sorted({value for value in values if family(value) == "text" and value})
    if not texts or len(texts) >= 50 or max(map(len, texts)) > 100:
        return None
    return {"type": "string", "values": texts}


def suffix_of(properties: Sequence[Any]) -> str:
    """How filter_options calls a custom property: by the type of its values."""
    if any(isinstance(value, list) for value in properties):
        return "array_value"
    numbers = [value for value in properties if family(value) == "number"]
    if not numbers:
        return "string_value"
    return "int_value" if all(isinstance(value, int) for value in numbers) else "double_value"
