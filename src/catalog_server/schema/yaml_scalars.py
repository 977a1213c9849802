"""Scalars of YAML 1.2's core schema: what an unquoted or tagged text means.

`no`, `on` and `yes` stay text (Norwegian is a language), and so do timestamps; numbers fit into 64 bits.
"""

from __future__ import annotations

import re
from typing import Any, Final

CORE_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Most plain scalars are prose: looking at the first character spares them the regular expressions.
_WORD_STARTS: Final = frozenset(word[:1] for word in _WORDS)
_NUMBER_STARTS: Final = frozenset("0123456789+-.")
TYPED_STARTS: Final = _WORD_STARTS | _NUMBER_STARTS
_INT: Final = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INT64: Final = range(-(2**63), 2**63)
_LONGEST_INT64: Final = 40  # digits with room for leading zeros; int() on a megabyte of digits would be slow


def _parse_int(text: str) -> int:
    if len(text) > _LONGEST_INT64:
        raise ValueError(f"the number {text[:20]}... does not fit into 64 bits")
    number = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if number not in _INT64:
        raise ValueError(f"the number {text} does not fit into 64 bits")
    return number


def _parse_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large for a float")
    return number


def parse_plain(text: str) -> Any:
    """The core-schema value of an unquoted scalar."""
    first = text[:1]
    if first in _WORD_STARTS:
        return _WORDS.get(text, text)
    if first not in _NUMBER_STARTS:
        return text
    if _INT.fullmatch(text):
        return _parse_int(text)
    if _FLOAT.fullmatch(text):
        return _parse_float(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a value that JSON knows; quote it if it is text")
    return text


def parse_tagged(tag: str, text: str) -> Any:
    """The value of a scalar with an explicit tag, quoted or not."""
    name = tag.removeprefix(CORE_TAG)
    if name == "str":
        return text
    if name not in ("int", "float", "bool", "null") or name == tag:
        raise ValueError(f"the tag {tag[:80]} is not allowed here")
    value = parse_plain(text)
    if name == "float" and type(value) is int:
        return float(value)
    kind = {"int": int, "float": float, "bool": bool, "null": type(None)}[name]
    if type(value) is not kind:
        raise ValueError(f"{text[:40]!r} is not a !!{name}")
    return value
