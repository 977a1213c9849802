"""Secrets that are kept do not go to another host (the marker of http-api.md 2.8)."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.sources.origins import find_moved

STORED = {"url": "https://data.example.com/a.yaml", "headers": {"Authorization": "Bearer x"}}


def with_url(url: Any, **more: Any) -> dict[str, Any]:
    return {**STORED, "url": url, **more}


@pytest.mark.parametrize(
    "given",
    [
        STORED,
        with_url("https://data.example.com/other.yaml?x=1"),
        with_url("https://data.example.com:443/a.yaml"),
        with_url("HTTPS://DATA.example.com/a.yaml"),
        with_url("https://user@data.example.com/a.yaml"),
        with_url(STORED["url"], docs=["see https://data.example.com/docs", 7, None]),
    ],
)
def test_same_host_then_nothing_moved(given: dict[str, Any]) -> None:
    assert find_moved(given, STORED) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/a.yaml",
        "http://data.example.com/a.yaml",
        "https://data.example.com:8443/a.yaml",
        "https://data.example.com.evil.example/a.yaml",
        "https://data.example.com@evil.example/a.yaml",
        "https://evil.example#@data.example.com/a.yaml",
        "https://evil.example\\@data.example.com/a.yaml",
        "git@evil.example:a/b",
        "a.yaml",
        None,
    ],
)
def test_another_host_then_the_field_is_named(url: Any) -> None:
    assert find_moved(with_url(url), STORED) == "properties.url"


def test_a_host_beside_the_old_one_then_its_field_is_named() -> None:
    assert find_moved(with_url(STORED["url"], mirrors=[{"u": "https://evil.example/"}]), STORED) == (
        "properties.mirrors[0].u"
    )
    assert find_moved({"url": "https://evil.example/", "token": "t"}, {"token": "t"}) == "properties.url"


def test_forms_of_a_repository_then_the_same_host() -> None:
    assert find_moved({"repoUrl": "ssh://git@h.example:22/a/b"}, {"repoUrl": "git@h.example:a/b"}) is None
    assert find_moved({"repoUrl": "git@other.example:a/b"}, {"repoUrl": "git@h.example:a/b"}) == "properties.repoUrl"
