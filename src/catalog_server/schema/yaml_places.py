"""Where the parts of a YAML value stand in its file. Worked out on the first question: a good file is never asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yaml._yaml import CParser
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from catalog_server.errors import Location

PathStep = str | int
# An event or a mark of the C parser; its attributes are untyped, and a cast per event would cost a tenth of the time.
Event = Any
Mark = Any


@dataclass(frozen=True, slots=True)
class _Place:
    line: int
    column: int
    children: dict[PathStep, _Place]


class Places:
    """Where the parts of one value are. Built on the first question, because a good file is never asked."""

    def __init__(self, file: str, replay: Callable[[], Iterator[Event]]) -> None:
        self._file = file
        self._replay = replay
        self._root: _Place | None = None

    def locate(self, path: Sequence[PathStep]) -> Location:
        if self._root is None:
            events = self._replay()
            first = next(events, None)
            self._root = _Place(1, 1, {}) if first is None else _map_places(first, first.start_mark, events)
        place = self._root
        for step in path:
            child = place.children.get(step)
            if child is None:
                break
            place = child
        return Location(self._file, place.line, place.column)


def _map_places(event: Event, mark: Mark, events: Iterator[Event]) -> _Place:
    children: dict[PathStep, _Place] = {}
    if event.__class__ is MappingStartEvent:
        while (key := next(events)).__class__ is not MappingEndEvent:
            children[key.value] = _map_places(next(events), key.start_mark, events)
    elif event.__class__ is SequenceStartEvent:
        while (entry := next(events)).__class__ is not SequenceEndEvent:
            children[len(children)] = _map_places(entry, entry.start_mark, events)
    return _Place(mark.line + 1, mark.column + 1, children)


def events_of(data: bytes) -> Iterator[Event]:
    """The events of the root value of a document that has been read once without fault."""
    parser = CParser(data)
    while (event := parser.get_event()) is not None:
        if event.__class__ is DocumentStartEvent:
            break
    while (event := parser.get_event()) is not None:
        yield event
