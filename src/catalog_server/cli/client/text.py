"""Text from a server made fit for a terminal: control characters are shown, not obeyed; widths are those of cells.

For: every cell and every line that people read. JSON and YAML escape by their own rules (rendering.py).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
"""What moves the cursor, colours, turns the direction of what follows, cannot be seen, or cannot be encoded."""
_BLANKS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029 ]+")
_ZERO_WIDTH: Final = ("Mn", "Me", "Cf")
_JAMO_START, _JAMO_END = 0x1160, 0x11FF


def escape(text: str) -> str:
    """`\\x1b` and the like in place of what a terminal would obey."""
    return _UNSAFE.sub(_shown, text)


def one_line(text: str) -> str:
    """As one line: blanks and ends of lines are one space."""
    return escape(_BLANKS.sub(" ", text).strip())


def lines_of(text: str) -> list[str]:
    """As lines that can be shown one below the other."""
    return [escape(line.expandtabs(4).rstrip()) for line in text.replace("\r\n", "\n").split("\n")]


def width_of(text: str) -> int:
    """Cells that an escaped text takes in a terminal: none for combining characters, two for wide ones (CJK, emoji)."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def pad(text: str, width: int) -> str:
    """Filled up with spaces to so many cells."""
    return text + " " * (width - width_of(text))


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """At most so many cells; what is cut ends in the ellipsis."""
    if width_of(text) <= width:
        return text
    room = width - width_of(ellipsis)
    kept = 0
    for index, character in enumerate(text):
        kept += _width(character)
        if kept > room:
            return text[:index].rstrip() + ellipsis
    return text


def _width(character: str) -> int:
    if _JAMO_START <= ord(character) <= _JAMO_END or unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
