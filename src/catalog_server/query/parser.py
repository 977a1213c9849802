"""Filter text to syntax tree (spec plugins.md 2.1), by recursive descent.

A parser generator was measured and not taken: importing Lark and building its tables costs about 150 ms at start,
and a filter of three conditions takes it three times as long.
Names are not looked up; that is `checker`. Splitting into tokens is `lexer`.

    or    := and ( OR and )*
    and   := term ( AND term )*
    term  := "(" or ")" | NOT term | name test
    test  := op value | [NOT] IN list | [NOT] ( LIKE | ILIKE ) value | IS [NOT] NULL
    name  := segment ( "." segment )*
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from catalog_server.errors import Invalid, TooLarge
from catalog_server.query.lexer import Kind, Token, scan, shown, syntax_error, unescape
from catalog_server.query.nodes import (
    LIKES,
    LISTS,
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
)

MAX_CHARACTERS = 1024
MAX_DEPTH = 50
"""Parentheses and prefix NOTs inside one another."""

_SYMBOLS = {
    "=": Operator.EQUAL,
    "!=": Operator.NOT_EQUAL,
    "<>": Operator.NOT_EQUAL,
    "<": Operator.LESS,
    "<=": Operator.LESS_EQUAL,
    ">": Operator.GREATER,
    ">=": Operator.GREATER_EQUAL,
}
_OPERATORS = {**_SYMBOLS, "LIKE": Operator.LIKE, "ILIKE": Operator.ILIKE, "IN": Operator.IN}
_NEGATABLE = {"IN": Operator.NOT_IN, "LIKE": Operator.LIKE, "ILIKE": Operator.ILIKE}
_BOOLEANS = {"TRUE": True, "FALSE": False}

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1

_OPERATOR_HINT = "the operators are =, !=, <>, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL and IS NOT NULL"
_VALUE_HINT = "text values need quotes, for example 'abc'"
_LIST_HINT = "a list is written as IN ('a', 'b')"
_NAME_HINT = "a condition looks like name = 'abc'; names with special characters need back-quotes"


def parse_filter(text: str) -> Node | None:
    """The syntax tree of `text`, or None if it is blank. Raises Invalid with the position of the mistake."""
    if len(text) > MAX_CHARACTERS:
        raise TooLarge(
            f"invalid filter query syntax: position {MAX_CHARACTERS}: the filter has {len(text)} characters,"
            f" the limit is {MAX_CHARACTERS}; shorten it",
            field=PARAMETER,
            position=MAX_CHARACTERS,
            code="filter_syntax",
        )
    tokens = scan(text)
    return None if tokens[0].kind is Kind.END else _Parser(tokens).parse()


class _Parser:
    """One pass over the tokens of one filter."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._index = 0

    def parse(self) -> Node:
        node = self._or(0)
        token = self._peek()
        if token.kind is not Kind.END:
            raise _unexpected(token, "AND, OR or the end of the filter", _OPERATOR_HINT)
        return node

    def _peek(self, offset: int = 0) -> Token:
        return self._tokens[min(self._index + offset, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self._peek()
        self._index += 1
        return token

    def _expect(self, key: str, expected: str, hint: str) -> Token:
        token = self._advance()
        if token.key != key:
            raise _unexpected(token, expected, hint)
        return token

    def _or(self, depth: int) -> Node:
        terms = self._chain("OR", lambda: self._and(depth))
        return terms[0] if len(terms) == 1 else Or(terms)

    def _and(self, depth: int) -> Node:
        terms = self._chain("AND", lambda: self._term(depth))
        return terms[0] if len(terms) == 1 else And(terms)

    def _chain(self, key: str, read: Callable[[], Node]) -> tuple[Node, ...]:
        terms = [read()]
        while self._peek().key == key:
            self._advance()
            terms.append(read())
        return tuple(terms)

    def _term(self, depth: int) -> Node:
        token = self._peek()
        is_group = token.key == "("
        if not is_group and (token.key != "NOT" or self._is_name()):
            return self._comparison()
        if depth == MAX_DEPTH:
            raise syntax_error(
                token.position,
                f"{shown(token.text)} is nested too deeply",
                f"the limit is {MAX_DEPTH} levels of parentheses and NOT",
            )
        self._advance()
        if not is_group:
            return Not(self._term(depth + 1))
        node = self._or(depth + 1)
        self._expect(")", "AND, OR or ')'", _OPERATOR_HINT)
        return node

    def _is_name(self) -> bool:
        """Whether the NOT at hand is a property of that name: a complete test follows, as in `not = 1`."""
        following = self._peek(1).key
        if following == "IS":
            third = self._peek(3 if self._peek(2).key == "NOT" else 2)
            return third.key == "NULL"
        return following in _SYMBOLS or following == "." or self._is_word_test(2 if following == "NOT" else 1)

    def _is_word_test(self, offset: int) -> bool:
        key, operand = self._peek(offset).key, self._peek(offset + 1)
        if key == "IN":
            return operand.key == "("
        return key in ("LIKE", "ILIKE") and operand.kind in (Kind.STRING, Kind.NUMBER)

    def _comparison(self) -> Node:
        name = self._property()
        token = self._advance()
        if token.key == "IS":
            return self._null_test(name, token.position)
        if token.key == "NOT":
            return self._negated(name, token.position)
        operator = _OPERATORS.get(token.key)
        if operator is None:
            raise _unexpected(token, "an operator", _OPERATOR_HINT)
        return self._with_operand(name, operator, token.position)

    def _null_test(self, name: Property, position: int) -> Comparison:
        operator = Operator.IS_NULL
        if self._peek().key == "NOT":
            self._advance()
            operator = Operator.IS_NOT_NULL
        self._expect("NULL", "NULL or NOT NULL after IS", _OPERATOR_HINT)
        return Comparison(name, operator, None, position, position)

    def _negated(self, name: Property, position: int) -> Node:
        token = self._advance()
        operator = _NEGATABLE.get(token.key)
        if operator is None:
            raise _unexpected(token, "IN, LIKE or ILIKE after NOT", _OPERATOR_HINT)
        comparison = self._with_operand(name, operator, position)
        return Not(comparison) if operator in LIKES else comparison

    def _with_operand(self, name: Property, operator: Operator, position: int) -> Comparison:
        start = self._peek().position
        value: Value = self._list() if operator in LISTS else self._scalar(pattern=operator in LIKES)
        return Comparison(name, operator, value, position, start)

    def _property(self) -> Property:
        start = self._peek()
        path = [self._segment()]
        quoted = start.kind is Kind.QUOTED
        while self._peek().key == ".":
            self._advance()
            quoted = quoted or self._peek().kind is Kind.QUOTED
            path.append(self._segment())
        return Property(tuple(path), quoted, start.position)

    def _segment(self) -> str:
        token = self._advance()
        if token.kind is Kind.WORD:
            return token.text
        if token.kind is not Kind.QUOTED:
            raise _unexpected(token, "a property name", _NAME_HINT)
        name = unescape(token)
        if not name:
            raise _unexpected(token, "a property name", "the back-quotes are empty")
        return name

    def _list(self) -> tuple[Scalar, ...]:
        self._expect("(", "'('", _LIST_HINT)
        values: list[Scalar] = []
        if self._peek().key != ")":
            values.append(self._scalar())
            while self._peek().key == ",":
                self._advance()
                values.append(self._scalar())
        self._expect(")", "',' or ')'", _LIST_HINT)
        return tuple(values)

    def _scalar(self, *, pattern: bool = False) -> Scalar:
        token = self._advance()
        if token.kind is Kind.STRING:
            return unescape(token, pattern=pattern)
        if token.kind is Kind.NUMBER:
            return _number(token)
        if token.key in _BOOLEANS:
            return _BOOLEANS[token.key]
        raise _unexpected(token, "a value", _value_hint(token))


def _value_hint(token: Token) -> str:
    if token.key == "(":
        return "a list is only allowed after IN and NOT IN"
    if token.key == "NULL":
        return "use IS NULL or IS NOT NULL"
    return f"text values need quotes: {shown(token.text)}" if token.kind is Kind.WORD else _VALUE_HINT


def _number(token: Token) -> int | float:
    if _INTEGER.fullmatch(token.text):
        integer = int(token.text)
        if not _INTEGER_MIN <= integer <= _INTEGER_MAX:
            raise syntax_error(token.position, f"the number {shown(token.text)} is too large", "integers have 64 bits")
        return integer
    if not _FLOAT.fullmatch(token.text):
        hint = "write for example 5, 5.0, .5 or 1e5; text values need quotes"
        raise syntax_error(token.position, f"{shown(token.text)} is not a number", hint)
    number = float(token.text)
    if math.isinf(number):
        raise syntax_error(token.position, f"the number {shown(token.text)} is too large", "floats have 64 bits")
    return number


def _unexpected(token: Token, expected: str, hint: str) -> Invalid:
    found = "the end of the filter" if token.kind is Kind.END else shown(token.text)
    return syntax_error(token.position, f"expected {expected}, found {found}", hint)
