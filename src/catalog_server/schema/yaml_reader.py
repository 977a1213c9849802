"""YAML (and so JSON) text to plain Python values that know their place in the file.

For: every file an operator or a source hands us: the sources file, catalog data, plugin manifests. It reads the
events of PyYAML's C parser and builds the values itself, because the node tree of yaml.load costs six times the
time of the parse, resolves `no` to False, and has no limits. Scalars follow the YAML 1.2 core schema.
Not for: writing YAML, nor for judging the values: sources/parser.py and schema/kind.py do that.

A value reached through an alias is the same object as the anchored one: treat values as read-only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from catalog_server.errors import Invalid, Location, TooLarge
from catalog_server.schema.yaml_places import Event, Mark, PathStep, Places, events_of
from catalog_server.schema.yaml_scalars import CORE_TAG, TYPED_STARTS, parse_plain, parse_tagged

FREE_KEY: Final = "source"
"""The one further top-level key of a data file: free text that says where the data came from."""

_SURROGATE_PAIR: Final = re.compile(rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL)

_OPEN: Final = object()
"""What an anchor stands for until its value is complete: an alias to it would make a ring."""
_UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one document may cost."""

    max_bytes: int = 32 * 1024 * 1024
    max_depth: int = 64
    max_alias_nodes: int = 100_000
    """Nodes that aliases may add in total; 64 characters of aliased text count as one more node."""
    max_item_events: int = 200_000
    """Parts of one item in a data file; what an item says about its places takes some 500 bytes for each."""


@dataclass(frozen=True, slots=True)
class Document:
    """One whole document. `value` is None for an empty file."""

    value: Any
    _places: Places = field(repr=False, compare=False)

    def locate(self, path: Sequence[PathStep]) -> Location:
        """Where the key (or list entry) at `path` stands; the nearest known ancestor when it is absent."""
        return self._places.locate(path)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the list in a data file. `index` starts at 0, `line` at 1."""

    value: Any
    index: int
    line: int
    _places: Places = field(repr=False, compare=False)

    def locate(self, path: Sequence[PathStep]) -> Location:
        """Like Document.locate; `path` starts inside the item."""
        return self._places.locate(path)


def read_document(data: bytes, *, file: str, limits: Limits = Limits()) -> Document:
    """Read the one document in `data`. `file` is what error locations call it. Raises Invalid or TooLarge."""
    data = _checked(data, file, limits)
    builder = _Builder(data, file, limits)
    with builder.syntax_errors():
        event = builder.open_document()
        value = None if event is None else builder.value(event, 1)
        if event is not None:
            builder.close_document()
    return Document(value, Places(file, lambda: events_of(data)))


def iter_items(
    data: bytes,
    *,
    file: str,
    keys: Collection[str],
    limits: Limits = Limits(),
) -> Iterator[Item]:
    """Yield the entries of the list under the one of `keys` that `data` holds; only one of them is in memory.

    A fault further down in the file is raised only when iteration gets there: swap nothing in before the end.
    """
    return _iter_items(_Builder(_checked(data, file, limits), file, limits), keys)


def nearest_key(key: str, known: Collection[str]) -> str:
    """The end of an "unknown key" message: the closest known key, or all of them."""
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else "known keys: " + ", ".join(sorted(known))


def _checked(data: bytes, file: str, limits: Limits) -> bytes:
    if len(data) > limits.max_bytes:
        raise TooLarge(
            f"the file has {len(data)} bytes, more than the limit of {limits.max_bytes}",
            location=Location(file, 1),
            code="content_too_large",
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # libyaml would read UTF-16 happily
        raise _syntax_error("the text is UTF-16; only UTF-8 is read", Location(file, 1))
    return join_surrogates(data) if file.lower().endswith(".json") else data


def join_surrogates(data: bytes) -> bytes:
    """JSON in the spelling of YAML: a character beyond U+FFFF is two \\u escapes there, and one \\U escape here."""
    return _SURROGATE_PAIR.sub(_join_pair, data) if rb"\ud" in data or rb"\uD" in data else data


def _join_pair(match: re.Match[bytes]) -> bytes:
    high, low = match.groups()
    if high is None:
        return match[0]
    return b"\\U%08X" % (0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _iter_items(builder: _Builder, keys: Collection[str]) -> Iterator[Item]:
    expected = " or ".join(f'"{key}"' for key in sorted(keys))
    with builder.syntax_errors():
        root = builder.open_document()
        if root is None:
            raise builder.fault(None, f"the file is empty: expected the key {expected}")
        if root.__class__ is not MappingStartEvent:
            raise builder.fault(root, f"expected a mapping with the key {expected} at the top")
        builder.check_collection(root, "map", 1)
        seen: dict[str, int] = {}
        while (event := builder.next()).__class__ is not MappingEndEvent:
            key = builder.key(event)
            _check_top_key(builder, event, key, keys, seen)
            seen[key] = event.start_mark.line + 1
            if key == FREE_KEY:
                builder.skip_free_text()
            else:
                yield from builder.items()
        if not seen.keys() & set(keys):
            raise builder.fault(root, f"the key {expected} is missing")
        builder.close_document()


def _check_top_key(builder: _Builder, event: Event, key: str, keys: Collection[str], seen: dict[str, int]) -> None:
    if key in seen:
        raise builder.duplicate(event, key, seen[key])
    if key in keys:
        other = next((one for one in seen if one != FREE_KEY), None)
        if other is not None:
            raise builder.fault(event, f'"{key}" means the same as "{other}" on line {seen[other]}: keep one')
    elif key != FREE_KEY:
        raise builder.fault(event, f'unknown key "{key[:80]}": {nearest_key(key, [*keys, FREE_KEY])}')


def _syntax_error(problem: str, location: Location) -> Invalid:
    return Invalid(f"YAML parse error: {problem}", location=location, code="yaml_parse_error")


def _measure(value: Any, budget: int) -> tuple[int, int]:
    """Nodes in `value` (long text counts more) and its depth; stops counting when over `budget`."""
    count, height, stack = 0, 0, [(value, 0)]
    while stack and count <= budget:
        node, level = stack.pop()
        count += 1
        if isinstance(node, str):
            count += len(node) // 64
        elif isinstance(node, dict):
            height = max(height, level + 1)
            count += sum(len(key) // 64 for key in node)
            stack.extend((child, level + 1) for child in node.values())
        elif isinstance(node, list):
            height = max(height, level + 1)
            stack.extend((child, level + 1) for child in node)
    return count, height


class _Builder:
    """Turns the events of one document into values; anchors and the alias budget belong to the document.

    The C parser nests without recursion and hands out events as it goes, so the depth limit here stops a
    document of a million brackets after the first few.
    """

    def __init__(self, data: bytes, file: str, limits: Limits) -> None:
        self.next: Callable[[], Event] = CParser(data).get_event
        self._data = data
        self._file = file
        self._limits = limits
        self._alias_budget = limits.max_alias_nodes
        self._anchors: dict[str, Any] = {}

    def fault(self, event: Event | None, problem: str) -> Invalid:
        return Invalid(problem, location=self._location(event.start_mark if event is not None else None))

    def _too_large(self, event: Event, problem: str) -> TooLarge:
        return TooLarge(problem, location=self._location(event.start_mark))

    def duplicate(self, event: Event, key: str, first_line: int) -> Invalid:
        line = event.start_mark.line + 1
        return self.fault(event, f'the key "{key[:80]}" stands twice in one mapping, on lines {first_line} and {line}')

    def _location(self, mark: Mark | None) -> Location:
        return Location(self._file, 1) if mark is None else Location(self._file, mark.line + 1, mark.column + 1)

    @contextmanager
    def syntax_errors(self) -> Iterator[None]:
        try:
            yield
        except yaml.reader.ReaderError as error:
            before = self._data[: error.position]
            column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
            location = Location(self._file, before.count(b"\n") + 1, column)
            problem = error.reason if "control" in error.reason else f"not valid UTF-8: {error.reason}"
            raise _syntax_error(problem, location) from error
        except yaml.MarkedYAMLError as error:
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            raise _syntax_error(problem, self._location(error.problem_mark)) from error

    def open_document(self) -> Event | None:
        """The first event of the root value, or None when the text holds no document."""
        self.next()  # start of the stream
        return None if self.next().__class__ is StreamEndEvent else self.next()

    def close_document(self) -> None:
        self.next()  # end of the document
        event = self.next()
        if event.__class__ is not StreamEndEvent:
            raise self.fault(event, "a second document starts here; only one is allowed in a file")

    def skip_free_text(self) -> None:
        event = self.next()
        if event.__class__ is not ScalarEvent:
            raise self.fault(event, f'"{FREE_KEY}" must be text')
        self.value(event, 2)

    def items(self) -> Iterator[Item]:
        """The entries of the sequence that comes next; null counts as an empty one."""
        start = self.next()
        if start.__class__ is ScalarEvent and self.value(start, 2) is None:
            return
        if start.__class__ is not SequenceStartEvent:
            raise self.fault(start, "expected a list")
        self.check_collection(start, "seq", 2)
        index, read = 0, self.next
        while (event := read()).__class__ is not SequenceEndEvent:
            events = [event]
            self.next = self._recorder(read, events)
            value = self.value(event, 3)
            self.next = read
            yield Item(value, index, event.start_mark.line + 1, Places(self._file, events.__iter__))
            index += 1

    def value(self, event: Event, depth: int) -> Any:
        """The value that starts with `event`; `depth` is the depth of a collection here, 1 at the top."""
        kind = event.__class__
        if kind is AliasEvent:
            return self._aliased(event, depth)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = _OPEN
        value: Any
        if kind is ScalarEvent:
            value = self._scalar(event)
        elif kind is MappingStartEvent:
            value = self._mapping(event, depth)
        else:
            value = self._sequence(event, depth)
        if anchor is not None:
            self._anchors[anchor] = value
        return value

    def key(self, event: Event) -> str:
        """The text of a mapping key."""
        if event.__class__ is not ScalarEvent:
            raise self.fault(event, "a mapping key must be text")
        key = self.value(event, 1)
        if not isinstance(key, str):
            raise self.fault(event, f"the mapping key {event.value[:80]!r} is not text: quote it")
        return key

    def check_collection(self, event: Event, name: str, depth: int) -> None:
        if depth > self._limits.max_depth:
            raise self._too_large(event, f"nested deeper than {self._limits.max_depth} levels")
        if event.tag is not None and event.tag != CORE_TAG + name:
            raise self.fault(event, f"the tag {event.tag[:80]} is not allowed here")

    def _scalar(self, event: Event) -> Any:
        text: str = event.value
        if event.style == '"' and "\0" in text:  # only an escape can smuggle one in, and databases refuse it
            raise self.fault(event, "text must not contain a NUL character")
        if event.tag is None and (event.style or text[:1] not in TYPED_STARTS):
            return text
        try:
            return parse_plain(text) if event.tag is None else parse_tagged(event.tag, text)
        except ValueError as error:
            raise self.fault(event, str(error)) from error

    def _sequence(self, start: Event, depth: int) -> list[Any]:
        self.check_collection(start, "seq", depth)
        result = []
        while (event := self.next()).__class__ is not SequenceEndEvent:
            result.append(self.value(event, depth + 1))
        return result

    def _mapping(self, start: Event, depth: int) -> dict[str, Any]:
        self.check_collection(start, "map", depth)
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[dict[str, Any]] = []
        while (event := self.next()).__class__ is not MappingEndEvent:
            key = self.key(event)
            if key in lines:
                raise self.duplicate(event, key, lines[key])
            lines[key] = event.start_mark.line + 1
            if key == "<<" and not event.style:
                merged += self._merge_sources(event, depth)
            else:
                result[key] = self.value(self.next(), depth + 1)
        for mapping in merged:
            for key, value in mapping.items():
                result.setdefault(key, value)
        return result

    def _merge_sources(self, event: Event, depth: int) -> list[dict[str, Any]]:
        """The mappings that a merge key (`<<: *base`) names, the strongest first."""
        value = self.value(self.next(), depth)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise self.fault(event, 'the merge key "<<" takes a mapping or a list of mappings')
        return mappings

    def _aliased(self, event: Event, depth: int) -> Any:
        value = self._anchors.get(event.anchor, _UNKNOWN)
        if value is _OPEN or value is _UNKNOWN:
            problem = "contains itself" if value is _OPEN else "has no anchor before it"
            raise self.fault(event, f"the alias *{event.anchor[:80]} {problem}")
        count, height = _measure(value, self._alias_budget)
        self._alias_budget -= count
        if self._alias_budget < 0:
            raise self._too_large(event, f"aliases expand to more than {self._limits.max_alias_nodes} nodes")
        if depth + height - 1 > self._limits.max_depth:
            raise self._too_large(event, f"the alias nests deeper than {self._limits.max_depth} levels")
        return value

    def _recorder(self, read: Callable[[], Event], events: list[Event]) -> Callable[[], Event]:
        """Like `read`, and remembers what was read, so that the item can say later where its parts are."""
        most = self._limits.max_item_events

        def read_and_keep() -> Event:
            event = read()
            events.append(event)
            if len(events) > most:
                raise self._too_large(events[0], f"one item has more than {most} parts")
            return event

        return read_and_keep
