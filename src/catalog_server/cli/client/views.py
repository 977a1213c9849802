"""What a command answers: one document for programs, and parts for people.

A command returns a View and prints nothing itself, so that every format works for every command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from catalog_server.cli.client.failures import ExitCode
from catalog_server.cli.client.tables import Column, Fields, Part, Table


@dataclass(frozen=True)
class View:
    """`document` is what `json` and `yaml` show, `parts` what `table` and `wide` show.

    `names` are the lines of `-o name`. `entries` are the lines of `-o jsonl`, which may come one by one; None: the
    document is the one line. `notes` go to stderr, for people only. `form`: where a command has a format of its own.
    """

    document: Any
    parts: Sequence[Part]
    names: Sequence[str] = ()
    entries: Iterable[Any] | None = None
    notes: Sequence[str] = ()
    code: ExitCode = ExitCode.OK
    form: str = ""


def list_view(document: Any, entries: Sequence[Any], columns: Sequence[Column], name: str, empty: str) -> View:
    """A list. `name`: the key of each entry that `-o name` prints."""
    names = [str(entry.get(name, "")) for entry in entries]
    return View(document, [Table(columns, entries, empty)], names, entries)


def record_view(document: Any, fields: Sequence[tuple[str, Any]], name: str) -> View:
    """One thing, as lines `label: value`."""
    return View(document, [Fields(fields)], [name])
