"""Catalogs ready to be measured: files, the right answers, and a database that the server itself has loaded.

Files and SQLite databases stay under .data/bench, in a folder named by a hash of all that decides what is in them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

from tests.databases import server_database, server_dsn

from bench import dataset, queries
from bench.processes import ROOT, BenchError, Launch, Process, serving

CACHE: Final = ROOT / ".data" / "bench"
_DECIDING: Final = (
    *("bench/dataset.py", "bench/queries.py", "bench/stores.py"),
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
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_sources(folder, size)
        checked = [*queries.sampled(queries.filter_queries()), *queries.sampled(queries.search_queries(size), 8)]
        marker.write_text(json.dumps(queries.count_matches(checked, dataset.make_entities(size))))
    return Files(folder, size, folder / "sources.yaml", json.loads(marker.read_text()))


def write_sources(folder: Path, size: int) -> None:
    """Catalog files of at most SOURCE_SIZE entities, and the configuration that names them."""
    entities = dataset.make_entities(size)
    lines = ["apiVersion: catalog/v1alpha1", "kind: CatalogSources", "catalogs:", "  mcp:", "    sources:"]
    for number in range(0, size, dataset.SOURCE_SIZE):
        name = f"bench-{number // dataset.SOURCE_SIZE:02d}"
        part = [entity for entity, _ in zip(entities, range(dataset.SOURCE_SIZE), strict=False)]
        dataset.write_file(folder / f"{name}.yaml", part)
        lines.append(f"      - {{id: {name}, name: {name}, type: yaml, properties: {{path: {name}.yaml}}}}")
    (folder / "sources.yaml").write_text("\n".join(lines) + "\n")


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
        while count_entities(process) != size:
            peak = max(peak, process.family_anonymous())
            if process.popen.poll() is not None or time.perf_counter() - process.launched > 900:
                raise BenchError(f"the server did not load {size} entities; see {process.log}")
            pause.wait(0.1)
        return FirstLoad(time.perf_counter() - process.launched, peak)


def count_entities(process: Process) -> int:
    """How many entities the server shows; 0 while it does not answer."""
    try:
        found: dict[str, Any] = process.get_json(f"{queries.LIST}?pageSize=1")
    except (OSError, BenchError):
        return 0
    return int(found["totalSize"])


def _key() -> str:
    digest = hashlib.sha256()
    for name in _DECIDING:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()[:16]
