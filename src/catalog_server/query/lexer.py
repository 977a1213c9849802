"""Filter text to tokens, and the one shape of a syntax error.

Keywords are not special here: `parser` decides by context, because they may also be property names. Whitespace and
`--` comments are dropped.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from catalog_server.errors import Invalid
from catalog_server.query.nodes import PARAMETER

_TOKEN = re.compile(
    r"""
      (?P<skip>   \s+ | --[^\r\n]* )
    | (?P<word>   [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number> [-+]? \.? [0-9] (?: [eE][-+](?=[0-9]) | [A-Za-z0-9_.] )* )
    | (?P<string> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
    | (?P<quoted> `(?:[^`\\]|\\.)*` )
    | (?P<symbol> <> | [<>!]= | [=<>(),.] )
    """,
    re.VERBOSE | re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_PATTERN_ESCAPES = frozenset("%_\\")
_SHOWN_CHARACTERS = 40


class Kind(StrEnum):
    """The value of each member is its group in the token expression."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    QUOTED = "quoted"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """A piece of the text. `key` is what a parser compares: the upper-case word or the symbol, else empty."""

    kind: Kind
    text: str
    position: int
    key: str


def scan(text: str) -> list[Token]:
    """Split `text`. The last token is always of kind END; a NUMBER may still be malformed (see `parser`)."""
    lone = _SURROGATE.search(text)
    if lone is not None:
        # No stored text can contain one, and no database driver or JSON encoder takes it.
        raise syntax_error(lone.start(), f"{shown(lone.group())} is not a character", "send the filter as UTF-8")
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _stray(text, position)
        if match.lastgroup != "skip":
            kind, piece = Kind(match.lastgroup), match.group()
            key = piece.upper() if kind is Kind.WORD else piece if kind is Kind.SYMBOL else ""
            tokens.append(Token(kind, piece, position, key))
        position = match.end()
    tokens.append(Token(Kind.END, "", len(text), ""))
    return tokens


def unescape(token: Token, *, pattern: bool = False) -> str:
    """The text inside the quotes of a STRING or QUOTED token. An unknown escape stands for the character itself.

    For the pattern of a LIKE, the escapes that the pattern language knows stay, so that `'50\\%'` needs one
    backslash and `'a\\\\b'` means the same text after `=` and after LIKE.
    """

    def replacement(match: re.Match[str]) -> str:
        character = match.group(1)
        if pattern and character in _PATTERN_ESCAPES:
            return match.group()
        return _CONTROLS.get(character, character)

    return _ESCAPE.sub(replacement, token.text[1:-1])


def shown(text: str) -> str:
    """`text` as messages show it: quoted, short, and free of characters that a response cannot carry."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def syntax_error(position: int, problem: str, hint: str) -> Invalid:
    """The error of every filter that does not parse."""
    return Invalid(
        f"invalid filter query syntax: position {position}: {problem}; {hint}",
        field=PARAMETER,
        position=position,
        code="filter_syntax",
    )


def _stray(text: str, position: int) -> Invalid:
    character = text[position]
    if character in "'\"`":
        return syntax_error(
            position,
            f"the quote {shown(text[position:])} is not closed",
            f"end it with {character}; inside it, write \\{character}",
        )
    return syntax_error(
        position,
        f"unexpected {shown(character)}",
        "names with other characters than letters, digits and _ need back-quotes, text values need quotes",
    )
