"""Which files of a tree a source takes: globs over paths with `/` (spec plugins.md 3.3).

`**` as a whole segment stands for any number of folders, none too; `*` and `?` stay within a segment. All other
characters mean themselves, and case counts.
Not for: patterns over entity names (sources/globs.py), where `*` crosses a slash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from catalog_server.errors import Invalid

_LONGEST_GLOB: Final = 1024
_MOST_GLOBS: Final = 100
_ANY_FOLDERS: Final = "**"
P = TypeVar("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PathGlobs:
    """A path is taken when one of the globs matches the whole of it."""

    globs: tuple[tuple[str, ...], ...]

    def match(self, path: str) -> bool:
        segments = path.split("/")
        return any(_matches(glob, segments, _is_any_folders, _segment_matches) for glob in self.globs)


def parse_path_globs(texts: Sequence[str], field: str) -> PathGlobs:
    """Compile the globs. Raises Invalid with `field` and the code `glob_invalid` for one that can match nothing."""
    if not texts or len(texts) > _MOST_GLOBS:
        raise Invalid(f"must be one to {_MOST_GLOBS} globs", field=field, code="glob_invalid")
    return PathGlobs(tuple(_parse_glob(text, field) for text in texts))


def _parse_glob(text: str, field: str) -> tuple[str, ...]:
    shown = repr(text[:100])
    if not text or len(text) > _LONGEST_GLOB or not text.isprintable():
        problem = f"the glob {shown} must have 1 to {_LONGEST_GLOB} printable characters"
        raise Invalid(problem, field=field, code="glob_invalid")
    segments = text.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        problem = f"the glob {shown} must be a path inside the repository, without '..', '.' or a slash at either end"
        raise Invalid(problem, field=field, code="glob_invalid")
    if segments[-1] == _ANY_FOLDERS:  # `data/**` means what lies below data, not a file of that name
        segments.append("*")
    return tuple(segments)


def _is_any_folders(segment: str) -> bool:
    return segment == _ANY_FOLDERS


def _segment_matches(pattern: str, segment: str) -> bool:
    return _matches(pattern, segment, lambda one: one == "*", lambda one, given: one in ("?", given))


def _matches(
    pattern: Sequence[P], given: Sequence[T], is_star: Callable[[P], bool], is_same: Callable[[P, T], bool]
) -> bool:
    """Match from left to right; after a dead end, let the last star take one more. Never worse than len * len.

    A star further left need not be tried again: what it could take, the last one can take as well.
    """
    at, position = 0, 0
    star, taken = -1, 0
    while position < len(given):
        if at < len(pattern) and is_star(pattern[at]):
            star, taken = at, position
            at += 1
        elif at < len(pattern) and is_same(pattern[at], given[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            taken += 1
            at, position = star + 1, taken
        else:
            return False
    return all(is_star(one) for one in pattern[at:])
