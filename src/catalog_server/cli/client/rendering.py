"""A View in the format that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from catalog_server.cli.client.tables import Layout
from catalog_server.cli.client.text import escape
from catalog_server.cli.client.views import View

FORMATS: Final = ("table", "wide", "json", "yaml", "name", "jsonl")
STRUCTURED: Final = ("json", "yaml", "jsonl")
"""Formats for programs: errors are objects, too."""

_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Within JSON these can stand in strings only. The controls below space are escaped by the JSON writer."""


def render(view: View, form: str, layout: Layout) -> Iterator[str]:
    """The output, in pieces that end with the end of a line."""
    if form == "name":
        yield from (f"{escape(name)}\n" for name in view.names)
    elif form == "jsonl":
        yield from map(dump_line, [view.document] if view.entries is None else view.entries)
    elif form in STRUCTURED:
        yield dump(view.document, form)
    else:
        yield "\n".join(found for part in view.parts if (found := part.text(layout)))


def dump(document: Any, form: str) -> str:
    """As JSON or YAML, with the same keys in the same order."""
    if form == "yaml":
        import yaml  # 13 ms, which the other formats do not need

        is_safe = not _UNSAFE.search(json.dumps(document, ensure_ascii=False))
        # The dumper in C is the quick one; the other one can write what must be escaped, also half a surrogate pair.
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper) if is_safe else yaml.SafeDumper
        return str(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=is_safe, width=10**6))
    return _safe(json.dumps(document, ensure_ascii=False, indent=None if form == "jsonl" else 2)) + "\n"


def dump_line(document: Any) -> str:
    """As one line of JSON."""
    return dump(document, "jsonl")


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
