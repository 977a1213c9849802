"""The syntax tree of a filter, as written and not yet resolved.

Nothing in here knows which fields exist: `checker` turns these nodes into a condition tree. Positions are 0-based
character offsets in the filter text. They are for messages only and take no part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

PARAMETER = "filterQuery"
"""The request parameter that errors about a filter name."""

Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar, ...] | None
"""The right side of a comparison: a scalar, the list of IN and NOT IN, or None for the tests on NULL."""


class Operator(StrEnum):
    """What a comparison does. `<>` is read as `!=`; `NOT LIKE` is `Not` around `LIKE`."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


ORDERINGS = frozenset({Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL})
LIKES = frozenset({Operator.LIKE, Operator.ILIKE})
LISTS = frozenset({Operator.IN, Operator.NOT_IN})


def literals_of(value: Value) -> tuple[Scalar, ...]:
    """The scalars of an operand: one, those of a list, or none for the tests on NULL."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True, slots=True)
class Property:
    """A dotted name. `quoted` says that at least one segment was in back-quotes; segments are unescaped."""

    path: tuple[str, ...]
    quoted: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`position` is where the operator starts, `value_position` where its operand does.

    The value of LIKE and ILIKE is a pattern, in which a backslash makes `%`, `_` and itself literal.
    """

    property: Property
    operator: Operator
    value: Value = None
    position: int = field(default=0, compare=False)
    value_position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold. Two terms or more; an inner And was written in parentheses."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds. Two terms or more."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The plain complement of the term."""

    term: Node


Node = Comparison | And | Or | Not
