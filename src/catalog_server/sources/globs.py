"""Which entities of a source are taken: include and exclude patterns over the entity name.

For: `includedItems` and `excludedItems` of every plugin. `*` is the only wildcard and stands for any run of
characters, `/` too; case does not count; the whole name must match.
Not for: file patterns of git sources, where `*` stops at a slash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from catalog_server.errors import Invalid


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The pieces between the stars; `head` and `tail` are anchored, `middle` may stand anywhere in order."""

    head: str
    middle: tuple[str, ...]
    tail: str

    def matches(self, name: str) -> bool:
        end = len(name) - len(self.tail)
        position = len(self.head)
        if position > end or not (name.startswith(self.head) and name.endswith(self.tail)):
            return False
        # The leftmost place of each piece leaves the most room for the rest, so there is never a need to go back.
        for piece in self.middle:
            found = name.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True


class _PatternSet:
    def __init__(self, patterns: Sequence[str], list_name: str) -> None:
        self._exact: set[str] = set()
        self._globs: list[_Pattern] = []
        for index, pattern in enumerate(patterns):
            head, *rest = check_pattern(pattern, index, list_name).casefold().split("*")
            if rest:
                *middle, tail = rest
                self._globs.append(_Pattern(head, tuple(filter(None, middle)), tail))
            else:
                self._exact.add(head)

    def __bool__(self) -> bool:
        return bool(self._exact or self._globs)

    def matches(self, name: str) -> bool:
        return name in self._exact or any(glob.matches(name) for glob in self._globs)


def check_pattern(pattern: str, index: int, list_name: str) -> str:
    """Return `pattern` without the blanks around it; raise Invalid when nothing is left."""
    trimmed = pattern.strip()
    if not trimmed:
        raise Invalid(
            f"{list_name}[{index}]: pattern cannot be empty", field=f"{list_name}[{index}]", code="glob_empty"
        )
    return trimmed


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """An empty `included` takes everything; then any match in `excluded` rejects. Compiled once, linear per name."""

    included: Sequence[str] = ()
    excluded: Sequence[str] = ()
    _wanted: _PatternSet = field(init=False, repr=False, compare=False)
    _rejected: _PatternSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_wanted", _PatternSet(self.included, "included"))
        object.__setattr__(self, "_rejected", _PatternSet(self.excluded, "excluded"))

    def accepts(self, name: str) -> bool:
        folded = name.strip().casefold()
        if self._wanted and not self._wanted.matches(folded):
            return False
        return not self._rejected.matches(folded)
