"""What applying a source would change: the source of a file beside the one that the server has.

By the server's rules: a field that a file leaves out keeps its value, `properties` is replaced as a whole. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from catalog_server.cli.client.text import escape

MARKER: Final = "***REDACTED***"
_CONTENT: Final = "content"
_COMPARED_AS_EMPTY: Final = {"labels": [], "includedItems": [], "excludedItems": [], "properties": {}, "enabled": True}


@dataclass(frozen=True)
class Change:
    """One field. `old` or `new` is None where it is not there."""

    field: str
    old: Any
    new: Any

    @property
    def is_secret(self) -> bool:
        """The stored value is hidden, so nobody can say whether it is another one."""
        return isinstance(self.old, str) and self.old == MARKER


def compare(wanted: Mapping[str, Any], current: Mapping[str, Any] | None) -> list[Change]:
    """The fields that would change; all of them for a source that is new (`current` is None)."""
    if current is None:
        return [Change(field, None, value) for field, value in wanted.items()]
    found: list[Change] = []
    for field, value in wanted.items():
        old = current.get(field, _COMPARED_AS_EMPTY.get(field))
        if field == "properties" and isinstance(value, dict):
            found += _compare_properties(value, old if isinstance(old, dict) else {})
        elif value != old:
            found.append(Change(field, old, value))
    return found


def show_change(change: Change) -> Iterator[str]:
    """Lines that begin with `-` or `+`."""
    if change.is_secret:
        yield f"~ {change.field}: (a secret, sent again)"
        return
    for mark, value in (("-", change.old), ("+", change.new)):
        if value is not None:
            first, *rest = _dump(value)
            yield f"{mark} {change.field}: {first}" if not rest else f"{mark} {change.field}:"
            yield from (f"{mark}   {line}" for line in ([first, *rest] if rest else ()))


def _compare_properties(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Change]:
    for name in {**wanted, **current}:
        old, new = current.get(name), wanted.get(name)
        # The text of the catalog file is shown among the properties; who does not send it leaves the file alone.
        is_untouched = name == _CONTENT and name not in wanted
        if old != new and not is_untouched and not (old is None and new is None):
            yield from _deepen(f"properties.{name}", old, new)


def _deepen(field: str, old: Any, new: Any) -> Iterator[Change]:
    """A secret deep inside hides the value, not all that is around it."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**new, **old}:
            if old.get(name) != new.get(name):
                yield from _deepen(f"{field}.{name}", old.get(name), new.get(name))
    else:
        yield Change(field, old, new)


def _dump(value: Any) -> list[str]:
    if isinstance(value, str):
        return [escape(line) for line in value.split("\n")]
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=10**6)
    return [escape(line) for line in text.removesuffix("...\n").rstrip("\n").split("\n")]
