"""Typed reading of a source's `properties`, for all providers: one wording and one set of codes for what is wrong.

Codes: `unknown_field`, `property_required`, `property_type`, `property_invalid`. A message never repeats a value that
may be a secret. References to secrets are resolved before a provider is called; one that arrives here is a fault.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import nearest_key

SHARED_KEYS: Final = ("excludedModels",)
"""Keys that the server itself reads from the properties of any source."""
SYNC_INTERVAL_KEY: Final = "syncInterval"
SYNC_INTERVAL_DEFAULT: Final = timedelta(hours=1)
_LONGEST_DURATION: Final = timedelta(days=30)
_DURATION: Final = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")


class Properties:
    """The properties of one source. A key with the value null counts as absent.

    Raises:
        Invalid: there is a key that is neither in `known` nor one of SHARED_KEYS.
    """

    def __init__(self, given: Mapping[str, Any], known: Collection[str], within: str = "") -> None:
        self._given = given
        self._within = f"{within}." if within else ""
        for key in given:
            if key not in known and (within or key not in SHARED_KEYS):
                name = self._within + str(key)[:80]
                raise Invalid(
                    f'unknown property "{name}": {nearest_key(str(key)[:80], known)}',
                    field=f"properties.{name}",
                    code="unknown_field",
                )

    def has(self, key: str) -> bool:
        return self._given.get(key) is not None

    def text(self, key: str) -> str | None:
        value = self._given.get(key)
        if value is None:
            return None
        if isinstance(value, bool | int | float):
            # YAML reads 1234567 or 1.0 as a number, which loses zeros: `str()` would not give back what was written.
            raise wrong_type(self._within + key, "must be text; put it in quotes")
        if not isinstance(value, str):
            raise wrong_type(self._within + key, "must be text")
        if not value.strip():
            raise wrong_value(self._within + key, "is empty")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise wrong_value(self._within + key, "holds control characters")
        return value

    def require_text(self, key: str, meaning: str) -> str:
        value = self.text(key)
        if value is None:
            name = self._within + key
            raise Invalid(f"{name!r} is required: {meaning}", field=f"properties.{name}", code="property_required")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """One text or a list of texts."""
        value = self._given.get(key)
        if value is None or isinstance(value, str):
            return None if value is None else (value,)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise wrong_type(self._within + key, "must be text or a list of text")
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._given.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise wrong_type(self._within + key, "must be true or false")
        return value

    def count(self, key: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self._given.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(self._within + key, "must be a whole number")
        if not 1 <= value <= most:
            raise wrong_value(self._within + key, f"must be between 1 and {most}")
        return value

    def part(self, key: str, known: Collection[str]) -> Properties | None:
        """A map inside the properties, with keys of its own."""
        value = self._given.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise wrong_type(self._within + key, "must be a map")
        return Properties(value, known, self._within + key)

    def duration(self, key: str, default: timedelta) -> timedelta:
        if self._given.get(key) is None:
            return default
        found = parse_duration(self.text(key) or "")
        if found is None:
            raise wrong_value(self._within + key, "must be a duration of at most 30 days such as 30s, 5m or 1h30m")
        return found

    def timeout(self, default_seconds: float, longest: timedelta) -> float:
        """Seconds for a whole fetch, from the property `timeout`."""
        found = self.duration("timeout", timedelta(seconds=default_seconds))
        if not timedelta(0) < found <= longest:
            raise wrong_value("timeout", f"must be between 1s and {longest.seconds // 60}m")
        return found.total_seconds()

    def secret(self, key: str) -> str | None:
        """The text of a resolved secret, without the line end that a mounted file brings along."""
        value = self._given.get(key)
        if value is None:
            return None
        if isinstance(value, Mapping):
            raise wrong_type(self._within + key, "refers to a secret that was not resolved")
        if not isinstance(value, str):
            raise wrong_type(self._within + key, "must be text or a reference {name, key} to a secret")
        value = value.strip()
        if not value:
            raise wrong_value(self._within + key, "is an empty secret")
        if "\0" in value:
            raise wrong_value(self._within + key, "is a secret with a NUL character")
        return value

    def one_line_secret(self, key: str) -> str | None:
        value = self.secret(key)
        if value is not None and not value.isprintable():
            raise wrong_value(self._within + key, "is a secret with control characters")
        return value


def parse_duration(text: str) -> timedelta | None:
    """`30s`, `5m`, `1h30m`; None when the text is no duration, or one of more than 30 days."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    found = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return found if found <= _LONGEST_DURATION else None


def sync_interval(
    properties: Mapping[str, Any], alias: str = SYNC_INTERVAL_KEY, default: timedelta = SYNC_INTERVAL_DEFAULT
) -> timedelta | None:
    """How often a remote source wants to be fetched; None for `0s`, which means only when asked.

    Raises:
        Invalid: `syncInterval`, or its `alias`, is no duration, or both are given.
    """
    given = Properties(properties, properties)
    if alias != SYNC_INTERVAL_KEY and given.has(alias) and given.has(SYNC_INTERVAL_KEY):
        raise wrong_value(alias, f"means the same as {SYNC_INTERVAL_KEY!r}: give only one of them")
    found = given.duration(alias if given.has(alias) else SYNC_INTERVAL_KEY, default)
    return found or None


@contextmanager
def blame(key: str) -> Iterator[None]:
    """What is wrong with the file or folder that a property names is wrong with that property."""
    try:
        yield
    except Invalid as error:
        raise type(error)(error.reason, field=f"properties.{key}", code=error.code) from error


def wrong_type(key: str, problem: str) -> Invalid:
    return Invalid(f"{key!r} {problem}", field=f"properties.{key}", code="property_type")


def wrong_value(key: str, problem: str, code: str = "property_invalid") -> Invalid:
    return Invalid(f"{key!r} {problem}", field=f"properties.{key}", code=code)
