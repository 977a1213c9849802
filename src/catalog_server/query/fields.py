"""What the checker needs to know about names: the role `Fields` and the description of one field.

Which fields a kind has is decided by its schema, which plays the role; nothing in here lists any.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ValueType(StrEnum):
    """The type of a field's value, or of one element if the field is an array."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ANY = "any"
    """A custom property or a free-form path: any scalar, the literal decides."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a filter may name. `name` is canonical and dotted, for example `safety.riskLevel`."""

    name: str
    type: ValueType
    array: bool = False
    fold_equality: bool = False
    """=, !=, IN and NOT IN ignore case: an enum-like select field."""
    bare_like_is_substring: bool = False
    """LIKE and ILIKE without % mean a case-insensitive substring."""
    child: str | None = None
    """The collection of child entities that the field belongs to, for example `artifacts`."""


class Fields(Protocol):
    """The names that a filter on one kind may use."""

    def resolve(self, path: tuple[str, ...], quoted: bool) -> Field | None:
        """The field of that name, without a type suffix, or None. `quoted`: a segment was in back-quotes."""
        ...

    def suggest(self, name: str) -> str | None:
        """The valid name nearest to `name`, or None if none is near."""
        ...
