"""Kept documents: read as they were written, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from catalog_server.providers.http_cache import Entry, HTTPCache

ENTRY = Entry(b"a\nb\n", "place", '"1"', None)


@pytest.fixture
def cache(tmp_path: Path) -> HTTPCache:
    return HTTPCache(tmp_path / "a" / "b", 1000)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "a" / "b").iterdir()}


def test_written_then_read_again(cache: HTTPCache) -> None:
    assert cache.read("key", 100) is None
    for entry in (ENTRY, Entry(b"", "", None, "date"), Entry(os.urandom(500), "x")):
        cache.write("key", entry)
        assert cache.read("key", 500) == entry


def test_too_large_to_be_wanted_then_none(cache: HTTPCache) -> None:
    cache.write("key", ENTRY)
    assert cache.read("key", len(ENTRY.body)) == ENTRY
    assert cache.read("key", len(ENTRY.body) - 1) is None


def test_any_byte_changed_then_none(cache: HTTPCache, tmp_path: Path) -> None:
    cache.write("key", ENTRY)
    path = tmp_path / "a" / "b" / "key"
    data = path.read_bytes()
    for position in range(len(data)):
        if position == 64:  # what stands between hash and content
            continue
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert cache.read("key", 100) is None, position


def test_no_room_then_longest_unused_goes(cache: HTTPCache, tmp_path: Path) -> None:
    for key in ("1", "2", "3"):
        cache.write(key, Entry(bytes(200), "x"))
        os.utime(tmp_path / "a" / "b" / key, (int(key), int(key)))
    cache.read("1", 1000)
    cache.write("4", Entry(bytes(200), "x"))
    assert names(tmp_path) == {"1", "3", "4"}
    cache.write("3", Entry(bytes(2000), "x"))  # an entry that never fits does not drive out the others
    assert names(tmp_path) == {"1", "4"}


def test_left_over_of_a_killed_server_then_goes(cache: HTTPCache, tmp_path: Path) -> None:
    cache.write("key", ENTRY)
    old, new = (tmp_path / "a" / "b" / name for name in (".new-old", ".new-new"))
    for path, age in ((old, 7200), (new, 10)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    cache.write("other", ENTRY)
    assert names(tmp_path) == {"key", "other", ".new-new"}


def test_folder_in_the_way_then_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = HTTPCache(tmp_path / "file", 1000)
    cache.write("key", ENTRY)
    cache.drop("key")
    assert cache.read("key", 100) is None
