"""Request bodies: a JSON object of bounded size, or a clear 400 or 413 (spec http-api.md 0.1)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from catalog_server.errors import Invalid
from catalog_server.http.messages import Request

MAX_BYTES: Final = 1024 * 1024
_CONTENT_BYTES: Final = 2 * MAX_BYTES + 64 * 1024
"""Room for a catalog file of 1 MiB as a JSON string, in which every line end and quote takes two bytes."""
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_object(request: Request, *, with_content: bool = False, optional: bool = False) -> dict[str, Any]:
    """The body as a dict; `{}` for no body where it is optional.

    Raises:
        TooLarge: the body is too long.
        Invalid: it is no JSON object, or holds what no text of ours may hold.
    """
    data = await request.body(_CONTENT_BYTES if with_content else MAX_BYTES)
    if optional and not data.strip():
        return {}
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise Invalid(f"invalid request body: {problem[:200]}", code="invalid_body") from error
    if not isinstance(found, dict):
        raise Invalid("invalid request body: expected a JSON object", code="invalid_body")
    if _NUL.search(data):
        raise Invalid("invalid request body: it holds a NUL character", code="invalid_body")
    return found
