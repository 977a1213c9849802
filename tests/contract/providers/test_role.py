"""What all providers promise alike: a wrong property is refused by its name and a code, before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.base import Provider
from catalog_server.providers.git import GitProvider
from catalog_server.providers.http import HTTPProvider
from catalog_server.providers.huggingface import HuggingFaceProvider
from catalog_server.providers.yaml import YAMLProvider
from tests.contract.providers.http_bench import HTTPBench

GOOD: Mapping[str, Mapping[str, Any]] = {
    "git": {"repoUrl": "https://git.example.com/r.git"},
    "http": {"url": "https://example.com/a.yaml"},
    "hf": {"includedModels": ["acme/*"]},
}
WRONG: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    *((kind, {"syncInterval": value}, "syncInterval") for kind in GOOD for value in ("daily", 5, ["1h"], "-1h", "")),
    *((kind, {"syncInterval": {"name": "n", "key": "k"}}, "syncInterval") for kind in GOOD),
    *((kind, {"timeout": value}, "timeout") for kind in GOOD for value in ("never", 1.5, "0s", "99h")),
    *((kind, {"typo": 1}, "typo") for kind in GOOD),
    ("http", {"refreshInterval": "often"}, "refreshInterval"),
    ("http", {"refreshInterval": "1h", "syncInterval": "1h"}, "refreshInterval"),
    ("git", {"repoUrl": None}, "repoUrl"),
    ("git", {"repoUrl": "missing"}, "repoUrl"),
    ("http", {"url": 5}, "url"),
    ("http", {"tls": {"caFile": "missing.pem"}}, "tls.caFile"),
    ("hf", {"includedModels": None}, "includedModels"),
    ("yaml", {}, "yamlCatalogPath"),
    ("yaml", {"path": 5}, "path"),
    ("yaml", {"path": "missing.yaml"}, "path"),
    ("yaml", {"yamlCatalogPath": "/etc/passwd"}, "yamlCatalogPath"),
    ("yaml", {"content": 5}, "content"),
)


@pytest.fixture
def providers(tmp_path: Path) -> dict[str, Provider]:
    return {
        "yaml": YAMLProvider(),
        "git": GitProvider(tmp_path / "git"),
        "http": HTTPProvider(tmp_path / "http"),
        "hf": HuggingFaceProvider(max_bytes=1000),
    }


@pytest.mark.parametrize(("kind", "given", "key"), WRONG, ids=str)
def test_wrong_property_then_invalid_with_field_and_code(
    providers: dict[str, Provider], http_bench: HTTPBench, kind: str, given: Mapping[str, Any], key: str
) -> None:
    properties = {**GOOD.get(kind, {}), **given}
    for act in (providers[kind].check, providers[kind].fetch):
        with pytest.raises(Invalid) as caught:
            act(properties, http_bench.files)
        assert caught.value.field == f"properties.{key}"
        assert caught.value.code
    if "Interval" in key:
        with pytest.raises(Invalid) as caught:
            providers[kind].sync_interval(properties)
        assert (caught.value.field, bool(caught.value.code)) == (f"properties.{key}", True)


@pytest.mark.parametrize("kind", GOOD)
def test_good_properties_then_nothing_is_said(providers: dict[str, Provider], http_bench: HTTPBench, kind: str) -> None:
    providers[kind].check(GOOD[kind], http_bench.files)
    assert providers[kind].is_remote
    assert providers[kind].watched(GOOD[kind], http_bench.files) == ()
