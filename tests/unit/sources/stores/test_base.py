"""The retry loop that all stores share."""

from __future__ import annotations

import threading

import pytest

from catalog_server.errors import Conflict, Invalid, NotFound, Unavailable
from catalog_server.sources.stores.base import check_version, pick_revision, save_with_retry
from catalog_server.sources.stores.none import MemoryStore


class Contested(MemoryStore):
    """Somebody else saves before each of the first `times` saves."""

    def __init__(self, times: int) -> None:
        super().__init__(lambda: b"start")
        self.times = times
        self.attempts = 0

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        self.attempts += 1
        if self.attempts <= self.times:
            super().save(b"other %d" % self.attempts, self.load().version)
        return super().save(data, expected_version)


class Pauses(threading.Event):
    """Takes down how long each pause would be."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return False


def test_save_with_retry_when_contested_then_made_upon_what_is_stored() -> None:
    store = Contested(2)
    stored = save_with_retry(store, lambda data: data + b"+mine")
    assert stored.data == b"other 2+mine"
    assert stored == store.load()


def test_save_with_retry_when_always_contested_then_conflict_after_three_retries() -> None:
    store, stop = Contested(99), Pauses()
    with pytest.raises(Conflict):
        save_with_retry(store, lambda data: data + b"+mine", stop=stop)
    assert store.attempts == 4
    assert stop.seconds == [0.05, 0.1, 0.2]  # and no pause at the end


def test_save_with_retry_when_change_fails_then_at_once() -> None:
    def change(data: bytes) -> bytes:
        raise Conflict("of the change itself")

    store = Contested(0)
    with pytest.raises(Conflict, match="itself"):
        save_with_retry(store, change)
    assert store.attempts == 0


def test_save_with_retry_when_stopped_then_unavailable() -> None:
    stop = threading.Event()
    stop.set()
    store = Contested(99)
    with pytest.raises(Unavailable, match="stopping"):
        save_with_retry(store, lambda data: data + b"x", stop=stop)
    assert store.attempts == 1


def test_check_version_then_lower_case() -> None:
    assert check_version("ABCDEF01") == "abcdef01"
    for bad in ("", "abcdef0", "g" * 8, "a" * 65, "abcdef01\n"):
        with pytest.raises(Invalid):
            check_version(bad)


def test_pick_revision_then_the_only_one() -> None:
    hashes = ["aaaaaaaa1", "aaaaaaaa2", "bbbbbbbb1", "bbbbbbbb1"]
    assert pick_revision(hashes, "bbbbbbbb") == "bbbbbbbb1"
    with pytest.raises(Conflict):
        pick_revision(hashes, "aaaaaaaa")
    with pytest.raises(NotFound):
        pick_revision(hashes, "cccccccc")
