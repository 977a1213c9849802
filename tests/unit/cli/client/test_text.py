"""What a terminal gets to see of texts that somebody else wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.cli.client.text import cut, escape, lines_of, one_line, pad, width_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\x08b\x7f", "a\\x08b\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\ud800", "\\ud800"),
        ("ü 部署 👩\u200d💻 é", "ü 部署 👩\u200d💻 é"),
    ],
)
def test_escape_then_nothing_is_left_that_a_terminal_obeys(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(alphabet=st.characters(), max_size=40))
def test_escape_of_any_text_then_it_has_no_controls_and_can_be_encoded(text: str) -> None:
    shown = escape(text)
    assert not any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in shown)
    shown.encode()
    assert escape(shown) == shown


def test_one_line_then_ends_of_lines_are_single_spaces() -> None:
    assert one_line(" a\n\n  b\tc\r\nd \x1b") == "a b c d \\x1b"


def test_lines_of_then_lines_stay_and_tabs_are_spaces() -> None:
    assert lines_of("a\tb\r\n\x1b[2J\n  c  ") == ["a   b", "\\x1b[2J", "  c"]


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("ü", 1),
        ("u\u0308", 1),
        ("部署", 4),
        ("한국", 4),
        ("ｱ", 1),
        ("\uff21", 2),
        ("👍", 2),
        ("\u0430", 1),
    ],
)
def test_width_of_then_cells_of_a_terminal(text: str, width: int) -> None:
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("部署服务", 8, "部署服务"),
        ("部署服务", 7, "部署服…"),
        ("部署服务", 6, "部署…"),
        ("ab cdef", 4, "ab…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_cut_then_never_wider_and_no_character_is_split(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown
    assert width_of(shown) <= width


@given(st.text(max_size=30), st.integers(1, 40))
def test_cut_and_pad_of_any_text_then_exactly_so_many_cells(text: str, width: int) -> None:
    assert width_of(pad(cut(escape(text), width), width)) == width
