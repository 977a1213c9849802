from __future__ import annotations

import pytest

from catalog_server.errors import Invalid
from catalog_server.query.lexer import Kind, Token, scan, shown, unescape


def test_scan_when_all_kinds_occur_then_gives_each_with_its_position() -> None:
    tokens = scan("a.b >= -1.5e-3 -- note\nOr `x y` in('z')")
    assert [(token.kind, token.text, token.position, token.key) for token in tokens] == [
        (Kind.WORD, "a", 0, "A"),
        (Kind.SYMBOL, ".", 1, "."),
        (Kind.WORD, "b", 2, "B"),
        (Kind.SYMBOL, ">=", 4, ">="),
        (Kind.NUMBER, "-1.5e-3", 7, ""),
        (Kind.WORD, "Or", 23, "OR"),
        (Kind.QUOTED, "`x y`", 26, ""),
        (Kind.WORD, "in", 32, "IN"),
        (Kind.SYMBOL, "(", 34, "("),
        (Kind.STRING, "'z'", 35, ""),
        (Kind.SYMBOL, ")", 38, ")"),
        (Kind.END, "", 39, ""),
    ]


@pytest.mark.parametrize("text", ["", " \r\n\t", "-- only a comment", "--\n--"])
def test_scan_when_there_is_nothing_to_read_then_gives_only_the_end(text: str) -> None:
    assert [token.kind for token in scan(text)] == [Kind.END]


@pytest.mark.parametrize(
    ("text", "position", "part"),
    [
        ("a = 'x", 4, "is not closed"),
        ("a = 'x\\'", 4, "is not closed"),
        ("a = \"x'", 4, "is not closed"),
        ("`a = 1", 0, "is not closed"),
        ("a-b = 1", 1, "back-quotes"),
        ("a = 1 ; b", 6, "';'"),
        ("a = \x00", 4, "\\x00"),
        ("a ! b", 2, "'!'"),
        ("größe = 1", 2, "'ö'"),
        ("a = 'x\ud800'", 6, "\\ud800"),
    ],
)
def test_scan_when_a_character_fits_no_token_then_names_it_and_its_position(
    text: str, position: int, part: str
) -> None:
    with pytest.raises(Invalid) as caught:
        scan(text)
    assert caught.value.position == position
    assert part in caught.value.message
    assert caught.value.message.startswith(f"invalid filter query syntax: position {position}: ")
    caught.value.message.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "plain", "pattern"),
    [
        (r"'it\'s'", "it's", "it's"),
        (r'"\""', '"', '"'),
        (r"'a\\b'", r"a\b", r"a\\b"),
        (r"'50\%'", "50%", r"50\%"),
        (r"'a\_b'", "a_b", r"a\_b"),
        (r"'\n\r\t\q'", "\n\r\tq", "\n\r\tq"),
        ("''", "", ""),
    ],
)
def test_unescape_when_a_backslash_occurs_then_only_a_pattern_keeps_its_own_escapes(
    text: str, plain: str, pattern: str
) -> None:
    token = Token(Kind.STRING, text, 0, "")
    assert unescape(token) == plain
    assert unescape(token, pattern=True) == pattern


def test_shown_when_the_text_is_long_then_is_cut() -> None:
    assert shown("x" * 41) == "'" + "x" * 40 + "…'"
    assert shown("x" * 40) == "'" + "x" * 40 + "'"
