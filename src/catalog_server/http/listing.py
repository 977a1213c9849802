"""Pages of small in-memory lists (sources, labels): the same envelope and tokens as entity lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from catalog_server.errors import Invalid
from catalog_server.http.messages import Request
from catalog_server.http.params import parse_page_size, parse_token
from catalog_server.query.tokens import binding_of, decode_token, encode_token
from catalog_server.schema.kind import ListRules

RULES = ListRules(page_size=10, lenient_page_size=False)
T = TypeVar("T")


def page_of(
    request: Request, rows: Sequence[T], key: Callable[[T], tuple[Any, str]], *binding: str
) -> tuple[list[T], dict[str, Any]]:
    """The rows of the requested page, and the envelope without its items. `key` gives (sort value, id) of a row.

    Raises:
        Invalid: a bad page size or token.
    """
    size = parse_page_size(request, RULES)
    parameter, token = parse_token(request)
    bound = binding_of(request.scope.namespace, request.path, *binding)
    start = 0
    if token:
        last = decode_token(token, bound, parameter)
        keys = [key(row) for row in rows]
        if last not in keys:
            raise Invalid("the list has changed since; start again", field=parameter, code="page_token")
        start = keys.index(last) + 1
    shown = list(rows[start : start + size])
    has_more = start + size < len(rows)
    return shown, {
        "size": len(shown),
        "pageSize": size,
        "nextPageToken": encode_token(*key(shown[-1]), bound) if has_more else "",
        "totalSize": len(rows),
    }
