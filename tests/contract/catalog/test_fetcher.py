"""What a provider gets of a source: its properties with secrets in place, and its patterns; what failures become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.fetcher import Fetcher, Unreachable
from catalog_server.catalog.registry import discover
from catalog_server.errors import CatalogError, Invalid, Location, RateLimited, Unavailable
from catalog_server.providers.base import Fetched, FileAccess
from catalog_server.sources.config import Source
from catalog_server.sources.paths import Roots
from catalog_server.sources.secrets import FolderSecrets

MODEL = discover().plugins["model"]
SECRET = "s3cr3t-value"


class Noted:
    """A provider that remembers what it was given, and fails as it is told."""

    is_remote = True

    def __init__(self, error: CatalogError | None = None, *, takes_globs: bool = True) -> None:
        self.takes_globs = takes_globs
        self.seen: dict[str, Any] = {}
        self._error = error

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        self.seen = dict(properties)

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        files.check()
        self.seen = dict(properties)
        if self._error is not None:
            raise self._error
        return Fetched(())

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        return ()

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        raise Invalid("no duration", field="properties.syncInterval", code="property_invalid")


def source(**given: Any) -> Source:
    return Source(id="s", name="S", type="hf", origin="x", location=Location("x", 1), **given)


def fetcher(provider: Noted, folder: Path) -> Fetcher:
    (folder / "hub").mkdir(exist_ok=True)
    (folder / "hub" / "token").write_text(SECRET)
    return Fetcher(
        providers={"hf": provider}, secrets=FolderSecrets(folder), roots=Roots(()), base=folder, max_file_bytes=1
    )


@pytest.mark.parametrize(
    ("given", "properties", "expected"),
    [
        ({"included": ("a/*",), "excluded": ("b",)}, {}, {"includedModels": ["a/*"], "excludedModels": ["b"]}),
        ({}, {"includedModels": ["c"]}, {"includedModels": ["c"]}),
        ({"excluded": ("b",)}, {"includedModels": ["c"]}, {"includedModels": ["c"], "excludedModels": ["b"]}),
        ({"included": ("a",)}, {"includedModels": ["c"]}, {"includedModels": ["a"]}),
        ({}, {}, {}),
    ],
)
def test_patterns_then_handed_on_where_the_source_has_them(
    tmp_path: Path, given: dict[str, Any], properties: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A source without patterns of its own must not hide those in its properties."""
    provider = Noted()
    fetcher(provider, tmp_path).check(MODEL, source(properties=properties, **given))
    assert provider.seen == expected


def test_provider_without_patterns_then_none_are_handed_on(tmp_path: Path) -> None:
    provider = Noted(takes_globs=False)
    fetcher(provider, tmp_path).check(MODEL, source(included=("a",), properties={"x": 1}))
    assert provider.seen == {"x": 1}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unavailable("down"), (5, False)),
        (Unavailable("down", retry_after_seconds=90, is_asked=True), (90, True)),
        (RateLimited("slow", retry_after_seconds=7), (7, True)),
    ],
)
def test_source_down_then_unreachable_and_what_it_asked_for_is_kept(
    tmp_path: Path, error: CatalogError, expected: tuple[int, bool]
) -> None:
    prepared = fetcher(Noted(error), tmp_path).prepare(MODEL, source(properties={}))
    with pytest.raises(Unreachable) as caught:
        prepared.fetch(lambda: None)
    shown = prepared.shown(caught.value)
    assert isinstance(shown, Unreachable)
    for one in (caught.value, shown):
        assert (one.retry_after_seconds, one.is_asked) == expected


def test_message_with_a_secret_then_not_shown(tmp_path: Path) -> None:
    provider = Noted(Unavailable(f"refused {SECRET}"))
    given = source(properties={"token": {"name": "hub", "key": "token"}})
    prepared = fetcher(provider, tmp_path).prepare(MODEL, given)
    with pytest.raises(Unreachable) as caught:
        prepared.fetch(lambda: None)
    assert provider.seen == {"token": SECRET}
    assert SECRET not in prepared.shown(caught.value).message


def test_fetch_given_up_then_what_the_check_raises(tmp_path: Path) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    prepared = fetcher(Noted(), tmp_path).prepare(MODEL, source(properties={}))
    with pytest.raises(KeyboardInterrupt):
        prepared.fetch(give_up)


def test_wrong_interval_then_none_because_the_status_says_it(tmp_path: Path) -> None:
    assert fetcher(Noted(), tmp_path).sync_interval(source(properties={})) is None
