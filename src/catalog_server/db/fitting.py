"""Values that every database takes, whatever a client or a remote host has put into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table


def fit(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Text no longer than its column, without NUL and half characters; everything else as it is."""
    return {name: _fit_text(table, name, one) if type(one) is str else one for name, one in values.items()}


def _fit_text(table: Table, name: str, value: str) -> str:
    length: int = getattr(table.c[name].type, "length", None) or len(value)
    clean = value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean if len(clean) <= length else clean[: length - 1] + "…"
