"""The `hf` provider: models of a hub that speaks the protocol of Hugging Face, as one catalog file of the model plugin.

Properties and their rules are in hf_source.py and hf_patterns.py, the way from a hub's record to an entry in
hf_models.py (there also why an unchanged hub gives unchanged bytes). A fetch is done by hf_fetch.py and hf_finder.py;
they ask through huggingface_hub (hf_library.py), whose requests hf_client.py makes over the parts of the `http`
provider. All of these are imported by the first fetch.

The patterns of a source arrive in its properties as `includedModels` and `excludedModels`, wherever the configuration
has them. They are used up here: a model may be called differently from the pattern that found it (`gpt2`,
`allowedOrganization`), so nobody should filter by `includedModels` again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog_server.providers.base import Fetched, FileAccess
from catalog_server.providers.hf_source import HubPolicy, HubSource, hub_sync_interval, read_hub_source
from catalog_server.providers.http_guard import AddressGuard, Resolve, resolve_host
from catalog_server.settings.kinds import Secret

if TYPE_CHECKING:
    from catalog_server.providers.hf_client import Wait
    from catalog_server.providers.http_connection import Connector

__all__ = ["HubPolicy", "HuggingFaceProvider"]


class HuggingFaceProvider:
    """Safe to call from several threads; only the trust store is kept between two fetches.

    `environment_tokens`: values of the variables that `apiKeyEnvVar` may name, where set. `max_bytes`: the largest file
    that the reader takes. `wait` pauses between two tries; by default it does so and looks up now and then.
    """

    is_remote = True
    takes_globs = True

    def __init__(
        self,
        *,
        max_bytes: int,
        environment_tokens: Mapping[str, Secret | str] | None = None,
        policy: HubPolicy | None = None,
        wait: Wait | None = None,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._max_bytes = max_bytes
        self._environment_tokens = dict(environment_tokens or {})
        self._policy = policy or HubPolicy()
        self._wait = wait
        self._guard = AddressGuard(self._policy.allowed_networks, resolve)

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        self._read(properties)

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        source = self._read(properties)
        # Not before it is needed: a server without hf sources starts without the hub's library, and 8 MB smaller.
        from catalog_server.providers.hf_fetch import HubLimits, fetch_models

        limits = HubLimits(self._max_bytes)
        return fetch_models(source, limits, connector=self._connector, check=files.check, wait=self._wait)

    @cached_property
    def _connector(self) -> Connector:
        from catalog_server.providers.http_connection import Connector

        return Connector(self._guard)

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        return ()

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        return hub_sync_interval(properties)

    def _read(self, properties: Mapping[str, Any]) -> HubSource:
        return read_hub_source(properties, self._policy, self._environment_tokens)
