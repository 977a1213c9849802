"""Refreshing sources from files on disk: what is wrong is said with file, line and field, and never costs good data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from catalog_server.catalog import read_apart
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.records import ReadJob, SourceFile, read_records
from catalog_server.catalog.refresher import Refresher, key_of
from catalog_server.catalog.registry import discover
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Writer
from catalog_server.db.engine import reading
from catalog_server.db.tables import changes, entities, generations, refresh_status
from catalog_server.errors import Invalid, Location
from catalog_server.providers.yaml import YAMLProvider
from catalog_server.scope import DEFAULT_SCOPE
from catalog_server.sources.config import Source
from catalog_server.sources.paths import Roots
from catalog_server.sources.secrets import NoSecrets
from tests.databases import sqlite_database
from tests.factories import open_store

REGISTRY = discover()
KNOWLEDGE = REGISTRY.plugins["knowledge"]

GOOD = """\
knowledgesources:
  - name: handbook
    sourceType: document
    documentCount: 3
  - name: wiki
    sourceType: url
"""


class Desk:
    """A folder of catalog files, a store, and everything between."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder / "data"
        self.folder.mkdir()
        self.engine = open_store(dsn).engine
        self.statuses = Statuses(self.engine, REGISTRY)
        self.refresher = Refresher(
            writer=Writer(self.engine),
            statuses=self.statuses,
            fetcher=Fetcher(
                providers={"yaml": YAMLProvider()},
                secrets=NoSecrets(),
                roots=Roots((self.folder,)),
                base=self.folder,
                max_file_bytes=1 << 24,
            ),
        )
        self.indexes = Indexes(REGISTRY)
        self.follower = Follower(self.engine, REGISTRY, self.indexes)

    def write(self, text: str, name: str = "k.yaml") -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    def source(self, path: str = "k.yaml", **given: Any) -> Source:
        origin = str(self.folder / "sources.yaml")
        fields = {"id": "k", "name": "K", "type": "yaml", "properties": {"yamlCatalogPath": path}, **given}
        return Source(origin=origin, location=Location(origin, 1), **fields)

    def refresh(self, text: str | None = None, **given: Any) -> SourceStatus:
        """Write the file where a text is given, and refresh its source."""
        if text is not None:
            self.write(text)
        return self.refresher.refresh(KNOWLEDGE, self.source(**given)).status

    def names(self) -> list[str]:
        self.follower.catch_up()
        return sorted(
            str(value)
            for value in Reader(self.indexes).index(DEFAULT_SCOPE, KNOWLEDGE).table.columns["name"].texts.texts()
        )

    def everything(self) -> dict[str, list[Any]]:
        with reading(self.engine) as connection:
            tables = (entities, changes, generations, refresh_status)
            return {table.name: [tuple(row) for row in connection.execute(select(table))] for table in tables}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with sqlite_database(tmp_path) as dsn:
        made = Desk(tmp_path, dsn)
        yield made
        made.engine.dispose()


def test_file_when_good_then_its_entities_are_served_and_the_status_says_so(desk: Desk) -> None:
    status = desk.refresh(GOOD)
    assert (status.state, status.entity_count, status.entities_loaded, status.last_error) == ("available", 2, 2, None)
    assert (status.last_refresh_status, status.last_refresh_summary) == ("success", "Loaded 2 entities")
    assert desk.names() == ["handbook", "wiki"]
    with reading(desk.engine) as connection:
        places = [tuple(row) for row in connection.execute(select(entities.c.name, entities.c.origin, entities.c.line))]
    assert sorted(places) == [(name, "k.yaml", line) for name, line in (("handbook", 2), ("wiki", 5))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("knowledgesources:\n  - name: [a\n", r"k\.yaml:\d"),
        ("knowledgesources:\n  - name: a\n  oops\n", r"k\.yaml:\d"),
        ("servers: []\n", r"k\.yaml:1.*servers"),
        ("knowledgesources: 5\n", r"k\.yaml:1"),
        ("knowledgesources:\n  - name: x\n    sourceType: nonsense\n", r"k\.yaml:3: sourceType: 'nonsense' is none of"),
        ("\x00", r"k\.yaml"),
    ],
)
def test_file_when_it_breaks_then_the_last_good_set_stays_until_it_is_healed(
    desk: Desk, text: str, reason: str
) -> None:
    desk.refresh(GOOD)
    status = desk.refresh(text)
    assert (status.state, status.entity_count, status.last_refresh_status) == ("error", 2, "error")
    assert status.last_error is not None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(status.last_error)
    assert desk.names() == ["handbook", "wiki"]
    again = desk.refresh()
    assert again.last_error == status.last_error
    healed = desk.refresh(GOOD.replace("wiki", "wiki2"))
    assert (healed.state, healed.last_error) == ("available", None)
    assert desk.names() == ["handbook", "wiki2"]


def test_file_when_it_vanishes_then_the_last_good_set_stays(desk: Desk) -> None:
    desk.refresh(GOOD)
    (desk.folder / "k.yaml").unlink()
    status = desk.refresh()
    assert status.state == "error"
    assert "k.yaml" in str(status.last_error)
    assert desk.names() == ["handbook", "wiki"]
    assert desk.refresh(GOOD).state == "available"


def test_items_when_some_are_wrong_then_the_others_are_loaded_and_each_fault_is_told(desk: Desk) -> None:
    desk.refresh(GOOD)
    text = """\
knowledgesources:
  - name: handbook
    sourceType: document
    documentCount: many
  - name: new
    sourceTyp: url
  - sourceType: url
  - name: wiki
    sourceType: url
    location: https://example.org
  - just text
"""
    status = desk.refresh(text)
    file = "k.yaml"
    assert (status.state, status.entity_count, status.last_error) == ("available", 2, "items rejected: 4")
    assert [(one.severity, one.file, one.line, one.field, one.name) for one in status.problems] == [
        ("error", file, 4, "documentCount", "handbook"),
        ("error", file, 6, "sourceTyp", "new"),
        ("error", file, 7, "name", None),
        ("error", file, 11, None, None),
    ]
    assert "did you mean 'sourceType'" in status.problems[1].message
    assert desk.names() == ["handbook", "wiki"]
    reader = Reader(desk.indexes)
    assert b'"documentCount":3' in bytes(reader.get(DEFAULT_SCOPE, KNOWLEDGE, "handbook"))
    assert b"example.org" in bytes(reader.get(DEFAULT_SCOPE, KNOWLEDGE, "wiki"))


def test_name_when_given_twice_then_the_first_counts_and_the_second_is_told(desk: Desk) -> None:
    status = desk.refresh("knowledgesources:\n  - name: a\n    provider: first\n  - name: a\n    provider: second\n")
    assert status.entity_count == 1
    [problem] = status.problems
    assert (problem.line, problem.field) == (4, "name")
    assert problem.message == "duplicate of the item at k.yaml:2"
    desk.follower.catch_up()
    assert b'"first"' in bytes(Reader(desk.indexes).get(DEFAULT_SCOPE, KNOWLEDGE, "a"))


def test_globs_when_they_change_then_the_source_is_filtered_anew(desk: Desk) -> None:
    text = "knowledgesources:\n" + "".join(f"  - name: {name}\n" for name in ("hr-a", "hr-b", "it-a", "it-b"))
    desk.refresh(text, included=("hr-*",))
    assert desk.names() == ["hr-a", "hr-b"]
    desk.refresh(included=("hr-*", "it-*"), excluded=("*-b",))
    assert desk.names() == ["hr-a", "it-a"]
    desk.refresh(properties={"yamlCatalogPath": "k.yaml", "excludedModels": ["it-*"]})
    assert desk.names() == ["hr-a", "hr-b"]
    desk.refresh()
    assert desk.names() == ["hr-a", "hr-b", "it-a", "it-b"]


def test_source_when_disabled_then_its_entities_go_and_come_back_when_enabled(desk: Desk) -> None:
    desk.refresh(GOOD)
    status = desk.refresh(enabled=False)
    assert (status.state, status.entity_count) == ("disabled", 0)
    assert desk.names() == []
    before = desk.everything()
    desk.refresh(enabled=False)
    assert desk.everything() == before
    assert desk.refresh().state == "available"
    assert desk.names() == ["handbook", "wiki"]


def test_source_when_removed_then_nothing_of_it_is_left(desk: Desk) -> None:
    desk.refresh(GOOD)
    key = key_of(KNOWLEDGE, desk.source())
    desk.refresher.remove(key)
    assert desk.names() == []
    assert desk.statuses.get(key) is None
    found = desk.everything()
    assert (found["entities"], found["catalog_refresh_status"]) == ([], [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"properties": {"yamlCatalogPath": "../outside.yaml"}}, "outside the data roots"),
        ({"properties": {"yamlCatalogPath": "/etc/passwd"}}, "outside the data roots"),
        ({"properties": {"path": "link.yaml"}}, "outside the data roots"),
        ({"properties": {}}, "required: the path"),
        ({"properties": {"yamlCatalogPath": 5}}, "must be the path of a file"),
        ({"properties": {"yamlCatalogPath": "."}}, "not a regular file"),
        ({"type": "hf"}, 'unsupported source type "hf"; supported types are yaml, git and http'),
        ({"type": "ftp"}, 'unsupported source type "ftp"'),
        ({"properties": {"yamlCatalogPath": "k.yaml", "excludedModels": "x"}}, "must be a list of text"),
    ],
)
def test_source_when_it_may_not_be_read_then_is_in_error_and_keeps_what_it_has(
    desk: Desk, given: dict[str, Any], reason: str
) -> None:
    (desk.folder.parent / "outside.yaml").write_text(GOOD)
    (desk.folder / "link.yaml").symlink_to(desk.folder.parent / "outside.yaml")
    desk.refresh(GOOD)
    status = desk.refresh(**given)
    assert status.state == "error"
    assert reason in str(status.last_error)
    assert desk.names() == ["handbook", "wiki"]


def test_file_when_unchanged_then_nothing_is_written(desk: Desk) -> None:
    desk.refresh(GOOD)
    before = desk.everything()
    assert desk.refresh(GOOD).state == "available"
    assert desk.everything() == before


def test_comment_when_changed_then_no_entity_is_written(desk: Desk) -> None:
    desk.refresh(GOOD)
    before = desk.everything()
    desk.refresh(f"{GOOD}# a remark\n")
    after = desk.everything()
    for table in ("entities", "changes", "generations"):
        assert after[table] == before[table]


def test_process_when_started_anew_then_an_unchanged_source_costs_no_write(desk: Desk) -> None:
    desk.refresh(GOOD)
    before = desk.everything()
    desk.statuses.follow()
    held = desk.statuses.get(key_of(KNOWLEDGE, desk.source()))
    assert held is not None
    assert (held.state, held.entity_count) == ("available", 2)
    desk.refresh()
    assert desk.everything() == before


def test_status_when_read_back_then_keeps_its_problems(desk: Desk) -> None:
    status = desk.refresh("knowledgesources:\n  - name: ok\n  - name: bad\n    'sé\"c\\': 🙂\n")
    desk.statuses.follow()
    held = desk.statuses.get(key_of(KNOWLEDGE, desk.source()))
    assert held == replace(status, duration_ms=held.duration_ms if held else 0)
    assert held is not None
    assert len(held.problems) == 1


def test_content_when_given_inline_then_is_loaded(desk: Desk) -> None:
    assert desk.refresh(properties={"content": GOOD}).entity_count == 2
    assert desk.names() == ["handbook", "wiki"]


# --- large files are read by a process of its own --------------------------------------------------------------------


def large_job(**given: Any) -> ReadJob:
    body = "".join(
        f"  - name: n{number:05}\n    provider: {'x' * 80}\n    {'oops: 1' if number == 77 else 'status: active'}\n"
        for number in range(6000)
    )
    data = f"knowledgesources:\n{body}".encode()
    assert len(data) > read_apart.APART_FROM_BYTES
    fields = {"source_id": "k", "included": (), "excluded": ("n0001*",), "known": {}, "max_bytes": 1 << 24, **given}
    return ReadJob(files=fields.pop("files", (SourceFile("k.yaml", data),)), **fields)


def test_large_file_when_read_apart_then_gives_what_reading_it_here_gives() -> None:
    job = large_job()
    apart = read_apart.read("knowledge", KNOWLEDGE.kind, job, timeout_seconds=60)
    assert apart == read_records(KNOWLEDGE.kind, job)
    assert (len(apart.items), apart.errors, apart.rejected) == (5989, 1, {"n00077"})
    known = {name: one.content_hash for name, one in apart.items.items()}
    again = read_apart.read("knowledge", KNOWLEDGE.kind, replace(job, known=known), timeout_seconds=60)
    assert (again.items, again.unchanged) == ({}, known)


def test_large_file_when_wrong_then_the_fault_is_that_of_reading_it_here() -> None:
    job = large_job(files=(SourceFile("k.yaml", b"knowledgesources:\n" + b"  - {name: [}\n" * 60_000),))
    faults = []
    for read in (
        lambda: read_records(KNOWLEDGE.kind, job),
        lambda: read_apart.read("knowledge", KNOWLEDGE.kind, job, timeout_seconds=60),
    ):
        with pytest.raises(Invalid) as caught:
            read()
        faults.append(caught.value.message)
    assert faults[0] == faults[1]
    assert faults[0].startswith("k.yaml:2")


def test_reading_process_when_it_dies_then_the_reason_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Invalid, match="the process that reads the source ended with status 1"):
        read_apart.read("knowledge", KNOWLEDGE.kind, large_job(), timeout_seconds=60)


def test_reading_process_when_it_takes_too_long_then_the_reason_is_clear() -> None:
    with pytest.raises(Invalid, match=r"reading \d+ bytes took longer than 0 s"):
        read_apart.read("knowledge", KNOWLEDGE.kind, large_job(), timeout_seconds=0.01)


def test_large_source_when_refreshed_then_arrives_like_a_small_one(desk: Desk) -> None:
    status = desk.refresh(large_job().files[0].data.decode())
    assert (status.state, status.entity_count, status.last_error) == ("available", 5999, "items rejected: 1")
    assert len(desk.names()) == 5999
