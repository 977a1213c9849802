"""Pages of rows that are sorted by time, newest first: their statement, and where the next page begins."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_

Place = tuple[int, str]
"""Time (milliseconds since the epoch) and id of the last row that a page showed."""
_ID_LENGTH: Final = 36


def could_be_id(text: str) -> bool:
    """Whether it looks like an id of ours: the databases differ in how they take odd characters."""
    return len(text) == _ID_LENGTH and text.isascii() and text.isprintable()


def newest_first(
    query: Select[Any], at: ColumnElement[int], row_id: ColumnElement[str], *, after: Place | None, limit: int
) -> Select[Any]:
    """Rows of the same millisecond come in the order of their ids, so that pages neither skip nor repeat."""
    if after is not None:
        last_at, last_id = after
        query = query.where(or_(at < last_at, and_(at == last_at, row_id < last_id)))
    return query.order_by(at.desc(), row_id.desc()).limit(limit)
