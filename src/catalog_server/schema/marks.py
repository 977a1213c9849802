"""Marks on the fields of an entity class: what a field is for, beyond its type.

A mark rides in `Annotated[...]`; from marks and types derive the index, filter types, capabilities, UI and CLI hints,
OpenAPI and docs (architecture.md 4). Nothing about a field is written down a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Meta

Width = Literal["sm", "md", "lg"]
Display = Literal[
    "text", "markdown", "badge", "tags", "link", "repoRef", "imageRef", "dateTime", "code", "json", "secretRef"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one field is for."""

    label: str | None = None
    """Display name; by default made from the field's name."""
    width: Width | None = None
    """Given: the field is a column of the list view."""
    sortable: bool = True
    """Whether the column is advertised as sortable."""
    filter: bool = False
    """Advertised as a filter field. (Every scalar field can be filtered on, advertised or not.)"""
    options: tuple[str, ...] = ()
    """The allowed values of a select field."""
    others: Literal["error", "warning", "accepted"] = "error"
    """What a value outside `options` is."""
    section: str | None = None
    """Section of the detail view."""
    search: bool = False
    """`q` looks into this field."""
    facet: bool = False
    """Offered as a facet by UI hints."""
    cli: bool = False
    """Default column of the command line."""
    long_text: bool = False
    """Free text of any length: not offered in filter_options, filtered by reading the documents."""
    hidden_option: bool = False
    """Never offered in filter_options although it is short (logos, links)."""
    alias: str | None = None
    """The advertised name, where it differs from the JSON path."""
    names: tuple[str, ...] = ()
    """Further names that filters and orderings accept."""
    links_to: str | None = None
    """The value is the name of an entity of this kind."""
    display: Display | None = None
    """How a client should show the value."""


def mark(**given: Any) -> Mark:
    """Shorthand for `Mark(...)` inside Annotated."""
    return Mark(**given)


MAX_NAME_LENGTH = 512

Name = Meta(min_length=1, max_length=MAX_NAME_LENGTH)
