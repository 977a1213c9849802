"""The steps that revisions are made of. Each passes over what is there already.

MySQL commits with each step, so a process that dies in the middle of a revision leaves half of it, and the next one
has to go on from there.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op


def create_table(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, if_not_exists=True)


def create_index(name: str, table: str, columns: list[str]) -> None:
    if name not in {one["name"] for one in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def add_column(table: str, column: sa.Column[Any]) -> None:
    if column.name not in {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)
