"""Which places of the network a source's properties name: secrets that are kept must not go to another one.

For: an apply that sends redacted values back (redaction.py) beside another URL.
Not for: whether a URL may be fetched at all (providers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_server.sources.redaction import MAX_DEPTH

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#\\]*)")
_SCP_FORM: Final = re.compile(r"[^\s/@:]+@([^\s/:]+):(?!//)")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443", "ssh": ":22"}


def find_moved(given: Mapping[str, Any], stored: Mapping[str, Any]) -> str | None:
    """The dotted path of the first property whose scheme, host or port `stored` does not have, or has no more."""
    now, before = dict(_origins(given, "properties", 0)), dict(_origins(stored, "properties", 0))
    added = (path for path, found in now.items() if not found <= _all(before))
    gone = (path for path, found in before.items() if not found <= _all(now))
    return next(added, None) or next(gone, None)


def _all(origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*origins.values())


def _origins(value: Any, path: str, depth: int) -> Iterator[tuple[str, frozenset[str]]]:
    if isinstance(value, str):
        found = frozenset(_origins_in(value))
        if found:
            yield path, found
    elif depth < MAX_DEPTH and isinstance(value, Mapping):
        for key, child in value.items():
            yield from _origins(child, f"{path}.{key}", depth + 1)
    elif depth < MAX_DEPTH and isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _origins(child, f"{path}[{index}]", depth + 1)


def _origins_in(text: str) -> Iterator[str]:
    for scheme, authority in _URL.findall(text):
        host = authority.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(scheme.lower(), "\n"))
        yield f"{scheme.lower()}://{host}"
    found = _SCP_FORM.match(text.strip())
    if found is not None:
        yield f"ssh://{found[1].lower()}"
