"""A source of 10,000 entities of which 10 change: what is written, and how long readers wait meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

from tests.databases import connect

from bench import dataset, queries, stores, wrk
from bench.processes import MAX_FILE_BYTES, BenchError, Launch, Process, serving
from bench.queries import LIST, PAGE_SIZE
from bench.report import Row, progress
from bench.wrk import Get, Load
from catalog_server.catalog.records import ReadJob, SourceFile, read_records
from catalog_server.catalog.registry import load_plugin

SIZE: Final = dataset.SOURCE_SIZE
CHANGED: Final = 10
DEADLINE_SECONDS: Final = 120.0
_LOAD: Final = {"connections": 8, "delay_ms": 10}


@dataclass(frozen=True)
class Scene:
    """A running server, its one source, and a way to look into its database."""

    process: Process
    source: Path
    entities: list[dict[str, Any]]
    dsn: str

    def write(self, version: str) -> Path:
        """The next version of the file, beside it: ten entities are different."""
        step = SIZE // CHANGED
        following = [
            {**entity, "version": version} if number % step == 0 else entity
            for number, entity in enumerate(self.entities)
        ]
        draft = self.source.with_name("next.yaml")
        dataset.write_file(draft, following)
        return draft

    def put(self, draft: Path, version: str) -> float:
        """Put the next version in place; return the seconds until readers see it."""
        last = f"{LIST}/{self.entities[SIZE - SIZE // CHANGED]['name']}"
        draft.replace(self.source)
        started = time.perf_counter()
        pause = Event()
        while self.process.get_json(last)["version"] != version:
            if time.perf_counter() - started > DEADLINE_SECONDS:
                raise BenchError(f"the change was not seen after {DEADLINE_SECONDS:.0f} s; see {self.process.log}")
            pause.wait(0.05)
        return time.perf_counter() - started

    def rows(self) -> dict[Any, Any]:
        """Every stored entity; on PostgreSQL with the transaction that wrote the row last."""
        extra = ", xmin::text" if self.dsn.startswith("postgres") else ""
        statement = f"SELECT id, name, content_hash, generation, updated_at{extra} FROM entities"  # noqa: S608
        with closing(connect(self.dsn)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return {row[0]: row[1:] for row in cursor.fetchall()}


def measure_refresh(database: str, scratch: Path, repeats: int) -> list[Row]:
    with _scene(database, scratch) as scene:
        loading = _measure_loading(scene, database)
        before = scene.rows()
        seconds = scene.put(scene.write("90.0.0"), "90.0.0")
        after = scene.rows()
        touched = sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())
        progress(f"  refresh: {touched} rows in {seconds:.1f} s")
        quiet, busy = _measure_reads(scene, scratch, max(1, int(seconds)), repeats)
    ratio = statistics.median(busy) / statistics.median(quiet)
    note = f"p99 ms quiet {_listed(quiet)}; during {_listed(busy)}"
    progress(f"  reads: {note}")
    exact = "" if touched == CHANGED else f"{touched} rows instead of {CHANGED}"
    return [
        *loading,
        Row("rows touched by 10 changes", database, SIZE, touched, "rows", CHANGED, exact),
        Row("file changed to change visible", database, SIZE, seconds, "s"),
        Row("p99 of reads during the refresh / quiet", database, SIZE, ratio, "x", 2.0, note),
    ]


def _measure_loading(scene: Scene, database: str) -> list[Row]:
    """The first load, as the server itself timed it, and a refresh on request that finds nothing new."""
    management = f"{LIST.rpartition('/')[0]}/management"
    (source,) = scene.process.get_json(f"{management}/diagnostics")["sources"]
    first = source["lastRefreshDuration"] / 1e9
    parse = _time_parse(scene.source)
    before = scene.rows()
    job = _finish(scene.process, scene.process.post_json(f"{management}/refresh/{source['id']}")["jobId"])
    touched = sum(before.get(key) != row for key, row in scene.rows().items())
    unchanged = job.get("durationMs", 0) / 1000
    progress(f"  first load {first:.1f} s (parse {parse:.1f} s), unchanged {unchanged:.2f} s, {touched} rows")
    return [
        Row("first load of a source", database, SIZE, first, "s", 20.0, f"of which reading YAML {parse:.1f} s"),
        Row("refresh of an unchanged source", database, SIZE, unchanged, "s", 2.0),
        Row("rows touched by it", database, SIZE, touched, "rows", 0),
    ]


def _time_parse(file: Path) -> float:
    plugin = load_plugin("mcp")
    job = ReadJob("bench", (SourceFile(file.name, file.read_bytes()),), (), (), {}, MAX_FILE_BYTES)
    started = time.perf_counter()
    read_records(plugin.kind, job)
    return time.perf_counter() - started


def _finish(process: Process, job_id: str) -> dict[str, Any]:
    """The job, once it has succeeded."""
    pause, deadline = Event(), time.perf_counter() + DEADLINE_SECONDS
    while True:
        job: dict[str, Any] = process.get_json(f"/api/jobs/v1alpha1/refresh/{job_id}")
        if job["state"] == "succeeded":
            return job
        if job["state"] in ("failed", "canceled") or time.perf_counter() > deadline:
            raise BenchError(f"the refresh ended as {job}")
        pause.wait(0.05)


def _measure_reads(scene: Scene, scratch: Path, seconds: int, repeats: int) -> tuple[list[float], list[float]]:
    """p99 of the same load, alone and during a refresh, in turn. The load ends before the refresh does."""
    gets = queries.name_paths(SIZE)
    lists = [f"{LIST}?pageSize={PAGE_SIZE}&orderBy={order}" for order in queries.ORDERS]
    mixed = [Get(path) for number, name in enumerate(gets) for path in (name, lists[number % len(lists)])]
    requests = wrk.write_requests(scratch / "requests.txt", mixed)
    load = Load(seconds, **_LOAD)
    quiet, busy = [], []
    wrk.run(scene.process, requests, Load(1, **_LOAD))  # warm
    with ThreadPoolExecutor(1) as pool:
        for number in range(repeats):
            quiet.append(wrk.run(scene.process, requests, load))
            version = f"91.{number}.0"
            draft = scene.write(version)
            running = pool.submit(wrk.run, scene.process, requests, load)
            scene.put(draft, version)
            busy.append(running.result())
    if errors := sum(run.errors for run in (*quiet, *busy)):
        raise BenchError(f"{errors} failed requests")
    return [run.p99 for run in quiet], [run.p99 for run in busy]


@contextmanager
def _scene(database: str, scratch: Path) -> Iterator[Scene]:
    folder = scratch / f"refresh-{database}"
    folder.mkdir()
    dataset.write_sources(folder, SIZE)
    with stores.fresh_database(database) as dsn:
        launch = Launch(folder / "sources.yaml", folder / "data", dsn, pinned=False)
        with serving(launch) as process:
            process.await_ready()
            stores.check_size(process, SIZE)
            full_dsn = dsn or f"sqlite:///{launch.data / 'catalog.db'}"
            yield Scene(process, folder / "bench-00.yaml", list(dataset.make_entities(SIZE)), full_dsn)


def _listed(values: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)
