"""What people read: tables, and lines `label: value`, fitted to a terminal.

For: laying out cells. Where the values come from is told by the views of the commands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.cli.client.text import cut, escape, lines_of, one_line, pad, width_of

MISSING: Final = "-"
_GAP: Final = "  "
_CAP: Final = 50
_NARROWEST: Final = 8
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_DIFF_COLOURS: Final = {"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m"}


@dataclass(frozen=True)
class Layout:
    """How much room there is. `width` in cells; None where nothing is cut, since no terminal reads it."""

    width: int | None = None
    is_wide: bool = False
    has_headers: bool = True
    has_colour: bool = False
    ellipsis: str = "…"


@dataclass(frozen=True)
class Column:
    """One column. `value`: a dotted path into the entry, or a function of it.

    `is_whole`: never cut, as an id that goes into the next command. `is_spare`: left out of a narrow terminal.
    `is_wide`: shown with `-o wide` only.
    """

    header: str
    value: str | Callable[[Any], Any]
    is_whole: bool = False
    is_spare: bool = False
    is_wide: bool = False

    def read(self, entry: Any) -> Any:
        return at_path(entry, self.value) if isinstance(self.value, str) else self.value(entry)


@dataclass(frozen=True)
class Table:
    """Entries and what is shown of them. `empty` stands in the place of a table without rows."""

    columns: Sequence[Column]
    entries: Sequence[Any]
    empty: str = ""

    def text(self, layout: Layout) -> str:
        if not self.entries:
            return f"{self.empty}\n" if self.empty else ""
        shown = [
            _Shown(column, column.header.upper(), [show_cell(column.read(entry)) for entry in self.entries])
            for column in self.columns
            if layout.is_wide or not column.is_wide
        ]
        widths = _fit(shown, layout)
        lines = [_line([one.cells[row] for one in shown], widths, layout) for row in range(len(self.entries))]
        if layout.has_headers:
            head = _line([one.header for one in shown], widths, layout)
            lines.insert(0, f"{_BOLD}{head}{_PLAIN}" if layout.has_colour else head)
        return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Fields:
    """Lines `label: value`. A value of several lines stands below its label."""

    entries: Sequence[tuple[str, Any]]
    heading: str = ""

    def text(self, layout: Layout) -> str:
        lines = [f"--- {self.heading} ---"] if self.heading else []
        room = max((width_of(label) for label, _ in self.entries), default=0) + 1
        for label, value in self.entries:
            shown = show_block(value)
            if len(shown) == 1:
                lines.append(f"{pad(f'{label}:', room)} {shown[0]}".rstrip())
            else:
                lines += [f"{label}:", *(f"    {line}".rstrip() for line in shown)]
        return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Text:
    """Text as it is, of the client's own making or escaped already. `is_diff`: lines begin with what they say."""

    lines: Sequence[str]
    is_diff: bool = False

    def text(self, layout: Layout) -> str:
        lines = [_coloured(line) for line in self.lines] if self.is_diff and layout.has_colour else self.lines
        return "\n".join([*lines, ""]) if lines else ""


Part = Table | Fields | Text


def _coloured(line: str) -> str:
    colour = _DIFF_COLOURS.get(line.lstrip(" ")[:1])
    return line if colour is None else f"{colour}{line}{_PLAIN}"


def at_path(entry: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for step in path.split("."):
        if not isinstance(entry, dict):
            return None
        entry = entry.get(step)
    return entry


def show_cell(value: Any) -> str:
    """One value as one line (spec cli-and-ui.md 1.3, value rendering)."""
    return one_line(_plain(value))


def show_block(value: Any) -> list[str]:
    """One value as lines, at least one; `-` where there is nothing."""
    text = _plain(value)
    return lines_of(text.strip("\n")) if text.strip() else [MISSING]


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def yes_or_no(value: Any) -> str:
    return "yes" if value else "no"


def or_missing(value: Any) -> str:
    return escape(str(value)) if value not in (None, "") else MISSING


@dataclass(frozen=True)
class _Shown:
    """A column with its cells."""

    column: Column
    header: str
    cells: list[str]

    @property
    def needed(self) -> int:
        return max(map(width_of, (self.header, *self.cells)))

    @property
    def least(self) -> int:
        return self.needed if self.column.is_whole else min(self.needed, max(_NARROWEST, width_of(self.header)))


def _fit(shown: list[_Shown], layout: Layout) -> list[int]:
    """Widths of the columns: what they need; in a terminal less, so that a row stays one line.

    Where not even the least fits, spare columns are taken out of `shown`, the last one first.
    """
    if layout.width is None or layout.is_wide:
        return [one.needed for one in shown]
    while sum(one.least + len(_GAP) for one in shown) - len(_GAP) > layout.width:
        spare = [one for one in shown if one.column.is_spare]
        if not spare:
            break
        shown.remove(spare[-1])
    least = [one.least for one in shown]
    widths = [max(one.least, min(one.needed, _CAP)) for one in shown]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - layout.width
    while excess > 0 and widths != least:
        # The widest of those that can give way.
        _, index = max((widths[i], i) for i in range(len(widths)) if widths[i] > least[i])
        widths[index] -= 1
        excess -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], layout: Layout) -> str:
    cut_cells = [cut(cell, width, layout.ellipsis) for cell, width in zip(cells, widths, strict=True)]
    padded = [pad(cell, width) for cell, width in zip(cut_cells, widths, strict=True)]
    return _GAP.join(padded).rstrip()
