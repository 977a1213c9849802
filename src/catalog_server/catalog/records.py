"""From the bytes of a source to records: strict parse, per-item errors with file and line, diff by content hash.

Pure: no database, no network. So it may run in this process or, for large sources, in one of its own, where it
neither holds up readers nor leaves memory behind (read_apart.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from catalog_server.errors import Invalid
from catalog_server.schema.decode import Record, decode_entity
from catalog_server.schema.kind import Kind
from catalog_server.schema.structs import steps_of
from catalog_server.schema.yaml_reader import Item, Limits, iter_items
from catalog_server.sources.globs import ItemFilter

MAX_PROBLEMS = 100


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
    """One accepted item.

    A tuple, because a source has thousands, which come from another process: of frozen dataclasses each would be put
    together by Python, while readers wait for the interpreter.
    """

    name: str
    content_hash: str
    file: str
    line: int
    record: Record


@dataclass(slots=True)
class Batch:
    """All that a source holds.

    `unchanged` (name -> hash) is what the store holds already: of a large source that is nearly all of it, nearly
    always. `rejected` are the names of rejected items: their last good version stays.
    """

    items: dict[str, Loaded] = field(default_factory=dict)
    unchanged: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    errors: int = 0
    warnings: int = 0

    def __len__(self) -> int:
        """How many items were accepted."""
        return len(self.items) + len(self.unchanged)

    def __contains__(self, name: object) -> bool:
        """Whether an item of this name was accepted."""
        return name in self.items or name in self.unchanged

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
    reading = _Reading(kind, job)
    for file in job.files:
        for item in iter_items(file.data, file=file.shown, keys=kind.file_keys, limits=Limits(max_bytes=job.max_bytes)):
            reading.take(file, item)
    batch = reading.batch
    if batch.errors and not batch:
        first = next(problem for problem in batch.problems if problem.severity == "error")
        raise Invalid(f"no item is valid; the first: {first.file}:{first.line}: {_worded(first)}")
    return batch


def _worded(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


class _Reading:
    """The work on one source."""

    def __init__(self, kind: Kind, job: ReadJob) -> None:
        self.batch = Batch()
        self._kind = kind
        self._job = job
        self._accepts = ItemFilter(job.included, job.excluded).accepts
        self._places: dict[str, tuple[str, int]] = {}
        """File and line of what was accepted, by name."""

    def take(self, file: SourceFile, item: Item) -> None:
        batch = self.batch
        name = item.value.get("name") if isinstance(item.value, dict) else None
        known_name = name if isinstance(name, str) else None
        if known_name is not None and not self._accepts(known_name):
            return
        try:
            if known_name is not None and known_name in self._places:
                first, line = self._places[known_name]
                raise Invalid(f"duplicate of the item at {first}:{line}", field="name", code="duplicate_name")
            record = decode_entity(self._kind, item.value, self._job.source_id)
        except Invalid as error:
            line = item.locate(steps_of(error.field)).line
            batch.add_problem(Problem("error", error.reason, file.shown, line, error.field, known_name))
            if known_name is not None:
                batch.rejected.add(known_name)
            return
        for path, message in record.warnings:
            line = item.locate(steps_of(path)).line
            batch.add_problem(Problem("warning", message, file.shown, line, path, record.name))
        self._places[record.name] = file.shown, item.line
        if self._job.known.get(record.name) == record.content_hash:
            batch.unchanged[record.name] = record.content_hash
        else:
            batch.items[record.name] = Loaded(record.name, record.content_hash, file.shown, item.line, record)
