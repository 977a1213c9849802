"""What a condition means, on the values that one entity has for the field (spec plugins.md 2.3).

This is the reference for every other evaluation, such as the SQL of the database layer. Combining conditions is
left to the caller: a Negation is the plain complement, a SameChild asks for one child that satisfies its term.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from catalog_server.query.checker import Condition
from catalog_server.query.fields import ValueType
from catalog_server.query.nodes import LIKES, Operator, Scalar, literals_of

# Any: both sides are of one family by then, which the type of `operator.lt` cannot say.
_ORDERINGS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LESS: operator.lt,
    Operator.LESS_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_EQUAL: operator.ge,
}
_NEGATIVES = frozenset({Operator.NOT_EQUAL, Operator.NOT_IN})


def matches(condition: Condition, values: Sequence[Scalar]) -> bool:
    """Whether an entity with these values for the field satisfies the condition. Empty means missing.

    Values of another type than the operand (number, text or boolean) count as missing, so they do not match `!=`.
    """
    present = _of_type(values, condition.only)
    if condition.operator is Operator.IS_NULL:
        return not present
    if condition.operator is Operator.IS_NOT_NULL:
        return bool(present)
    literals = literals_of(condition.value)
    comparable = _comparable(present, literals)
    if not comparable:
        return False
    if condition.operator in LIKES:
        return _matches_like(condition, values, comparable)
    ordering = _ORDERINGS.get(condition.operator)
    if ordering is not None:
        return any(ordering(value, literal) for value in comparable for literal in literals)
    found = _contains_any(comparable, literals, fold=condition.field.fold_equality)
    return found != (condition.operator in _NEGATIVES)


@lru_cache(maxsize=256)
def like_pattern(pattern: str, *, fold: bool = False, bare_substring: bool = False) -> Callable[[str], bool]:
    """A test for the whole text: `%` is any run, `_` one character, a backslash makes the next one literal.

    `fold` ignores case. With `bare_substring`, a pattern without `%` is a case-insensitive substring, in which `_`
    is literal. Time grows linearly with the text: segments between the `%` are taken leftmost, never retried.
    """
    if bare_substring and not _has_run(pattern):
        needle = _literal_text(pattern).casefold()
        return lambda text: needle in text.casefold()
    inside = _only_substring(pattern)
    if inside is not None:
        if fold:
            return lambda text: inside.casefold() in text.casefold()
        return lambda text: inside in text
    segments = [_build_segment(characters) for characters in _split(pattern.casefold() if fold else pattern)]
    if fold:
        return lambda text: _matches_segments(segments, text.casefold())
    return lambda text: _matches_segments(segments, text)


def _only_substring(pattern: str) -> str | None:
    """The text of a `%text%` without anything special in between, by far the most frequent pattern."""
    inside = pattern[1:-1]
    is_plain = len(pattern) > 2 and pattern[0] == pattern[-1] == "%" and not set(inside) & set("%_\\")
    return inside if is_plain else None


def literal_chunk(pattern: str) -> str:
    """The longest run of literal characters; every text that matches the pattern contains it.

    For a case-insensitive match both sides have to be casefolded first. Empty if there is no literal character.
    """
    runs = [""]
    for segment in _split(pattern):
        runs.append("")
        for character in segment:
            if character is None:
                runs.append("")
            else:
                runs[-1] += character
    return max(runs, key=len)


def _of_type(values: Sequence[Scalar], only: ValueType | None) -> Sequence[Scalar]:
    if only is None or only is ValueType.ANY:
        return values
    if only is ValueType.INTEGER:
        return [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    # An integral double may have been stored as an integer, so NUMBER takes both.
    wanted = {ValueType.STRING: str, ValueType.BOOLEAN: bool, ValueType.NUMBER: float}[only]
    return [value for value in values if _family(value) is wanted]


def _family(value: Scalar) -> type:
    """Values compare only within their family: text, booleans, numbers. A boolean never equals a number."""
    if isinstance(value, str):
        return str
    return bool if isinstance(value, bool) else float


def _comparable(values: Sequence[Scalar], literals: tuple[Scalar, ...]) -> Sequence[Scalar]:
    if not literals:
        # Only the empty list gets here: nothing is IN it, and everything present is NOT IN it.
        return values
    families = {_family(literal) for literal in literals}
    return [value for value in values if _family(value) in families]


def _contains_any(values: Sequence[Scalar], literals: tuple[Scalar, ...], *, fold: bool) -> bool:
    wanted = {_identity(literal, fold=fold) for literal in literals}
    return any(_identity(value, fold=fold) in wanted for value in values)


def _identity(value: Scalar, *, fold: bool) -> tuple[type, Scalar]:
    return _family(value), value.casefold() if fold and isinstance(value, str) else value


def _matches_like(condition: Condition, values: Sequence[Scalar], comparable: Sequence[Scalar]) -> bool:
    """On each text; of a list that holds some text, also on the JSON text of the whole list."""
    accepts = like_pattern(
        str(condition.value),
        fold=condition.operator is Operator.ILIKE,
        bare_substring=condition.field.bare_like_is_substring,
    )
    if any(accepts(str(value)) for value in comparable):
        return True
    if not condition.field.array and len(values) == 1:
        return False
    return accepts(list_text(values))


def list_text(values: Sequence[Scalar]) -> str:
    """The compact JSON text of a list, which LIKE looks into besides its elements."""
    text: str = msgspec.json.encode(values).decode()
    return text


class _Segment(Protocol):
    """What stands between two `%`; it matches texts of exactly one length."""

    @property
    def length(self) -> int: ...

    def is_at(self, text: str, start: int) -> bool: ...

    def find(self, text: str, start: int) -> int:
        """The first place from `start` on, or -1."""
        ...


class _Literal:
    """A segment without `_`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.length = len(text)

    def is_at(self, text: str, start: int) -> bool:
        return text.startswith(self._text, start)

    def find(self, text: str, start: int) -> int:
        return text.find(self._text, start)


class _Wildcards:
    """A segment with `_`. The search is Shift-And: bit i of the state says that the first i+1 characters fit here."""

    def __init__(self, characters: Sequence[str | None]) -> None:
        self._characters = characters
        self.length = len(characters)
        self._anything = sum(1 << index for index, character in enumerate(characters) if character is None)
        self._masks: dict[str, int] = {}
        for index, character in enumerate(characters):
            if character is not None:
                self._masks[character] = self._masks.get(character, self._anything) | 1 << index

    def is_at(self, text: str, start: int) -> bool:
        piece = text[start : start + self.length]
        return len(piece) == self.length and all(
            wanted is None or wanted == actual for wanted, actual in zip(self._characters, piece, strict=True)
        )

    def find(self, text: str, start: int) -> int:
        state, complete = 0, 1 << (self.length - 1)
        for index in range(start, len(text)):
            state = (state << 1 | 1) & self._masks.get(text[index], self._anything)
            if state & complete:
                return index - self.length + 1
        return -1


def _build_segment(characters: Sequence[str | None]) -> _Segment:
    literal = [character for character in characters if character is not None]
    return _Literal("".join(literal)) if len(literal) == len(characters) else _Wildcards(characters)


def _matches_segments(segments: Sequence[_Segment], text: str) -> bool:
    first, last = segments[0], segments[-1]
    if len(segments) == 1:
        return len(text) == first.length and first.is_at(text, 0)
    position, end = first.length, len(text) - last.length
    if end < position or not first.is_at(text, 0) or not last.is_at(text, end):
        return False
    for segment in segments[1:-1]:
        found = segment.find(text, position)
        position = found + segment.length
        if found < 0 or position > end:
            return False
    return True


def _split(pattern: str) -> list[list[str | None]]:
    """The segments between the `%`, unescaped; None stands for `_`. A backslash at the very end is literal."""
    segments: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            segments.append([])
        elif character == "_":
            segments[-1].append(None)
        else:
            segments[-1].append(next(characters, character) if character == "\\" else character)
    return segments


def _has_run(pattern: str) -> bool:
    return len(_split(pattern)) > 1


def _literal_text(pattern: str) -> str:
    return "".join("_" if character is None else character for character in _split(pattern)[0])
