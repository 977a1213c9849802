"""Changes the values in a YAML text and nothing else: comments, order, blank lines and quotes elsewhere stay.

The old value and the new one are compared from the top; where they differ, the smallest part of the text that holds
the difference is written anew. A library that dumps whole documents (ruamel.yaml) reformats untouched lines and needs
a minute for a megabyte.
Not for: judging the result: what anchors and odd layouts make of a change, the caller finds out by reading it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_tree import Entry, Node, read_tree
from catalog_server.schema.yaml_writer import (
    Style,
    block_lines,
    flow_text,
    is_collection,
    is_compact,
    pair_lines,
    scalar_text,
)

_BREAK: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_BREAKS: Final = "\n\r\x85\u2028\u2029"
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?:#[^\n\r\x85\u2028\u2029]*)?")


def rewrite(text: str, old: Any, new: Any) -> str:
    """`text`, which reads as `old`, changed so that it reads as `new`. Both are mappings. Raises Invalid."""
    root = read_tree(text)
    return _Rewriter(text, _style_of(text, root)).rewrite(root, old, new)


def is_same(one: Any, other: Any) -> bool:
    """Equality of plain values that tells 1 from 1.0 and from true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


class _WriteWholeError(Exception):
    """The layout does not allow a change inside this collection: it is written anew as a whole."""


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of a value: behind `mark`, in a line that starts its key or dash at `column`."""

    node: Node
    mark: int
    column: int
    in_flow: bool = False
    is_entry: bool = False


class _Rewriter:
    def __init__(self, text: str, style: Style) -> None:
        self._text = text
        self._style = style
        found = _BREAK.search(text)
        self._break = found[0] if found is not None and found[0] in ("\n", "\r\n", "\r") else "\n"

    def rewrite(self, root: Node, old: Any, new: Any) -> str:
        try:
            splices = self._mapping(root, old, new)
        except _WriteWholeError as error:
            raise Invalid("the layout of the file is too unusual to change it") from error
        parts, position = [], 0
        for splice in sorted(splices, key=lambda one: (one.start, one.end)):
            if splice.start < position:
                raise Invalid("the layout of the file is too unusual to change it")
            parts += [self._text[position : splice.start], splice.text]
            position = splice.end
        return "".join([*parts, self._text[position:]])

    # What to do about a value, a mapping, a sequence.

    def _value(self, slot: _Slot, old: Any, new: Any) -> list[_Splice]:
        if is_same(old, new):
            return []
        try:
            if is_collection(old) and is_collection(new):
                if slot.node.kind == "map" and isinstance(new, dict):
                    return self._mapping(slot.node, old, new)
                if slot.node.kind == "seq" and isinstance(new, list):
                    return self._sequence(slot.node, old, new)
        except _WriteWholeError:
            pass
        return self._replacement(slot, new)

    def _mapping(self, node: Node, old: dict[str, Any], new: dict[str, Any]) -> list[_Splice]:
        """A key that comes through a merge (`<<`) is in `old`, not in the node: it can be overridden, not removed."""
        here = {entry.key: entry for entry in node.entries if entry.key in old}
        if any(key not in new and key not in here for key in old):
            raise _WriteWholeError
        self._check_layout(node, "{")
        splices = self._removal(node, [entry for entry in here.values() if entry.key not in new])
        for key, entry in here.items():
            if key in new:
                splices += self._value(self._slot(node, entry), old[key], new[key])
        added = {key: value for key, value in new.items() if key not in here and not is_same(old.get(key, new), value)}
        if added and node.is_flow:
            texts = [flow_text({key: value}, is_json=self._style.is_json)[1:-1] for key, value in added.items()]
            splices.append(self._flow_insertion(node, texts))
        elif added:
            lines = [line for key, value in added.items() for line in pair_lines(key, value, self._style)]
            splices.append(self._insertion(node.entries[-1].value, lines, self._column(node.entries[0].start)))
        return splices

    def _sequence(self, node: Node, old: list[Any], new: list[Any]) -> list[_Splice]:
        """Keep what is the same at both ends; change, add or remove in between.

        Where entries only go, those go and no others; where as many come as go, each takes the place of one.
        """
        self._check_layout(node, "[")
        first = next((index for index, pair in enumerate(zip(old, new, strict=False)) if not is_same(*pair)), None)
        first = min(len(old), len(new)) if first is None else first
        last = 0
        while last < min(len(old), len(new)) - first and is_same(old[-1 - last], new[-1 - last]):
            last += 1
        entries, values = node.entries[first : len(old) - last], new[first : len(new) - last]
        if len(entries) == len(values):
            pairs = zip(entries, old[first:], values, strict=False)
            return [
                splice for entry, was, value in pairs for splice in self._value(self._slot(node, entry), was, value)
            ]
        gone = _left_out(old[first : len(old) - last], values)
        if gone is not None:
            return self._removal(node, [entries[index] for index in gone])
        splices = self._removal(node, entries)
        if values and node.is_flow:
            if last or entries:
                raise _WriteWholeError
            splices.append(self._flow_insertion(node, [flow_text(one, is_json=self._style.is_json) for one in values]))
        elif values:
            splices.append(self._entries_insertion(node, first, values))
        return splices

    def _slot(self, node: Node, entry: Entry) -> _Slot:
        column = 0 if node.is_flow else self._column(entry.start)
        return _Slot(entry.value, entry.mark, column, in_flow=node.is_flow, is_entry=node.kind == "seq")

    def _check_layout(self, node: Node, bracket: str) -> None:
        """Turn down what is rare and not worth a rule."""
        if node.is_flow:
            # An anchor before the bracket, a pair without brackets, a key without value, `? key`.
            is_fit = self._text[node.start] == bracket and all(
                entry.value.start < entry.value.end and self._is_first_in_flow(entry) for entry in node.entries
            )
        else:  # after `? ` a key does not stand where its mapping does
            prefixes = (self._text[self._line_start(entry.start) : entry.start] for entry in node.entries)
            is_fit = not any(prefix.strip(" -") for prefix in prefixes)
        if not is_fit:
            raise _WriteWholeError

    def _is_first_in_flow(self, entry: Entry) -> bool:
        position = entry.start - 1
        while self._text[position].isspace():
            position -= 1
        return self._text[position] != "?"

    # The changes themselves.

    def _replacement(self, slot: _Slot, new: Any) -> list[_Splice]:
        """A value written anew. A comment on the line of its key stays there."""
        node = slot.node
        if slot.in_flow:
            return [_Splice(node.start, node.end, flow_text(new, is_json=self._style.is_json))]
        stays_flow = node.is_flow and bool(node.entries)
        if is_collection(new) and not stays_flow and not is_compact(new):
            return self._block_replacement(slot, block_lines(new, self._style), isinstance(new, dict))
        text = flow_text(new) if is_collection(new) else scalar_text(new)
        if (node.kind == "leaf" or node.is_flow) and node.start < node.end:
            return [_Splice(node.start, node.end, text)]
        return [_Splice(slot.mark, slot.mark, f" {text}"), *self._without_block(slot)]

    def _block_replacement(self, slot: _Slot, lines: list[str], is_mapping: bool) -> list[_Splice]:
        node = slot.node
        if slot.is_entry:
            indent = " " * (slot.column + 2)
            return [_Splice(slot.mark, node.end, " " + f"{self._break}{indent}".join(lines))]
        column = slot.column + (self._style.step if is_mapping else self._style.list_offset)
        return [*self._without_block(slot), self._insertion(node, lines, column)]

    def _without_block(self, slot: _Slot) -> list[_Splice]:
        """Nothing in place of a value. Of a block go whole lines, and what stands above its first entry stays."""
        node = slot.node
        if node.entries and not node.is_flow and node.start == node.entries[0].start:
            start = self._line_start(node.start)
            if slot.mark <= start:
                return [_Splice(start, self._next_line(node.end), "")]
        return [_Splice(slot.mark, node.end, "")]

    def _removal(self, node: Node, entries: list[Entry]) -> list[_Splice]:
        if len(entries) == len(node.entries):
            raise _WriteWholeError
        if not node.is_flow:
            return [self._without_lines(entry) for entry in entries]
        gone = {entry.start for entry in entries}
        return [splice for entry in entries if (splice := _without_text(node, entry, gone)) is not None]

    def _without_lines(self, entry: Entry) -> _Splice:
        start = self._line_start(entry.start)
        if self._text[start : entry.start].strip(" "):
            raise _WriteWholeError
        return _Splice(start, self._next_line(entry.value.end), "")

    def _insertion(self, after: Node, lines: list[str], column: int) -> _Splice:
        """`lines` on lines of their own, after the one on which `after` ends."""
        position = after.after
        if self._text[position - 1] not in _BREAKS:
            position = self._next_line(position)
        text = "".join(f"{' ' * column}{line}{self._break}" for line in lines)
        if self._text[position - 1] not in _BREAKS:  # the file ends without a line break
            text = self._break + text.removesuffix(self._break)
        return _Splice(position, position, text)

    def _entries_insertion(self, node: Node, index: int, values: list[Any]) -> _Splice:
        column = self._column(node.entries[0].start)
        lines = block_lines(values, self._style)
        if index:
            return self._insertion(node.entries[index - 1].value, lines, column)
        removal = self._without_lines(node.entries[0])
        text = "".join(f"{' ' * column}{line}{self._break}" for line in lines)
        return replace(removal, end=removal.start, text=text)

    def _flow_insertion(self, node: Node, texts: list[str]) -> _Splice:
        """Further entries at the end; on lines of their own when the last one has its own."""
        last = node.entries[-1]
        indent = self._text[self._line_start(last.start) : last.start]
        has_own_line = not indent.strip(" ") and node.start < self._line_start(last.start)
        comma = f",{self._break}{indent}" if has_own_line else ", "
        return _Splice(last.value.end, last.value.end, "".join(comma + text for text in texts))

    # Lines and columns.

    def _line_start(self, position: int) -> int:
        while position > 0 and self._text[position - 1] not in _BREAKS:
            position -= 1
        return position

    def _column(self, position: int) -> int:
        return position - self._line_start(position)

    def _next_line(self, position: int) -> int:
        """The start of the line after the one that ends with `position`, where only a comment may follow."""
        match = _REST_OF_LINE.match(self._text, position)
        end = position if match is None else match.end()
        following = _BREAK.match(self._text, end)
        if following is not None:
            return following.end()
        if end < len(self._text):
            raise _WriteWholeError
        return end


def _left_out(old: list[Any], new: list[Any]) -> list[int] | None:
    """Which entries of `old` have to go to make it `new`; None when that is not all there is to do."""
    gone, kept = [], 0
    for index, value in enumerate(old):
        if kept < len(new) and is_same(value, new[kept]):
            kept += 1
        else:
            gone.append(index)
    return gone if kept == len(new) else None


def _without_text(node: Node, entry: Entry, gone: set[int]) -> _Splice | None:
    """A run of entries of a flow collection with one of the commas beside it; None but for the first of the run."""
    index = node.entries.index(entry)
    if index and node.entries[index - 1].start in gone:
        return None
    end = next((one for one in range(index, len(node.entries)) if node.entries[one].start not in gone), None)
    if index:
        last = node.entries[-1 if end is None else end - 1]
        return _Splice(node.entries[index - 1].value.end, last.value.end, "")
    if end is None:
        raise _WriteWholeError
    return _Splice(entry.start, node.entries[end].start, "")


def _style_of(text: str, root: Node) -> Style:
    """The layout of the first mapping and the first list below a key."""
    step = offset = None
    stack = [root]
    while stack and (step is None or offset is None):
        node = stack.pop()
        for entry in node.entries:
            stack.insert(0, entry.value)
            if node.kind == "map" and entry.value.entries and not node.is_flow and not entry.value.is_flow:
                distance = _column(text, entry.value.entries[0].start) - _column(text, entry.start)
                # Below `? key` a value may start left of its key: that is no indentation to go by.
                if entry.value.kind == "map" and distance > 0:
                    step = distance if step is None else step
                elif entry.value.kind == "seq" and distance >= 0:
                    offset = distance if offset is None else offset
    return Style(2 if step is None else step, 2 if offset is None else offset, is_json=root.is_flow)


def _column(text: str, position: int) -> int:
    return position - max(text.rfind(one, 0, position) for one in _BREAKS) - 1
