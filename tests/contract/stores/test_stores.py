"""What all stores promise."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from catalog_server.errors import Conflict, Invalid, NotFound, TooLarge
from catalog_server.sources.stores.base import Store, save_with_retry
from catalog_server.sources.stores.none import MemoryStore
from tests.contract.stores.conftest import FIRST, Home


def save(store: Store, data: bytes, **details: str) -> str:
    return store.save(data, store.load().version, **details)


def test_load_then_bytes_and_their_hash(home: Home) -> None:
    stored = home.open().load()
    assert stored.data == FIRST
    assert stored.version == hashlib.sha256(FIRST).hexdigest()


def test_save_then_every_store_loads_it(home: Home) -> None:
    version = save(home.open(), b"second: \xc3\xa9\r\n")
    assert version == hashlib.sha256(b"second: \xc3\xa9\r\n").hexdigest()
    assert home.open().load().data == b"second: \xc3\xa9\r\n"
    assert home.open().load().version == version


def test_save_when_something_else_is_stored_then_conflict(home: Home) -> None:
    mine, other = home.open(), home.open()
    version = mine.load().version
    save(other, b"other")
    with pytest.raises(Conflict, match="config was modified externally, retry the operation"):
        mine.save(b"mine", version)
    for wrong in ("", version[:8], "0" * 64):
        with pytest.raises(Conflict):
            mine.save(b"mine", wrong)
    assert mine.load().data == b"other"


def test_save_when_identical_then_nothing_happens(home: Home) -> None:
    store = home.open()
    before = store.list_revisions()
    assert save(store, FIRST, author="a") == store.load().version
    assert store.list_revisions() == before


def test_save_when_too_large_then_refused(home: Home) -> None:
    store = home.open()
    save(store, b"x" * home.max_bytes)
    with pytest.raises(TooLarge, match="config file exceeds maximum allowed size"):
        save(store, b"x" * (home.max_bytes + 1))
    assert len(store.load().data) == home.max_bytes


def test_save_when_many_race_then_one_wins_each_round(home: Home) -> None:
    stores = [home.open() for _ in range(4)]
    version = stores[0].load().version
    start = threading.Barrier(len(stores))

    def attempt(index: int) -> str | None:
        start.wait()
        try:
            return stores[index].save(b"from %d" % index, version)
        except Conflict:
            return None

    with ThreadPoolExecutor(len(stores)) as pool:
        won = [one for one in pool.map(attempt, range(len(stores))) if one is not None]
    assert won == [stores[0].load().version]


def test_save_with_retry_when_many_append_then_nothing_is_lost(home: Home) -> None:
    stores = [home.open() for _ in range(3)]

    def append(index: int) -> None:
        for _ in range(4):
            save_with_retry(stores[index], lambda data: data + b"%d" % index, retries=50)

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(append, range(len(stores))))
    assert sorted(stores[0].load().data.removeprefix(FIRST)) == sorted(b"000011112222")


def test_fresh_store_then_writable_and_described(home: Home) -> None:
    store = home.open()
    assert store.is_writable() is None
    assert store.describe()


def test_memory_then_no_revisions_and_no_rollback() -> None:
    store = MemoryStore(lambda: FIRST)
    save(store, b"second")
    assert store.list_revisions() == []
    with pytest.raises(Invalid, match="mode is none"):
        store.read_revision(hashlib.sha256(FIRST).hexdigest())


def test_revisions_then_newest_first_with_author_and_reason(lasting_home: Home) -> None:
    store = lasting_home.open()
    save(store, b"second", author="ann", reason="because")
    save(store, b"third", author="bob", reason="x" * 9000)
    found = lasting_home.open().list_revisions()
    assert [store.read_revision(one.hash) for one in found] == [b"third", b"second", FIRST]
    assert [one.current for one in found] == [True, False, False]
    assert [one.author for one in found] == ["bob", "ann", ""]
    assert [one.size for one in found] == [5, 6, len(FIRST)]
    assert found[1].reason == "because"
    assert len(found[0].reason) == 500
    assert all(one.version == one.hash[:8] for one in found)
    assert found[0].timestamp >= found[1].timestamp
    assert abs(datetime.now(UTC) - found[0].timestamp) < timedelta(minutes=1)


def test_revisions_when_many_saves_then_newest_kept(lasting_home: Home) -> None:
    store = lasting_home.open()
    for index in range(25):
        save(store, b"content %d" % index)
    found = store.list_revisions()
    wanted = [b"content %d" % index for index in range(24, 23 - lasting_home.kept, -1)]
    assert [store.read_revision(one.version) for one in found] == wanted
    with pytest.raises(NotFound):
        store.read_revision(hashlib.sha256(b"content 0").hexdigest())


def test_rollback_then_exact_bytes_and_a_revision_more(lasting_home: Home) -> None:
    store = lasting_home.open()
    first = store.load().version
    second = save(store, b"second", author="ann")
    restored = store.read_revision(first[:8])
    assert restored == FIRST
    assert store.save(restored, second, author="bob", reason="rollback") == first
    assert store.load().data == FIRST
    found = store.list_revisions()
    assert (found[0].hash, found[0].author, found[0].current) == (first, "bob", True)
    assert (found[1].hash, found[1].author) == (second, "ann")


def test_read_revision_when_unknown_or_no_version_then_refused(lasting_home: Home) -> None:
    store = lasting_home.open()
    version = store.load().version
    assert store.read_revision(version) == store.read_revision(version[:8].upper()) == FIRST
    for unknown in ("0" * 8, "0" * 64, version[:63] + ("0" if version[63] != "0" else "1")):
        with pytest.raises(NotFound):
            store.read_revision(unknown)
    for bad in ("", version[:7], "x" * 8, version + "0", "../../etc", "0" * 7 + "\n"):
        with pytest.raises(Invalid):
            store.read_revision(bad)
