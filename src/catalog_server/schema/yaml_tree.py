"""Where every part of a YAML text begins and ends, to the character.

For: yaml_rewriter, which replaces parts and leaves the rest alone. The text must have been read once without fault.
Not for: places in error messages (yaml_places.py), nor for values (yaml_reader.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from yaml._yaml import CParser
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.tokens import BlockEntryToken, ValueToken

from catalog_server.schema.yaml_places import Event, events_of

_BLOCK_SCALARS: Final = ("|", ">")


@dataclass(slots=True)
class Node:
    """A value in the text. `start` includes an anchor or tag; `end` is behind its last character that is no blank.

    `after` is where something that follows may be put in: a block scalar owns the blank lines behind it.
    """

    start: int
    end: int
    after: int
    kind: str = "leaf"
    """`map`, `seq` or `leaf`; an alias is a leaf, whatever it stands for."""
    is_flow: bool = False
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """A pair of a mapping or an entry of a sequence. `mark` is behind its colon or dash; in flow it says nothing."""

    start: int
    mark: int
    value: Node
    key: str = ""


def read_tree(text: str) -> Node:
    """The root of `text`, which holds one document and no byte order mark."""
    return _TreeBuilder(text).build()


class _TreeBuilder:
    def __init__(self, text: str) -> None:
        data = text.encode()
        self._text = text
        self._next: Callable[[], Event] = events_of(data).__next__
        self._dashes: list[int] = []
        self._colons: list[int] = []
        read = CParser(data).get_token
        while (token := read()) is not None:
            if token.__class__ is BlockEntryToken:
                self._dashes.append(token.start_mark.index)
            elif token.__class__ is ValueToken:
                self._colons.append(token.start_mark.index)

    def build(self) -> Node:
        return self._node(self._next())

    def _node(self, event: Event) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if event.__class__ is MappingStartEvent:
            return self._collection(Node(start, end, end, "map", bool(event.flow_style)), MappingEndEvent, self._pair)
        if event.__class__ is SequenceStartEvent:
            read = self._flow_entry if event.flow_style else self._block_entry
            return self._collection(Node(start, end, end, "seq", bool(event.flow_style)), SequenceEndEvent, read)
        if event.__class__ is ScalarEvent and event.style in _BLOCK_SCALARS:
            return Node(start, start + len(self._text[start:end].rstrip()), end)
        return Node(start, end, end)

    def _collection(self, node: Node, end: Any, entry: Callable[[Event], Entry]) -> Node:
        event = self._next()
        while event.__class__ is not end:
            node.entries.append(entry(event))
            event = self._next()
        if node.is_flow or not node.entries:
            node.end = node.after = event.end_mark.index
        else:  # the end event of a block stands where the next thing begins
            node.end, node.after = node.entries[-1].value.end, node.entries[-1].value.after
        return node

    def _pair(self, key: Event) -> Entry:
        colon = bisect_left(self._colons, key.end_mark.index)
        mark = self._colons[colon] + 1 if colon < len(self._colons) else key.end_mark.index
        return Entry(key.start_mark.index, mark, self._node(self._next()), key.value)

    def _block_entry(self, event: Event) -> Entry:
        value = self._node(event)
        dash = self._dashes[bisect_left(self._dashes, value.start) - 1]
        return Entry(dash, dash + 1, value)

    def _flow_entry(self, event: Event) -> Entry:
        value = self._node(event)
        return Entry(value.start, value.start, value)
