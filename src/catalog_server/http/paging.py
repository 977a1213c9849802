"""Pages of lists that are sorted by time, newest first: events, jobs, approval requests."""

from __future__ import annotations

from typing import Final

from catalog_server.errors import Invalid
from catalog_server.http.messages import Request
from catalog_server.http.params import parse_token
from catalog_server.query.tokens import decode_token, encode_token

SIZE: Final = 20
MAX_SIZE: Final = 100


def read_place(request: Request, bound: str) -> tuple[int, str] | None:
    """Time (milliseconds since the epoch) and id of the last row that the client has seen; None: from the start.

    Raises:
        Invalid: the token belongs to another list than `bound`, or to none.
    """
    name, token = parse_token(request)
    if not token:
        return None
    at, row_id = decode_token(token, bound, name)
    if not isinstance(at, int) or isinstance(at, bool):
        raise Invalid("not a page token of this list", field=name, code="page_token")
    return at, row_id


def token_after(place: tuple[int, str] | None, bound: str) -> str:
    """The token of the page behind this row; empty where there is none."""
    return "" if place is None else encode_token(*place, bound)
