"""From the bytes of a source to records: strict parse, per-item errors with file and line, diff by content hash.

Pure: no database, no network. So it may run in this process or, for large sources, in one of its own, where it
neither holds up readers nor leaves memory behind (read_apart.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from catalog_server.errors import Invalid
from catalog_server.schema.decode import Record, decode_entity
from catalog_server.schema.kind import Kind
from catalog_server.schema.yaml_places import PathStep
from catalog_server.schema.yaml_reader import Item, Limits, iter_items
from catalog_server.sources.globs import ItemFilter

MAX_PROBLEMS = 100
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source. `shown` is the name in messages and provenance."""

    shown: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one item. An error rejects the item, a warning does not."""

    severity: str  # error | warning
    message: str
    file: str
    line: int
    field: str | None = None
    name: str | None = None


class Loaded(NamedTuple):
    """One accepted item. `record` is None where the store holds the same content already.

    A tuple, because a source has thousands, which come from another process: of frozen dataclasses each would be put
    together by Python, while readers wait for the interpreter.
    """

    name: str
    content_hash: str
    file: str
    line: int
    record: Record | None


@dataclass(slots=True)
class Batch:
    """All that a source holds. `rejected` are the names of rejected items: their last good version stays."""

    items: dict[str, Loaded] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    errors: int = 0
    warnings: int = 0

    def add_problem(self, problem: Problem) -> None:
        """Count it, and keep the first ones for people to read; an error takes the place of a warning."""
        is_error = problem.severity == "error"
        self.errors += is_error
        self.warnings += not is_error
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        elif is_error and self.errors <= MAX_PROBLEMS:
            self.problems.remove(next(one for one in reversed(self.problems) if one.severity != "error"))
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class ReadJob:
    """What to read: files of one source, and which content the store holds already (name -> hash)."""

    source_id: str
    files: tuple[SourceFile, ...]
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    known: Mapping[str, str]
    max_bytes: int


def read_records(kind: Kind, job: ReadJob) -> Batch:
    """Read all files of a source.

    Raises:
        Invalid: a file cannot be read at all (syntax, wrong top key, a limit), or not one item of it is right.
    """
    batch = Batch()
    accepts = ItemFilter(job.included, job.excluded).accepts
    for file in job.files:
        for item in iter_items(file.data, file=file.shown, keys=kind.file_keys, limits=Limits(max_bytes=job.max_bytes)):
            _take(kind, job, batch, file, item, accepts)
    if batch.errors and not batch.items:
        first = next(problem for problem in batch.problems if problem.severity == "error")
        raise Invalid(f"no item is valid; the first: {first.file}:{first.line}: {_worded(first)}")
    return batch


def _worded(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


def _take(kind: Kind, job: ReadJob, batch: Batch, file: SourceFile, item: Item, accepts: Callable[[str], bool]) -> None:
    name = item.value.get("name") if isinstance(item.value, dict) else None
    known_name = name if isinstance(name, str) else None
    if known_name is not None and not accepts(known_name):
        return
    try:
        if known_name is not None and known_name in batch.items:
            first = batch.items[known_name]
            raise Invalid(f"duplicate of the item at {first.file}:{first.line}", field="name", code="duplicate_name")
        record = decode_entity(kind, item.value, job.source_id)
    except Invalid as error:
        line = item.locate(_path(error.field)).line
        batch.add_problem(Problem("error", error.reason, file.shown, line, error.field, known_name))
        if known_name is not None:
            batch.rejected.add(known_name)
        return
    for path, message in record.warnings:
        batch.add_problem(Problem("warning", message, file.shown, item.locate(_path(path)).line, path, record.name))
    is_known = job.known.get(record.name) == record.content_hash
    batch.items[record.name] = Loaded(
        record.name, record.content_hash, file.shown, item.line, None if is_known else record
    )


def _path(field_path: str | None) -> list[PathStep]:
    """`artifacts[2].uri` -> ["artifacts", 2, "uri"]."""
    return [int(number) if number else key for key, number in _STEP.findall(field_path or "")]
