"""Which models of a hub are wanted: the patterns of spec plugins.md 3.5, and the globs that take models out again.

A pattern must name its organisation, because a hub holds millions of models and can only be asked for one organisation
at a time. So it is stricter than a glob of sources/globs.py, whose meaning the excluding globs have. Pure: nothing is
asked here, hf_finder.py does that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from catalog_server.errors import Invalid

FORMS: Final = "write 'org/name', 'name', 'org/*' or 'org/prefix*'"
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_MODEL_ID: Final = re.compile(rf"(?:{_PART}/)?{_PART}")
_NAME: Final = re.compile(_PART)


@dataclass(frozen=True, slots=True)
class ModelPattern:
    """One model, or all of an organisation whose name begins with `name`. No `organization`: a model of old."""

    organization: str
    name: str
    is_prefix: bool = False

    @property
    def text(self) -> str:
        """The pattern as it would be written; also a glob over the names of the models that it takes."""
        start = f"{self.organization}/" if self.organization else ""
        return f"{start}{self.name}{'*' if self.is_prefix else ''}"

    @property
    def kept_names(self) -> str:
        """A glob over the names that models of this pattern can have been stored under.

        The hub answers for a bare name with the organisation that the model has moved to since.
        """
        return self.text if self.organization else f"*{self.name}"

    def matches(self, model_id: str) -> bool:
        wanted, given = self.text.removesuffix("*").casefold(), model_id.casefold()
        return given.startswith(wanted) if self.is_prefix else given == wanted


class ModelGlobs:
    """Globs over model names; `*` is the only wildcard, stands for `/` too, and case does not count."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._compiled = [_compile_glob(glob.strip()) for glob in globs]

    def match(self, model_id: str) -> bool:
        return any(one.fullmatch(model_id) for one in self._compiled)


def is_model_id(text: str) -> bool:
    """Whether the hub could have such a model. What passes can stand in the path of a URL as it is."""
    return _MODEL_ID.fullmatch(text) is not None


def parse_organization(text: str, field: str) -> str:
    """Raises Invalid: `text` cannot be the name of an organisation."""
    if _NAME.fullmatch(text.strip()) is None:
        raise _wrong(field, f"{text[:80]!r} is not the name of an organisation")
    return text.strip()


def parse_model_pattern(text: str, field: str) -> ModelPattern:
    """Raises Invalid: `text` has none of the FORMS."""
    start, slash, name = text.strip().rpartition("/")
    prefix, star, rest = name.partition("*")
    if not text.strip():
        raise _wrong(field, f"is empty: {FORMS}", "glob_empty")
    if slash and _NAME.fullmatch(start) is None:
        raise _wrong(field, f"{text[:80]!r} has no organisation before the '/': {FORMS}")
    if star and not slash:
        raise _wrong(field, f"{text[:80]!r} takes models of all organisations: {FORMS}")
    if rest:
        raise _wrong(field, f"{text[:80]!r}: '*' may stand at the end only; {FORMS}")
    if _NAME.fullmatch(prefix) is None and not (star and not prefix):
        raise _wrong(field, f"{text[:80]!r} is not the name of a model: {FORMS}")
    return ModelPattern(start, prefix, bool(star))


def restrict(pattern: str, organization: str, field: str) -> str:
    """`pattern` inside `organization`; one that is inside already stays as it is, so doing it twice does no harm.

    Raises:
        Invalid: the pattern is one of another organisation.
    """
    start, slash, name = pattern.strip().rpartition("/")
    if not slash:
        return f"{organization}/{name}"
    if start.casefold() != organization.casefold():
        raise _wrong(field, f"{pattern[:80]!r} is outside of the allowed organisation {organization!r}")
    return pattern.strip()


def _compile_glob(glob: str) -> re.Pattern[str]:
    head, *pieces = map(re.escape, glob.split("*"))
    if not pieces:
        return re.compile(head, re.IGNORECASE)
    *middle, tail = pieces
    # Each piece at its leftmost place, and never looked for again: many stars must not cost more than one look.
    found = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(f"{head}{found}.*{tail}", re.IGNORECASE | re.DOTALL)


def _wrong(field: str, problem: str, code: str = "property_invalid") -> Invalid:
    return Invalid(problem, field=field, code=code)
