"""The governance record of an asset: its sections, what each may hold, how it is stored and shown (spec 9.2). Pure.

One table declares the fields; the checks, the columns and the API document follow from it. The state of life is no
section: it changes by actions only (lifecycle.py).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.clock import format_ms, parse_ms
from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import nearest_key

RISK_LEVELS: Final = ("low", "medium", "high", "critical")
MAX_TEXTS: Final = 64
_MAX_WHOLE: Final = 1_000_000
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
_CAPITAL: Final = re.compile("([A-Z])")


class Kind(ABC):
    """What a field may hold."""

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The value as it is stored. Raises Invalid without a field."""

    def show(self, stored: Any) -> Any:
        """The value as clients see it."""
        return stored


@dataclass(frozen=True, slots=True)
class Text(Kind):
    max_length: int = 255

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[^\u0000]*$", "maxLength": self.max_length}

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > self.max_length:
            raise Invalid(f"must be text of at most {self.max_length} characters")
        return value


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    options: tuple[str, ...]

    @property
    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.options)}

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise Invalid(f"must be one of {', '.join(self.options)}")
        return value


@dataclass(frozen=True, slots=True)
class Texts(Kind):
    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "maxItems": MAX_TEXTS, "items": Text().schema}

    def read(self, value: Any) -> str:
        if not isinstance(value, list) or len(value) > MAX_TEXTS:
            raise Invalid(f"must be a list of at most {MAX_TEXTS} texts")
        return json.dumps([Text().read(one) for one in value], ensure_ascii=False)

    def show(self, stored: Any) -> list[str]:
        return list(json.loads(stored))


@dataclass(frozen=True, slots=True)
class Whole(Kind):
    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1, "maximum": _MAX_WHOLE}

    def read(self, value: Any) -> int:
        # JSON has one kind of number: 4.0 is whole.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int or not 1 <= number <= _MAX_WHOLE:
            raise Invalid(f"must be a whole number from 1 to {_MAX_WHOLE}")
        return number


@dataclass(frozen=True, slots=True)
class Moment(Kind):
    """RFC 3339; stored as milliseconds since the epoch."""

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def read(self, value: Any) -> int:
        moment = parse_ms(value) if isinstance(value, str) else None
        # What cannot be shown again is none: the first and last hours of the calendar in other zones.
        if moment is None or not _FIRST <= moment <= _LAST:
            raise Invalid("must be a time like 2031-04-01T10:00:00Z")
        return moment

    def show(self, stored: Any) -> str:
        return format_ms(stored)


Section = Mapping[str, Kind]
SECTIONS: Final[Mapping[str, Section]] = {
    "owner": {"principal": Text(), "displayName": Text(), "email": Text()},
    "team": {"name": Text(), "id": Text()},
    "sla": {"tier": Choice(("gold", "silver", "bronze", "none")), "responseHours": Whole()},
    "risk": {"level": Choice(RISK_LEVELS), "categories": Texts()},
    "intendedUse": {"summary": Text(2000), "environments": Texts(), "restrictions": Texts()},
    "compliance": {"tags": Texts(), "controls": Texts()},
    "audit": {"lastReviewedAt": Moment(), "reviewCadenceDays": Whole()},
}
Columns = dict[str, Any]
DEFAULT_RISK: Final = "medium"
RISK_COLUMN: Final = "risk_level"


def column_of(section: str, field: str) -> str:
    """`intendedUse`, `environments` -> `intended_use_environments`."""
    return _CAPITAL.sub(r"_\1", f"{section}_{field}").lower()


def read_patch(body: Mapping[str, Any]) -> Columns:
    """What a PATCH says, as columns: a section that is given replaces all of the section, null clears it.

    Raises:
        Invalid: a section or field is unknown, or a value wrong; nothing of the patch counts then.
    """
    columns: Columns = {}
    for name, given in body.items():
        if name == "lifecycle":
            raise Invalid("changes by the actions lifecycle.* only, which check it and ask for approval", field=name)
        section = SECTIONS.get(name)
        if section is None:
            raise Invalid(f"unknown section: {nearest_key(name, SECTIONS)}", field=name[:80])
        columns |= _read_section(name, section, given)
    return columns


def _read_section(name: str, section: Section, given: Any) -> Columns:
    columns: Columns = {column_of(name, field): None for field in section}
    if name == "risk":
        columns[RISK_COLUMN] = DEFAULT_RISK
    if given is None:
        return columns
    if not isinstance(given, dict):
        raise Invalid("must be an object", field=name)
    for field, value in given.items():
        if field not in section:
            raise Invalid(f"unknown field: {nearest_key(field, section)}", field=f"{name}.{field[:80]}")
        if value is None:
            continue
        try:
            columns[column_of(name, field)] = section[field].read(value)
        except Invalid as error:
            raise Invalid(error.reason, field=f"{name}.{field}") from None
    return columns


def sections_of(columns: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections as clients see them: what is empty is left out."""
    shown = {}
    for name, section in SECTIONS.items():
        values = {
            field: kind.show(stored)
            for field, kind in section.items()
            if (stored := columns.get(column_of(name, field))) is not None
        }
        filled = {field: value for field, value in values.items() if value not in ("", [])}
        # A tier is what makes an agreement of it.
        if filled and not (name == "sla" and "tier" not in filled):
            shown[name] = filled
    return shown


def patch_schema() -> dict[str, Any]:
    """The body of a PATCH as JSON Schema."""
    return {
        "type": "object",
        "title": "GovernancePatch",
        "additionalProperties": False,
        "properties": {name: _section_schema(section) for name, section in SECTIONS.items()},
    }


def _section_schema(section: Section) -> dict[str, Any]:
    fields = {field: {"anyOf": [kind.schema, {"type": "null"}]} for field, kind in section.items()}
    return {"type": ["object", "null"], "additionalProperties": False, "properties": fields}
