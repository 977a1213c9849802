"""What is asked of the synthetic catalog: many different requests of each case, and how many answers are right."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from bench import dataset

BASE: Final = "/api/mcp_catalog/v1alpha1"
LIST: Final = f"{BASE}/mcpservers"
PAGE_SIZE: Final = 20
NAMES: Final = 1000
FILTERS: Final = 300
WORDS: Final = 200
ORDERS: Final = ("NAME", "LAST_UPDATE_TIME", "toolCount", "provider")

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<": operator.lt,
    "IN": lambda value, allowed: value in allowed,
}


@dataclass(frozen=True)
class Condition:
    field: str
    operator: str
    value: Any

    def text(self) -> str:
        if isinstance(self.value, tuple):
            return f"{self.field} {self.operator} ({', '.join(map(_literal, self.value))})"
        return f"{self.field}{self.operator}{_literal(self.value)}"

    def holds(self, entity: dict[str, Any]) -> bool:
        value: Any = entity
        for key in self.field.split("."):
            value = value[key]
        return _OPERATORS[self.operator](value, self.value)


@dataclass(frozen=True)
class Query:
    """A list request: conditions and order, or a word to search for."""

    conditions: tuple[Condition, ...] = ()
    word: str = ""
    order_by: str = ""
    descending: bool = False

    def path(self) -> str:
        fields = {"pageSize": str(PAGE_SIZE)}
        if self.conditions:
            fields["filterQuery"] = " AND ".join(condition.text() for condition in self.conditions)
        if self.word:
            fields["q"] = self.word
        if self.order_by:
            fields |= {"orderBy": self.order_by, "sortOrder": "DESC" if self.descending else "ASC"}
        return f"{LIST}?{urlencode(fields, quote_via=quote)}"

    def matches(self, entity: dict[str, Any]) -> bool:
        if self.word:
            return any(self.word in word for word in dataset.searched_words(entity))
        return all(condition.holds(entity) for condition in self.conditions)


def name_paths(count: int) -> list[str]:
    """Single entities, spread over the whole catalog."""
    step = max(1, count // NAMES)
    numbers = list(range(0, count, step))
    random.Random(1).shuffle(numbers)  # noqa: S311
    return [f"{LIST}/{dataset.make_entity(number)['name']}" for number in numbers]


def filter_queries() -> list[Query]:
    """Three conditions each, ordered; narrow and wide ones in turn."""
    rng = random.Random(2)  # noqa: S311
    found: dict[Query, None] = {}
    while len(found) < FILTERS:
        shape = _SHAPES[len(found) % len(_SHAPES)]
        found[Query(shape(rng), order_by=rng.choice(ORDERS), descending=rng.random() < 0.5)] = None
    return list(found)


def _narrow(rng: random.Random) -> tuple[Condition, ...]:
    return (
        Condition("deploymentMode", "=", rng.choice(dataset.MODES)),
        Condition("category", "=", rng.choice(dataset.CATEGORIES)),
        Condition("toolCount", ">=", rng.randrange(10, 50)),
    )


def _flagged(rng: random.Random) -> tuple[Condition, ...]:
    return (
        Condition("license", "IN", tuple(rng.sample(dataset.LICENSES, 2))),
        Condition("transportType", "=", rng.choice(dataset.TRANSPORTS)),
        Condition("verified", "=", rng.random() < 0.5),
    )


def _custom(rng: random.Random) -> tuple[Condition, ...]:
    return (
        Condition("customProperties.region", "=", rng.choice(dataset.REGIONS)),
        Condition("deploymentMode", "!=", rng.choice(dataset.MODES)),
        Condition("toolCount", "<", rng.randrange(10, 50)),
    )


_SHAPES: Final = (_narrow, _flagged, _custom)


def search_queries(count: int) -> list[Query]:
    """Parts of words: of a name (rare), of a description (some), of very many, and of none, in turn."""
    rng = random.Random(3)  # noqa: S311
    makers = (
        lambda: f"{rng.randrange(count):06d}"[1:],
        lambda: rng.choice(dataset.WORDS)[1:8],
        lambda: rng.choice(dataset.WORDS[:200])[2:6],
        lambda: f"zq{rng.randrange(10**6)}",
    )
    return [Query(word=makers[number % len(makers)]()) for number in range(WORDS)]


def sampled(queries: list[Query], count: int = 5) -> list[Query]:
    """The queries whose answers are checked."""
    return queries[:: max(1, len(queries) // count - 1)][:count]


def count_matches(queries: list[Query], entities: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Path of each query -> how many entities it has to find."""
    totals = {query.path(): 0 for query in queries}
    for entity in entities:
        for query in queries:
            totals[query.path()] += query.matches(entity)
    return totals


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
