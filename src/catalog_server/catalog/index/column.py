"""One field of all entities: the values forwards (position -> value) and backwards (condition -> positions)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from catalog_server.catalog.index.numbers import COMPARE, Numbers
from catalog_server.catalog.index.terms import EMPTY, Terms, TermsBuilder, to_bitmap
from catalog_server.query.checker import Condition
from catalog_server.query.fields import ValueType
from catalog_server.query.nodes import LIKES, ORDERINGS, Operator, Scalar
from catalog_server.query.predicate import like_pattern, list_text, literal_chunk, matches

Value = Scalar | tuple[Scalar, ...] | None
_TEXT_TYPES = {str, type(None)}
_NEGATIVES = (Operator.NOT_EQUAL, Operator.NOT_IN)


class Column:
    """Immutable; `changed` makes the next version. `values[position]` is None where the field is missing."""

    __slots__ = ("flags", "lists", "numbers", "texts", "texts_at", "values")

    def __init__(
        self,
        values: list[Value],
        texts: Terms,
        texts_at: BitMap,
        numbers: Numbers,
        flags: Mapping[bool, BitMap],
        lists: Terms,
    ) -> None:
        self.values = values
        self.texts = texts
        self.texts_at = texts_at
        self.numbers = numbers
        self.flags = flags
        self.lists = lists
        """JSON text of the values that are lists, which LIKE looks into (spec plugins.md 2.3)."""

    @classmethod
    def build(cls, values: list[Value]) -> Column:
        """From the value at each position. Takes the list over."""
        kinds = set(map(type, values)) - {type(None)}
        if not kinds:
            return cls(values, _NO_TERMS, EMPTY, _NO_NUMBERS, _NO_FLAGS, _NO_TERMS)
        if kinds == {str}:
            builder = ColumnBuilder()
            builder.extend(values)
            return builder.build()
        if kinds <= {int, float}:
            positions, numbers = _present(values)
            return cls(values, _NO_TERMS, EMPTY, Numbers.of(positions, numbers), _NO_FLAGS, _NO_TERMS)
        return cls._build_lists(values) if kinds == {tuple} else cls._build_mixed(values)

    @classmethod
    def of_texts(cls, builder: TermsBuilder, size: int) -> Column:
        """From the texts that were gathered for `size` positions; the field is missing where there is none."""
        values: list[Value] = [*builder.each(size)]
        at = to_bitmap(builder.positions())
        return cls(values, builder.build() if at else _NO_TERMS, at, _NO_NUMBERS, _NO_FLAGS, _NO_TERMS)

    @classmethod
    def _build_lists(cls, values: list[Value]) -> Column:
        positions, lists = _present(values)
        elements = list(chain.from_iterable(lists))
        if set(map(type, elements)) != {str}:
            return cls._build_mixed(values)
        builder, whole = TermsBuilder(), TermsBuilder()
        builder.add(np.repeat(positions, [len(one) for one in lists]), elements)
        whole.add(positions, [list_text(one) for one in lists])
        return cls(values, builder.build(), to_bitmap(positions), _NO_NUMBERS, _NO_FLAGS, whole.build())

    @classmethod
    def _build_mixed(cls, values: list[Value]) -> Column:
        split = _Split(enumerate(values))
        flags = {flag: BitMap([p for p, value in split.flags if value is flag]) for flag in (True, False)}
        return cls(
            values,
            Terms.build(split.texts),
            BitMap([position for position, _ in split.texts]),
            Numbers.build(split.numbers),
            flags if split.flags else _NO_FLAGS,
            Terms.build(split.lists),
        )

    def changed(self, updates: Sequence[tuple[int, Value]], size: int) -> Column:
        """The next version, with `size` positions, in which the given positions have new values."""
        values = self.values.copy()
        values.extend([None] * (size - len(values)))
        real = [(position, value) for position, value in updates if not _is_same(values[position], value)]
        if not real:
            return Column(values, self.texts, self.texts_at, self.numbers, self.flags, self.lists)
        old = _Split([(position, values[position]) for position, _ in real])
        new = _Split(real)
        for position, value in real:
            values[position] = value
        gone = BitMap([position for position, _ in real])
        return Column(
            values,
            self.texts.changed(old.texts, new.texts) if old.texts or new.texts else self.texts,
            (self.texts_at - gone) | BitMap([position for position, _ in new.texts]),
            self.numbers.changed(gone, new.numbers) if old.numbers or new.numbers else self.numbers,
            {f: (at - gone) | BitMap([p for p, v in new.flags if v is f]) for f, at in self.flags.items()},
            self.lists.changed(old.lists, new.lists) if old.lists or new.lists else self.lists,
        )

    @property
    def is_empty(self) -> bool:
        return not self._present(None)

    @property
    def has_lists(self) -> bool:
        """Whether some value is a list."""
        return any(True for _ in self.lists.texts())

    def of(self, position: int) -> tuple[Scalar, ...]:
        """The values at one position; empty where the field is missing."""
        value = self.values[position]
        if value is None:
            return ()
        return value if isinstance(value, tuple) else (value,)

    def accepts(self, condition: Condition, position: int) -> bool:
        """Whether one position satisfies the condition; for few candidates cheaper than `select`."""
        return matches(condition, self.of(position))

    def bounds(self) -> tuple[float, float] | None:
        """The smallest and the largest number, whole ones as integers; None where there is no number."""
        ends = self.numbers.bounds()
        if ends is None:
            return None
        if not self.numbers.is_exact(0):  # the sorted keys are floats, in which large whole numbers lose digits
            at = self.numbers.select(Operator.EQUAL, ends[0]) | self.numbers.select(Operator.EQUAL, ends[1])
            found = [one for position in at for one in self.of(position) if not isinstance(one, str | bool)]
            ends = min(found), max(found)
        return _shortened(ends[0]), _shortened(ends[1])

    def estimate(self, condition: Condition) -> int | None:
        """How many positions `select` would give, where that is cheap to know."""
        value = condition.value
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, str):
            is_equality = condition.operator is Operator.EQUAL and not condition.field.fold_equality
            return self.texts.count(value) if is_equality else None
        if isinstance(value, tuple) or condition.operator not in COMPARE:
            return None
        return self.numbers.count(condition.operator, value)

    def select(self, condition: Condition) -> BitMap:
        """The positions that satisfy the condition. IS NULL is the caller's: only it knows which positions live."""
        op = condition.operator
        if op is Operator.IS_NOT_NULL:
            return self._present(condition.only)
        literals = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        if op in LIKES:
            return self._like(condition)
        if op in ORDERINGS:
            return self._ordered(op, condition)
        equal = [self._equal(literal, condition) for literal in literals if literal is not None]
        found = equal[0] if len(equal) == 1 else BitMap.union(EMPTY, *equal)
        if op not in _NEGATIVES:
            return found
        return self._comparable(condition, literals) - found

    def _present(self, only: ValueType | None) -> BitMap:
        if only is ValueType.STRING:
            return self.texts_at
        if only is ValueType.BOOLEAN:
            return self.flags[True] | self.flags[False]
        if only is ValueType.NUMBER:
            return self.numbers.at
        if only is ValueType.INTEGER:
            return self._filter(self.numbers.at, lambda value: isinstance(value, int) and not isinstance(value, bool))
        return self.texts_at | self.numbers.at | self.flags[True] | self.flags[False]

    def _comparable(self, condition: Condition, literals: tuple[Scalar | None, ...]) -> BitMap:
        """Positions with a value of a type that the literals can be compared with."""
        if not literals:
            return self._present(condition.only)
        present = BitMap.union(*map(self._like_typed, literals)) if len(literals) > 1 else self._like_typed(literals[0])
        return present if condition.only is None else present & self._present(condition.only)

    def _like_typed(self, literal: Scalar | None) -> BitMap:
        """Positions with a value of the literal's type."""
        if isinstance(literal, bool):
            return self.flags[True] | self.flags[False]
        return self.texts_at if isinstance(literal, str) else self.numbers.at

    def _equal(self, literal: Scalar, condition: Condition) -> BitMap:
        if isinstance(literal, bool):
            return self.flags[literal]
        if not isinstance(literal, str):
            return self._number(Operator.EQUAL, literal, condition.only)
        if not condition.field.fold_equality:
            return self.texts.positions(literal)
        folded = literal.casefold()
        return self._texts_where(lambda text: text.casefold() == folded)

    def _ordered(self, op: Operator, condition: Condition) -> BitMap:
        literal = condition.value
        if isinstance(literal, str):
            compare = COMPARE[op]
            return self._texts_where(lambda text: compare(text, literal))  # type: ignore[arg-type]
        assert isinstance(literal, int | float)
        return self._number(op, literal, condition.only)

    def _number(self, op: Operator, literal: float, only: ValueType | None) -> BitMap:
        whole = only is ValueType.INTEGER
        if self.numbers.is_exact(literal) and not whole:
            return self.numbers.select(op, literal)
        compare = COMPARE[op]
        return self._filter(
            self.numbers.at,
            lambda value: (
                not isinstance(value, str | bool) and (isinstance(value, int) or not whole) and compare(value, literal)
            ),
        )

    def _filter(self, positions: BitMap, accepts: Callable[[Scalar], bool]) -> BitMap:
        return BitMap([position for position in positions if any(map(accepts, self.of(position)))])

    def _texts_where(self, accepts: Callable[[str], bool]) -> BitMap:
        terms = self.texts
        found = [(text, number) for text, number in terms.ids.items() if accepts(text)]
        if len(found) == 1:  # most choices are written in one way only: its bitmap is there already
            return terms.positions(found[0][0])
        return terms.union([number for _, number in found])

    def _like(self, condition: Condition) -> BitMap:
        pattern = str(condition.value)
        bare = condition.field.bare_like_is_substring
        accepts = like_pattern(pattern, fold=condition.operator is Operator.ILIKE, bare_substring=bare)
        # Both sides are case-folded here: that finds all that could match, and `accepts` has the last word.
        chunk = literal_chunk(pattern).casefold()
        found = _matching(self.texts, chunk, accepts)
        if not len(self.lists):
            return found
        lists = _matching(self.lists, chunk, accepts) & self.texts_at
        if not condition.field.array:  # a free-form value: one element is a scalar in a list's clothes
            lists = BitMap([position for position in lists if len(self.of(position)) > 1])
        return found | lists


class ColumnBuilder:
    """Gathers the values at positions 0, 1, 2, …, portion by portion.

    Texts, which most values are, become numbers at once: equal ones are one object from the first, and what is done
    with them later finds its data in the cache.
    """

    def __init__(self) -> None:
        self._size = 0
        self._texts = TermsBuilder()
        self._others: list[Value] | None = None
        """All values, once there was one that is no text."""

    def extend(self, values: Sequence[Value]) -> None:
        if self._others is None and not _TEXT_TYPES.issuperset(map(type, values)):
            self._others = [*self._texts.each(self._size)]
        if self._others is None:
            self._texts.add(*_present(values, self._size))
        else:
            self._others.extend(values)
        self._size += len(values)

    def fill(self, size: int) -> None:
        """Let the field be missing at all further positions up to `size`."""
        self.extend([None] * (size - self._size))

    def build(self) -> Column:
        return Column.of_texts(self._texts, self._size) if self._others is None else Column.build(self._others)


def _shortened(number: float) -> float:
    """`3.0` -> `3`, but not `1e300`, which would become 301 digits."""
    is_whole = isinstance(number, float) and number.is_integer() and abs(number) < 2**53
    return int(number) if is_whole else number


def _present(values: Sequence[Value], first: int = 0) -> tuple[npt.NDArray[np.uint32], list[Any]]:
    """Positions, counted from `first`, that hold something, and what they hold."""
    found = [value for value in values if value is not None]
    if len(found) == len(values):
        return np.arange(first, first + len(values), dtype=np.uint32), found
    return np.array([p for p, value in enumerate(values, first) if value is not None], dtype=np.uint32), found


def _is_same(one: Value, other: Value) -> bool:
    """Equal and of the same type: to Python, 1, 1.0 and True are equal."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return type(one) is type(other) and one == other


def _matching(terms: Terms, chunk: str, accepts: Callable[[str], bool]) -> BitMap:
    numbers = terms.containing(chunk).tolist() if chunk else range(len(terms))
    return terms.union([number for number in numbers if accepts(terms.text(number))])


_NO_TERMS = Terms.build(())
_NO_NUMBERS = Numbers.build([])
_NO_FLAGS: Mapping[bool, BitMap] = MappingProxyType({True: EMPTY, False: EMPTY})


class _Split:
    """(position, value) pairs sorted into texts, numbers, flags and lists."""

    def __init__(self, pairs: Iterable[tuple[int, Value]]) -> None:
        self.texts: list[tuple[int, str]] = []
        self.numbers: list[tuple[int, float]] = []
        self.flags: list[tuple[int, bool]] = []
        self.lists: list[tuple[int, str]] = []
        for position, value in pairs:
            if value is None:
                continue
            if isinstance(value, tuple):
                self.lists.append((position, list_text(value)))
                for _, one in dict.fromkeys((type(one), one) for one in value):  # to Python, 1 and True are equal
                    self._add(position, one)
            else:
                self._add(position, value)

    def _add(self, position: int, value: Scalar) -> None:
        if isinstance(value, str):
            self.texts.append((position, value))
        elif isinstance(value, bool):
            self.flags.append((position, value))
        else:
            self.numbers.append((position, value))
