"""Request bodies: a JSON object of bounded size, or a clear 400 or 413 (spec http-api.md 0.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from catalog_server.errors import Invalid
from catalog_server.http.messages import Request

MAX_BYTES: Final = 1024 * 1024
_CONTENT_BYTES: Final = 2 * MAX_BYTES + 64 * 1024
"""Room for a catalog file of 1 MiB as a JSON string, in which every line end and quote takes two bytes."""
_MAX_DEPTH: Final = 100
_INT64: Final = range(-(2**63), 2**63)
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_object(request: Request, *, with_content: bool = False, may_be_empty: bool = False) -> dict[str, Any]:
    """The body as a dict. `may_be_empty`: none at all is an empty object.

    Raises:
        TooLarge: the body is too long.
        Invalid: it is no JSON object, or holds what no configuration of ours can hold.
    """
    data = await request.body(_CONTENT_BYTES if with_content else MAX_BYTES)
    if may_be_empty and not data:
        return {}
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("nested too deep" if isinstance(error, RecursionError) else str(error)) from error
    if not isinstance(found, dict):
        raise _invalid("expected a JSON object")
    if _NUL.search(data):
        raise _invalid("it holds a NUL character")
    _check_values(found)
    _check_keys(data)
    return found


def read_action(body: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    """Of the body of an action: whether it is a dry run, and its parameters. Raises Invalid."""
    dry_run, params = body.get("dryRun", False), body.get("params")
    if not isinstance(dry_run, bool):
        raise Invalid("must be true or false", field="dryRun")
    if params is not None and not isinstance(params, dict):
        raise Invalid("must be an object", field="params")
    return dry_run, params or {}


def _check_values(document: Mapping[str, Any]) -> None:
    """What is valid JSON and would not survive the way into a file. Raises Invalid."""
    stack: list[tuple[Any, int]] = [(document, 1)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, int) and value not in _INT64:
            raise _invalid("it holds a number that does not fit into 64 bits")
        if not isinstance(value, dict | list):
            continue
        if depth > _MAX_DEPTH:
            raise _invalid(f"nested deeper than {_MAX_DEPTH} levels")
        stack.extend((child, depth + 1) for child in (value.values() if isinstance(value, dict) else value))


def _check_keys(data: bytes) -> None:
    """Of a key that stands twice one value would be lost, without anybody knowing which. Raises Invalid."""

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            raise _invalid(f"the key {twice[:80]!r} stands twice")
        return found

    json.loads(data, object_pairs_hook=check)


def _invalid(problem: str) -> Invalid:
    return Invalid(f"invalid request body: {problem[:200]}", code="invalid_body")
