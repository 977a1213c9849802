"""Plain values to YAML text that yaml_reader reads back as the same values, and that people like to read.

For: the parts of a file that yaml_rewriter has to write anew. Strings are quoted when any reader, of YAML 1.1 too,
could take them for something else.
Not for: whole files; nor for text that exists already: that is kept as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_scalars import parse_plain

_PLAIN: Final = re.compile(r"[^\W_][\w./@%+=:*~ -]*|[_./][\w./@%+=*~-]*")
_PLAIN_IN_FLOW: Final = re.compile(r"[^\W_][\w./@%+=*~ -]*")
# Dates, times, octal and grouped numbers of YAML 1.1; a few harmless words are quoted with them.
_NUMBER_LIKE: Final = re.compile(r"[-+.0-9][-+.0-9_:eExXoOa-fA-FTtZz ]*")
_WORDS_OF_1_1: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_UNPRINTABLE: Final = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_LONGEST_KEY: Final = 1000
"""A key of more than 1024 characters needs a syntax of its own."""
_COMPACT_WIDTH: Final = 80
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Style:
    """How the file around is laid out. `step` indents mappings, `list_offset` the dashes below their key."""

    step: int = 2
    list_offset: int = 2
    is_json: bool = False


def is_collection(value: Any) -> bool:
    """Whether `value` is a mapping or list with something in it; an empty one is written like a scalar."""
    return isinstance(value, dict | list) and bool(value)


def is_compact(value: Any) -> bool:
    """Whether `value` is a list that reads best in brackets on one line."""
    if not isinstance(value, list) or any(isinstance(entry, dict | list) for entry in value):
        return False
    return len(flow_text(value)) <= _COMPACT_WIDTH


def scalar_text(value: Any, *, in_flow: bool = False, is_json: bool = False) -> str:
    """A scalar, or an empty collection. Raises Invalid for what no file can hold."""
    if isinstance(value, str):
        return value if not is_json and _is_plain(value, in_flow) else _quote(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if value not in _INT64:
            raise Invalid("a number does not fit into 64 bits")
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # without a dot YAML 1.1 reads text
    raise Invalid(f"a value of the type {type(value).__name__} cannot be written: {str(value)[:40]}")


def flow_text(value: Any, *, is_json: bool = False) -> str:
    """Any value on one line."""
    if isinstance(value, Mapping) and value:
        pairs = (f"{key_text(key, True, is_json)}: {flow_text(entry, is_json=is_json)}" for key, entry in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list) and value:
        return "[" + ", ".join(flow_text(entry, is_json=is_json) for entry in value) + "]"
    return scalar_text(value, in_flow=True, is_json=is_json)


def key_text(key: str, in_flow: bool = False, is_json: bool = False) -> str:
    if len(key) > _LONGEST_KEY:
        raise Invalid(f"a key has more than {_LONGEST_KEY} characters: {key[:40]}...")
    return scalar_text(key, in_flow=in_flow, is_json=is_json)


def block_lines(value: dict[str, Any] | list[Any], style: Style) -> list[str]:
    """A collection that is not empty, one line each for what is in it, from column 0."""
    lines: list[str] = []
    if isinstance(value, dict):
        for key, entry in value.items():
            lines += pair_lines(key, entry, style)
        return lines
    for entry in value:
        inner = block_lines(entry, style) if is_collection(entry) and not is_compact(entry) else [flow_text(entry)]
        lines.append(f"- {inner[0]}")
        lines += (f"  {line}" for line in inner[1:])
    return lines


def pair_lines(key: str, value: Any, style: Style) -> list[str]:
    """One key of a mapping and its value, from column 0."""
    start = f"{key_text(key)}:"
    if not is_collection(value):
        return [f"{start} {scalar_text(value)}"]
    if is_compact(value):
        return [f"{start} {flow_text(value)}"]
    indent = " " * (style.step if isinstance(value, dict) else style.list_offset)
    return [start, *(indent + line for line in block_lines(value, style))]


def _is_plain(text: str, in_flow: bool) -> bool:
    if (_PLAIN_IN_FLOW if in_flow else _PLAIN).fullmatch(text) is None or text.endswith((" ", ":")) or ": " in text:
        return False
    if text.lower() in _WORDS_OF_1_1 or _NUMBER_LIKE.fullmatch(text) is not None:
        return False
    try:
        return bool(parse_plain(text) == text)
    except ValueError:
        return False


def _quote(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("a text holds half of a surrogate pair") from error
    return '"' + _UNPRINTABLE.sub(lambda match: _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}", text) + '"'
