"""What every part of the client knows of the API: names in paths, lists in answers. Light, since help loads it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from catalog_server.cli.client.failures import Failure


def segment(text: str) -> str:
    """A name as one segment of a path."""
    return quote(text, safe="", errors="surrogatepass")


def entries_of(document: Any, *keys: str) -> list[Any]:
    """The list of an answer, under the first of these keys that has one.

    Raises:
        Failure: there is none.
    """
    for key in keys:
        found = document.get(key) if isinstance(document, dict) else None
        if isinstance(found, list):
            return found
    raise Failure(f"the answer holds no list {keys[0]!r}; is this a catalog-server?")
