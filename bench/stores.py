"""Catalogs ready to be measured: files, the right answers, and a database that the server itself has loaded.

Files and SQLite databases stay under .data/bench, in a folder named by a hash of all that decides what is in them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from tests.databases import server_database, server_dsn

from bench import dataset, queries
from bench.processes import ROOT, BenchError, Launch, Process, serving
from catalog_server.db.migrate import HEAD

LOAD_SECONDS: Final = 900.0
CACHE: Final = ROOT / ".data" / "bench"
_DECIDING: Final = (
    *("bench/dataset.py", "bench/queries.py"),
    *(f"src/catalog_server/{name}" for name in ("db/tables.py", "schema/decode.py", "plugins/mcp/__init__.py")),
)


@dataclass(frozen=True)
class Files:
    """A catalog as files."""

    folder: Path
    size: int
    sources: Path
    expected: dict[str, int]
    """Path of a list request -> how many entities it finds."""


@dataclass(frozen=True)
class FirstLoad:
    """How the server took the files in. `peak_anonymous` covers the process that reads them, too."""

    seconds: float
    peak_anonymous: int


@dataclass(frozen=True)
class Store:
    """A loaded catalog in a database."""

    database: str
    files: Files
    data: Path
    dsn: str | None
    first_load: FirstLoad

    @property
    def size(self) -> int:
        return self.files.size

    def launch(self, *, cache: bool = True) -> Launch:
        return Launch(self.files.sources, self.data, self.dsn, cache)

    @property
    def full_dsn(self) -> str:
        return self.dsn or f"sqlite:///{self.data / 'catalog.db'}"


def has_postgres() -> bool:
    return server_dsn("postgres") is not None


@contextmanager
def fresh_database(database: str) -> Iterator[str | None]:
    """An empty database: its DSN, None for the embedded one."""
    server = server_dsn("postgres")
    if database == "sqlite":
        yield None
    elif server is None:
        raise BenchError("no PostgreSQL; run: python tools/services.py run -- python -m bench")
    else:
        with server_database("postgres", server) as dsn:
            yield dsn


def prepare_files(size: int) -> Files:
    """The files of a catalog of `size` entities, made when they are not there yet."""
    folder = CACHE / _key() / str(size)
    marker = folder / "expected.json"
    if not marker.exists():
        _remove_outdated()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        dataset.write_sources(folder, size)
        checked = [*queries.sampled(queries.filter_queries()), *queries.sampled(queries.search_queries(size), 8)]
        marker.write_text(json.dumps(queries.count_matches(checked, dataset.make_entities(size))))
    return Files(folder, size, folder / "sources.yaml", json.loads(marker.read_text()))


@contextmanager
def loaded_store(database: str, files: Files, scratch: Path) -> Iterator[Store]:
    """The catalog in a database: the kept one of SQLite, else one that is gone afterwards."""
    if database == "sqlite":
        data = files.folder / "sqlite"
        yield Store(database, files, data, None, _load_once(files, data))
        return
    data = scratch / f"{database}-{files.size}"
    with fresh_database(database) as dsn:
        yield Store(database, files, data, dsn, load(Launch(files.sources, data, dsn), files.size))


def _load_once(files: Files, data: Path) -> FirstLoad:
    marker = data / "loaded.json"
    if not marker.exists():
        shutil.rmtree(data, ignore_errors=True)
        found = load(Launch(files.sources, data), files.size)
        marker.write_text(json.dumps([found.seconds, found.peak_anonymous]))
    return FirstLoad(*json.loads(marker.read_text()))


def load(launch: Launch, size: int) -> FirstLoad:
    """Let the server read the files into the database."""
    pause = Event()
    peak = 0
    with serving(launch) as process:
        while not process.is_ready():
            peak = max(peak, process.family_anonymous())
            if process.age > LOAD_SECONDS:
                raise BenchError(f"not loaded after {LOAD_SECONDS:.0f} s; see {process.log}")
            pause.wait(0.05)
        seconds = process.age
        check_size(process, size)
    return FirstLoad(seconds, peak)


def check_size(process: Process, size: int) -> None:
    """Raises BenchError when the server does not show all entities."""
    found = process.get_json(f"{queries.LIST}?pageSize=1")["totalSize"]
    if found != size:
        raise BenchError(f"the server shows {found} entities instead of {size}; see {process.log}")


def _remove_outdated() -> None:
    """Half a gigabyte each: what other versions of the data have left goes."""
    for folder in CACHE.glob("data-*"):
        if folder.name != _key():
            shutil.rmtree(folder)


def _key() -> str:
    digest = hashlib.sha256(HEAD.encode())  # the kept database is not migrated
    for name in _DECIDING:
        digest.update((ROOT / name).read_bytes())
    return f"data-{digest.hexdigest()[:16]}"
