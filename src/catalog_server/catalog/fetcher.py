"""From a configured source to its provider: which one it is, with secrets resolved and files behind the data roots.

For: refreshing a source (refresher.py), judging one before it is applied (judging.py), and what a schedule and a
watcher want to know of it. Secrets are resolved for the moment of use only and never leave with a result.
Not for: what the fetched files mean (records.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog_server.catalog.configuration import Files
from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import CatalogError, Invalid, RateLimited, Unavailable
from catalog_server.providers.base import Fetched, Provider
from catalog_server.sources.config import Source
from catalog_server.sources.paths import Roots
from catalog_server.sources.secrets import SecretSource, mask, resolve_secrets


class Unreachable(Unavailable):
    """The source is down, or the place of its secrets; not the database."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source ready to be fetched. `secrets` is what no message may repeat."""

    provider: Provider
    properties: Mapping[str, Any] = field(repr=False)
    files: Files
    secrets: tuple[str, ...] = field(repr=False)

    def fetch(self, check: Callable[[], None]) -> Fetched:
        """Raises Unreachable, Invalid, or what `check` raises when the fetch is to be given up."""
        try:
            return self.provider.fetch(self.properties, replace(self.files, check=check))
        except (Unavailable, RateLimited) as error:
            raise _unreachable(error) from error

    def shown(self, error: CatalogError) -> CatalogError:
        """The error without any secret in its words."""
        message = mask(error.message, self.secrets)
        if isinstance(error, Unavailable | RateLimited):
            return _unreachable(error, message)
        return Invalid(message, field=error.field, code=error.code if isinstance(error, Invalid) else None)


class Fetcher:
    """Knows the providers, the data roots, and where secrets come from."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        secrets: SecretSource,
        roots: Roots,
        base: Path,
        max_file_bytes: int,
    ) -> None:
        self._providers = providers
        self._secrets = secrets
        self._roots = roots
        self._base = base
        self.max_file_bytes = max_file_bytes

    def prepare(self, plugin: Plugin, source: Source) -> Prepared:
        """Resolve what the source needs.

        Raises:
            Invalid: the plugin takes no such source, or a secret is missing.
            Unreachable: the place of the secrets is down.
        """
        provider = self._provider(plugin, source.type)
        try:
            properties, secrets = resolve_secrets(source.properties, self._secrets.of_tenant(source.namespace))
        except Unavailable as error:
            raise _unreachable(error) from error
        if provider.takes_globs:
            # Where the source has none, its properties may carry their own.
            globs = {"includedModels": source.included, "excludedModels": source.excluded}
            properties |= {key: list(given) for key, given in globs.items() if given}
        return Prepared(provider, properties, self.files(source), secrets)

    def check(self, plugin: Plugin, source: Source) -> None:
        """Judge a source without fetching it. Raises Invalid, or Unreachable when a secret cannot be read now."""
        prepared = self.prepare(plugin, source)
        try:
            prepared.provider.check(prepared.properties, prepared.files)
        except CatalogError as error:
            raise prepared.shown(error) from None

    def takes_globs(self, source: Source) -> bool:
        """Whether the provider has applied the patterns of the source already."""
        provider = self._providers.get(source.type)
        return provider is not None and provider.takes_globs

    def watched(self, source: Source) -> tuple[Path, ...]:
        """Local files that the source is made of."""
        provider = self._providers.get(source.type)
        if provider is None:
            return ()
        try:
            return provider.watched(source.properties, self.files(source))
        except Invalid:
            return ()

    def is_remote(self, source: Source) -> bool:
        """Whether fetching it may take long: such a source is refreshed in the background, never by who waits."""
        provider = self._providers.get(source.type)
        return provider is not None and provider.is_remote

    def sync_interval(self, source: Source) -> timedelta | None:
        """How often it wants to be fetched. None: only on request. A wrong one is told when the source is fetched."""
        provider = self._providers.get(source.type)
        if provider is None:
            return None
        try:
            return provider.sync_interval(source.properties)
        except Invalid:
            return None

    def files(self, source: Source) -> Files:
        """The source's way to local files."""
        return Files(self._roots, source.origin, self._base, self.max_file_bytes)

    def _provider(self, plugin: Plugin, source_type: str) -> Provider:
        provider = self._providers.get(source_type)
        if provider is None or source_type not in plugin.source_types:
            *others, last = plugin.source_types
            allowed = f"supported types are {', '.join(others)} and {last}" if others else f"only {last} is supported"
            raise Invalid(
                f'unsupported source type "{source_type[:80]}"; {allowed}', field="type", code="type_unsupported"
            )
        return provider


def _unreachable(error: Unavailable | RateLimited, message: str | None = None) -> Unreachable:
    is_asked = isinstance(error, RateLimited) or error.is_asked
    return Unreachable(
        error.message if message is None else message,
        retry_after_seconds=error.retry_after_seconds,
        is_asked=is_asked,
    )
