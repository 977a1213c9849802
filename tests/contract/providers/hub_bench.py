"""A hub over HTTP and a provider that may reach it: what the tests of the hf provider share."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.configuration import Files
from catalog_server.errors import CatalogError
from catalog_server.providers.base import Fetched
from catalog_server.providers.hf_source import HubPolicy
from catalog_server.providers.huggingface import HuggingFaceProvider
from catalog_server.sources.paths import Roots
from tests.fake_huggingface import TOKEN, Hub

NO_FILES = Files(Roots(()), "", Path(), 0)  # the provider opens none
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
POLICY = HubPolicy(frozenset({"127.0.0.1"}), frozenset({"127.0.0.1"}), (LOOPBACK,))


class HubBench:
    """A hub, a provider that may reach it, and a record of how long it waited."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.waits: list[float] = []

    def fetch(self, *included: str, **given: Any) -> Fetched:
        settings = {"max_bytes": 10_000_000, "policy": POLICY, **given.pop("settings", {})}
        provider = HuggingFaceProvider(wait=lambda _, seconds: self.waits.append(seconds), **settings)
        patterns = {"includedModels": list(included)} if included else {}
        return provider.fetch({"url": self.hub.url, **patterns, **given}, NO_FILES)

    def fails(self, *included: str, **given: Any) -> CatalogError:
        with pytest.raises(CatalogError) as caught:
            self.fetch(*included, **given)
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert not any(TOKEN in repr(error) for error in chain)
        return caught.value


def entries(fetched: Fetched) -> list[dict[str, Any]]:
    (file,) = fetched.files
    models: list[dict[str, Any]] = json.loads(file.data)["models"]
    return models


def names(fetched: Fetched) -> list[str]:
    return [entry["name"] for entry in entries(fetched)]
