"""Finished answers, kept (platform.md 7)."""

from __future__ import annotations

from catalog_server.http.answer_cache import AnswerCache, Key
from catalog_server.http.messages import Response


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> Key:
    return "default", name.encode(), b""


def put(cache: AnswerCache, *names: str, version: str = "v", body: bytes = b"x") -> None:
    for name in names:
        cache.put(key(name), version, f"etag of {name}", Response(200, body))


def kept(cache: AnswerCache, names: str, version: str = "v") -> str:
    return "".join(name for name in names if cache.get(key(name), version) is not None)


def test_over_the_number_then_the_least_recently_used_leaves() -> None:
    cache = AnswerCache(max_entries=3)
    put(cache, *"abc")
    assert kept(cache, "a") == "a"
    put(cache, "d")
    assert kept(cache, "abcd") == "acd"
    assert len(cache) == 3


def test_put_again_then_it_replaces_and_does_not_grow() -> None:
    cache = AnswerCache(max_entries=2)
    put(cache, *"ab")
    put(cache, *"aaaa", body=b"new")
    assert len(cache) == 2
    entry = cache.get(key("a"), "v")
    assert entry is not None
    assert entry.response.body == b"new"
    put(cache, "c")
    assert kept(cache, "abc") == "ac"


def test_over_the_bytes_then_entries_leave_and_a_huge_one_never_enters() -> None:
    cache = AnswerCache(max_bytes=10_000)
    put(cache, "huge", body=b"x" * 5000)
    assert len(cache) == 0
    put(cache, *"abcdefghijklmnopqrst", body=b"x" * 100)
    assert 0 < len(cache) < 20
    assert kept(cache, "t") == "t"
    assert kept(cache, "a") == ""
    assert not AnswerCache(max_bytes=0).is_on


def test_its_time_is_over_then_it_is_gone() -> None:
    clock = Clock()
    cache = AnswerCache(ttl_seconds=60, clock=clock)
    put(cache, "a")
    clock.now = 59.9
    assert kept(cache, "a") == "a"
    clock.now = 60
    assert kept(cache, "a") == ""
    assert len(cache) == 0


def test_another_version_then_it_is_not_found() -> None:
    cache = AnswerCache()
    put(cache, "a", version="1")
    assert kept(cache, "a", version="2") == ""
    put(cache, "a", version="2")
    assert len(cache) == 1


def test_told_then_entries_say_hit() -> None:
    told = AnswerCache(is_told=True)
    put(told, "a")
    entry = told.get(key("a"), "v")
    assert entry is not None
    assert (b"x-cache", b"HIT") in entry.response.headers
    silent = AnswerCache()
    assert (silent.hit, silent.miss) == ((), ())
