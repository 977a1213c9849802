"""Syntax tree to condition tree: resolve names, check types, group conditions on the same child.

After this, every condition names a known field and carries an operand of a fitting type. What a condition means
for the values of an entity is `predicate`; turning it into SQL belongs to the database layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from catalog_server.errors import Invalid
from catalog_server.query.fields import Field, Fields, ValueType
from catalog_server.query.lexer import shown
from catalog_server.query.nodes import (
    LIKES,
    ORDERINGS,
    PARAMETER,
    And,
    Comparison,
    Node,
    Not,
    Operator,
    Or,
    Property,
    Scalar,
    Value,
    literals_of,
)

SUFFIXES = {
    "string_value": ValueType.STRING,
    "int_value": ValueType.INTEGER,
    "double_value": ValueType.NUMBER,
    "bool_value": ValueType.BOOLEAN,
}
_NUMERIC = frozenset({ValueType.INTEGER, ValueType.NUMBER})
_DESCRIPTIONS = {
    ValueType.STRING: "text",
    ValueType.INTEGER: "a number",
    ValueType.NUMBER: "a number",
    ValueType.BOOLEAN: "true or false",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field. `only` is the type that a suffix such as `.double_value` fixed.

    `position` is where the condition starts in the filter text; it takes no part in equality.
    """

    field: Field
    operator: Operator
    value: Value = None
    only: ValueType | None = None
    position: int = dataclass_field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class All:
    """All terms hold. Two terms or more."""

    terms: tuple[Resolved, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one term holds. Two terms or more."""

    terms: tuple[Resolved, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The plain complement of the term: it holds where a missing value keeps the term from holding."""

    term: Resolved


@dataclass(frozen=True, slots=True)
class SameChild:
    """At least one entity of the collection `child` satisfies the whole term."""

    child: str
    term: Condition | All


Resolved = Condition | All | AnyOf | Negation | SameChild


def check_filter(node: Node, fields: Fields) -> Resolved:
    """Resolve and check `node`. Raises Invalid, code filter_field or filter_type, for the first mistake."""
    match node:
        case And():
            return _check_chain(node, fields)
        case Or(terms):
            return AnyOf(tuple(check_filter(term, fields) for term in terms))
        case Not(term):
            return Negation(check_filter(term, fields))
        case Comparison():
            condition = _check_comparison(node, fields)
            child = condition.field.child
            return condition if child is None else SameChild(child, condition)


def _check_chain(node: And, fields: Fields) -> Resolved:
    """Own conditions come first, in the order written; then one group for each child collection."""
    terms: list[Resolved] = []
    groups: dict[str, list[Condition]] = {}
    for term in _flatten(node):
        if not isinstance(term, Comparison):
            terms.append(check_filter(term, fields))
            continue
        condition = _check_comparison(term, fields)
        if condition.field.child is None:
            terms.append(condition)
        else:
            groups.setdefault(condition.field.child, []).append(condition)
    terms.extend(
        SameChild(child, group[0] if len(group) == 1 else All(tuple(group))) for child, group in groups.items()
    )
    return terms[0] if len(terms) == 1 else All(tuple(terms))


def _flatten(node: And) -> Iterator[Node]:
    for term in node.terms:
        if isinstance(term, And):
            yield from _flatten(term)
        else:
            yield term


def _check_comparison(node: Comparison, fields: Fields) -> Condition:
    field, only = _resolve(node.property, fields)
    name = ".".join(node.property.path)
    problem = _operator_problem(node, field, only or field.type)
    if problem is not None:
        raise _error(node.position, f"{node.operator} cannot be used with {shown(name)}, {problem}", "filter_type")
    for literal in literals_of(node.value):
        problem = _literal_problem(literal, node.operator, only or field.type)
        if problem is not None:
            raise _error(node.value_position, f"{shown(name)} {problem}", "filter_type")
    return Condition(field, node.operator, node.value, only, node.property.position)


def _resolve(name: Property, fields: Fields) -> tuple[Field, ValueType | None]:
    """The field and the type of the suffix. A suffix comes before a field that happens to have its name."""
    only = SUFFIXES.get(name.path[-1]) if len(name.path) > 1 else None
    base = name.path if only is None else name.path[:-1]
    field = fields.resolve(base, name.quoted)
    if field is None and only is not None:
        only, field = None, fields.resolve(name.path, name.quoted)
    if field is None:
        raise _unknown(name.position, ".".join(base), fields)
    if only is not None and field.type not in (ValueType.ANY, only):
        raise _error(
            name.position,
            f"the suffix .{name.path[-1]} does not fit {shown('.'.join(base))}, which is of type {field.type};"
            " leave it out",
            "filter_type",
        )
    return field, only


def _operator_problem(node: Comparison, field: Field, type_: ValueType) -> str | None:
    if node.operator in ORDERINGS:
        if field.array:
            return "which is a list of values; use =, !=, IN, NOT IN or LIKE"
        # On a free-form field, the literal says that the values meant are booleans.
        if type_ is ValueType.BOOLEAN or (type_ is ValueType.ANY and isinstance(node.value, bool)):
            return "which is compared with true or false; use = or !="
    if node.operator in LIKES and type_ not in (ValueType.STRING, ValueType.ANY):
        return f"which is {_DESCRIPTIONS[type_]}, not text"
    return None


def _literal_problem(literal: Scalar, operator: Operator, type_: ValueType) -> str | None:
    actual = _type_of(literal)
    if operator in LIKES and actual is not ValueType.STRING:
        return f"needs a text pattern after {operator}, not {_shown_literal(literal)}; text values need quotes"
    if type_ is ValueType.ANY or actual is type_ or (actual in _NUMERIC and type_ in _NUMERIC):
        return None
    hint = "text values need quotes" if type_ is ValueType.STRING else "write the value without quotes"
    if ValueType.STRING not in (type_, actual):
        hint = "use true or false" if type_ is ValueType.BOOLEAN else "use a number"
    return f"is {_DESCRIPTIONS[type_]} and cannot be compared with {_shown_literal(literal)}; {hint}"


def _type_of(literal: Scalar) -> ValueType:
    # bool is a subclass of int and has to come first.
    if isinstance(literal, bool):
        return ValueType.BOOLEAN
    if isinstance(literal, str):
        return ValueType.STRING
    return ValueType.INTEGER if isinstance(literal, int) else ValueType.NUMBER


def _shown_literal(literal: Scalar) -> str:
    if isinstance(literal, str):
        return f"the text {shown(literal)}"
    return str(literal).lower() if isinstance(literal, bool) else str(literal)


def _unknown(position: int, name: str, fields: Fields) -> Invalid:
    nearest = fields.suggest(name)
    hint = "" if nearest is None else f"; did you mean {shown(nearest)}?"
    return _error(position, f"unknown field {shown(name)}{hint}", "filter_field")


def _error(position: int, problem: str, code: str) -> Invalid:
    return Invalid(
        f"invalid filter query: position {position}: {problem}", field=PARAMETER, position=position, code=code
    )
