"""The source configuration that is in force: read from its store and files, merged, asked by namespace and plugin.

The last good configuration stays when a file breaks; `problem` then says why.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from catalog_server import __version__
from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import Invalid, NotFound
from catalog_server.scope import Scope
from catalog_server.sources.config import (
    LABEL_NAMESPACE,
    NamedQueries,
    ParsedConfig,
    Section,
    Source,
    SourcesConfig,
    definition_digest,
)
from catalog_server.sources.merge import merge_configs
from catalog_server.sources.parser import parse_sources
from catalog_server.sources.paths import Roots, locate_path, read_file, resolve_path
from catalog_server.sources.stores.base import Store, Stored

_EMPTY = Section("")
_EVERYBODY = ""
"""No namespace: what belongs to all tenants."""


def _never() -> None:
    """Nobody gives up."""


@dataclass(frozen=True)
class Files:
    """Reads local files for providers, inside the data roots only."""

    roots: Roots
    origin: str
    base: Path
    max_bytes: int
    check: Callable[[], None] = _never

    def locate(self, value: str) -> Path:
        return locate_path(value, origin=self.origin, base=self.base, roots=self.roots)

    def resolve(self, value: str) -> Path:
        return resolve_path(value, origin=self.origin, base=self.base, roots=self.roots)

    def resolve_folder(self, value: str) -> Path:
        return resolve_path(value, origin=self.origin, base=self.base, roots=self.roots, want="directory")

    def read(self, path: Path) -> bytes:
        return read_file(path, self.max_bytes)


@dataclass(frozen=True, slots=True)
class Effective:
    """A configuration that could be in force, and what it was made of."""

    config: SourcesConfig
    primary: ParsedConfig
    """What the store alone says: the part that can be changed."""
    version: str
    """Of the store: the SHA-256 of its bytes."""
    warnings: tuple[str, ...] = ()


class ConfigReader:
    """Puts the configuration together: what the store holds, with the override files over it."""

    def __init__(self, store: Store, overrides: Sequence[Path], known_sections: Sequence[str]) -> None:
        self.store = store
        self.overrides = tuple(path.absolute() for path in overrides)
        self._known_sections = tuple(known_sections)

    def read(self) -> Effective:
        """What should be in force now.

        Raises:
            Invalid: a file is missing or wrong; the message names file and line.
            Unavailable: the store cannot be read.
        """
        return self.build(self.store.load())

    def build(self, stored: Stored) -> Effective:
        """What would be in force if the store held this. Raises Invalid."""
        primary = self._parse(stored.data, self.store.describe())
        parsed = [primary, *(self._parse(_read_override(path), str(path)) for path in self.overrides)]
        warnings = tuple(str(warning) for one in parsed for warning in one.warnings)
        return Effective(merge_configs(parsed), primary, stored.version, warnings)

    def _parse(self, data: bytes, file: str) -> ParsedConfig:
        return parse_sources(data, file=file, known_sections=self._known_sections)


def _read_override(path: Path) -> bytes:
    try:
        return read_file(path)
    except Invalid as error:
        raise Invalid(f"{path}: {error.reason}", field="--sources", code=error.code) from error


class Configuration:
    """What is in force now. Replaced as a whole; readers see the old or the new one."""

    def __init__(self) -> None:
        self._config = SourcesConfig()
        self.store_version = ""
        """Version of the store's content that is in force; empty before the first."""
        self.problem: str | None = None
        """Why the newest files were not taken, where that is so."""
        self.put(self._config)

    @property
    def current(self) -> SourcesConfig:
        return self._config

    def put(self, config: SourcesConfig, store_version: str = "") -> None:
        """Take a new configuration into force."""
        self._config = config
        self._by_id = _by_id(config)
        self.store_version = store_version
        self._versions = _versions(config)
        self.problem = None

    def confirm(self, store_version: str) -> None:
        """The store holds other bytes that say the same, or what it holds is right again."""
        self.store_version = store_version
        self.problem = None

    def version_of(self, scope: Scope) -> str:
        """Short hash of the code and of what the tenant sees of the configuration; part of every ETag."""
        return self._versions.get(scope.namespace) or self._versions[_EVERYBODY]

    def section(self, plugin: Plugin) -> Section:
        """What is configured for a plugin, of all tenants together."""
        return self._config.sections.get(plugin.section_key, _EMPTY)

    def labels(self, scope: Scope, plugin: Plugin) -> list[dict[str, str | None]]:
        """Labels that are the tenant's or everybody's, in the order of the configuration."""
        return [
            {key: text for key, text in label.items() if key != LABEL_NAMESPACE}
            for label in self.section(plugin).labels
            if label.get(LABEL_NAMESPACE, scope.namespace) == scope.namespace
        ]

    def named_queries(self, scope: Scope, plugin: Plugin) -> NamedQueries:
        """Named queries that are the tenant's or everybody's."""
        section = self.section(plugin)
        return {
            name: conditions
            for name, conditions in section.named_queries.items()
            if section.query_namespaces.get(name, scope.namespace) == scope.namespace
        }

    def sources(self, scope: Scope, plugin: Plugin) -> list[Source]:
        """The tenant's sources of one plugin, disabled ones included, in order of id."""
        found = [one for one in self.section(plugin).sources if one.namespace == scope.namespace]
        return sorted(found, key=lambda one: one.id)

    def labelled(self, scope: Scope, plugin: Plugin, labels: Sequence[str]) -> frozenset[str]:
        """Ids of the tenant's sources with any of the labels, without regard to case; `null`: without labels."""
        wanted = {label.strip().casefold() for label in labels}
        return frozenset(
            one.id
            for one in self.sources(scope, plugin)
            if wanted & {label.casefold() for label in one.labels} or ("null" in wanted and not one.labels)
        )

    def source(self, scope: Scope, plugin: Plugin, source_id: str) -> Source:
        """One source of the tenant. Raises NotFound."""
        found = self.find(scope, plugin, source_id)
        if found is None:
            raise NotFound(f'source "{source_id[:128]}" not found')
        return found

    def find(self, scope: Scope, plugin: Plugin, source_id: str) -> Source | None:
        """The same, or None."""
        return self._by_id.get((plugin.section_key, scope.namespace, source_id))

    def says(self, plugin: Plugin, source: Source) -> bool:
        """Whether the source is still configured to be fetched like this."""
        now = self.find(Scope(source.namespace), plugin, source.id)
        return now is not None and not differ(source, now)

    def keys(self, plugins: Mapping[str, Plugin]) -> dict[tuple[str, str, str], tuple[Plugin, Source]]:
        """All sources of installed plugins by (namespace, plugin name, source id)."""
        return {
            (source.namespace, plugin.name, source.id): (plugin, source)
            for plugin in plugins.values()
            for source in self.section(plugin).sources
        }


def differ(old: Source, new: Source) -> bool:
    """Whether a source has to be looked at again: not for another name, label or line of its file."""
    return old.enabled != new.enabled or definition_digest(old) != definition_digest(new)


def _versions(config: SourcesConfig) -> dict[str, str]:
    """By namespace, and under `_EVERYBODY` that of a namespace of which nothing is configured.

    What one tenant changes must not show in another one's ETags. Lines of a file move with what stands above them.
    """
    seen: dict[str, list[object]] = defaultdict(list)
    for key, section in config.sections.items():
        for one in section.sources:
            named = (one.id, one.name, one.type, one.enabled, one.origin)
            seen[one.namespace].append((key, named, one.labels, one.properties, one.included, one.excluded))
        for label in section.labels:
            seen[label.get(LABEL_NAMESPACE) or _EVERYBODY].append((key, label))
        for name, conditions in section.named_queries.items():
            seen[section.query_namespaces.get(name, _EVERYBODY)].append((key, name, conditions))
    common = msgspec.json.encode((__version__, seen[_EVERYBODY]), enc_hook=str)
    return {name: _short_hash(common, () if name == _EVERYBODY else own) for name, own in seen.items()}


def _short_hash(common: bytes, own: Sequence[object]) -> str:
    return hashlib.blake2b(common + msgspec.json.encode(own, enc_hook=str), digest_size=4).hexdigest()


def _by_id(config: SourcesConfig) -> dict[tuple[str, str, str], Source]:
    return {
        (key, source.namespace, source.id): source
        for key, section in config.sections.items()
        for source in section.sources
    }
