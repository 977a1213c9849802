"""Parameters as the API document describes them, shared by routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog_server.schema.kind import ListRules

Parameter = Mapping[str, Any]


def parameter(name: str, description: str, schema: Mapping[str, Any]) -> Parameter:
    """A query parameter. Texts must not hold the character NUL (see messages.py)."""
    described = {"pattern": "^[^\\u0000]*$", **schema} if schema.get("type") == "string" else dict(schema)
    return {"name": name, "in": "query", "required": False, "description": description, "schema": described}


def choice_parameter(name: str, description: str, *choices: str) -> Parameter:
    """A query parameter with a few values; an empty one counts as not given."""
    return parameter(name, description, {"enum": [*choices, ""]})


def list_parameter(name: str, description: str, items: Mapping[str, Any]) -> Parameter:
    """A query parameter that is a comma list."""
    described = parameter(name, description, {"type": "array", "items": dict(items)})
    return {**described, "style": "form", "explode": False}


_TEXT = {"type": "string", "maxLength": 1024}
Q = parameter("q", "Words that all have to occur, case-insensitive, whole or in part.", _TEXT)
FILTER = parameter("filterQuery", "Filter, for example `name LIKE '%bot%' AND version = '1.0.0'`.", _TEXT)
NAMED_QUERY = parameter("namedQuery", "A filter that the configuration gives a name.", _TEXT)
SOURCE = parameter("source", "Comma list of source ids.", {"type": "string"})
SOURCE_LABEL = parameter(
    "sourceLabel", "Comma list of source labels; `null`: sources without labels.", {"type": "string"}
)
ORDER_BY = parameter("orderBy", "ID, NAME, CREATE_TIME, LAST_UPDATE_TIME, or a field of the entity.", _TEXT)
SORT_ORDER = parameter("sortOrder", "ASC or DESC; anything else counts as ASC.", {"type": "string"})
STRICT_SORT_ORDER = choice_parameter("sortOrder", "ASC or DESC.", "ASC", "DESC")
PAGE_TOKEN = parameter("pageToken", "The nextPageToken of the page before.", {"type": "string"})
NEXT_PAGE_TOKEN = parameter("nextPageToken", "The same under its other name.", {"type": "string"})
SOURCE_ID = parameter("sourceId", "The source, where several have an entity of this name.", {"type": "string"})
VIEW = choice_parameter("view", "`asset` gives the universal asset envelope.", "native", "asset")


CONFIRM_REMOVAL = choice_parameter(
    "confirmRemoval", "Let the refresh remove more than half of a source.", "true", "false"
)

# An empty value counts as not given.
_STRICT_SIZE = {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": [""]}]}


def page_size(rules: ListRules) -> Parameter:
    """Where a kind is lenient anything is accepted, and what is no positive number means the default."""
    text = f"Entities per page; {rules.page_size} by default, at most {rules.max_page_size}."
    return parameter("pageSize", text, {"type": "string"} if rules.lenient_page_size else _STRICT_SIZE)


def list_parameters(rules: ListRules) -> tuple[Parameter, ...]:
    """Those of a native entity list."""
    return (
        *(Q, FILTER, NAMED_QUERY, SOURCE, SOURCE_LABEL, ORDER_BY, SORT_ORDER),
        *(page_size(rules), PAGE_TOKEN, NEXT_PAGE_TOKEN, VIEW),
    )
