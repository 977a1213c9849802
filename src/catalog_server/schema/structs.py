"""msgspec's words about a value that does not fit -> ours: the JSON path as field, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_places import PathStep

T = TypeVar("T")
Nearest = Callable[[str, str], str | None]
"""(key, path of the object that holds it) -> the declared key that was probably meant."""

_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_AT_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")
_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


def convert(value: object, kind: type[T], nearest: Nearest = lambda key, parent: None) -> T:
    """`value` as a struct.

    Raises:
        Invalid: it does not fit; `field` is the JSON path of what is wrong.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error), nearest) from error


def _explain(message: str, nearest: Nearest) -> Invalid:
    at = _AT_PATH.search(message)
    path = at["path"].removeprefix("$").lstrip(".") if at else ""
    text = message[: at.start()] if at else message
    unknown = _UNKNOWN_KEY.match(text)
    if unknown is None:
        missing = re.match(r"Object missing required field `(?P<key>.*)`", text)
        if missing:
            return Invalid("required, and missing", field=_join(path, missing["key"]), code="property_required")
        return Invalid(text[:1].lower() + text[1:], field=path or None)
    key = unknown["key"]
    meant = nearest(key, re.sub(r"\[[^]]*\]", "", path))
    hint = f"; did you mean {meant!r}?" if meant else ""
    return Invalid(f"unknown field{hint}", field=_join(path, key), code="unknown_field")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def steps_of(field: str | None) -> list[PathStep]:
    """`artifacts[2].uri` -> ["artifacts", 2, "uri"]."""
    return [int(number) if number else key for key, number in _STEP.findall(field or "")]
