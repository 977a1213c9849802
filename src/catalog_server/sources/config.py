"""The typed shape of the sources configuration, before and after merging.

For: what parser.py produces (ParsedConfig: None means "not given"), what merge.py makes of it (SourcesConfig: all
filled in), what counts as a change of it, and the error that carries every fault of a file at once.
Not for: reading text (parser.py), rules of merging (merge.py), where the text is kept (stores/).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from catalog_server.errors import Invalid, Location
from catalog_server.scope import DEFAULT_NAMESPACE
from catalog_server.sources.paths import folder_of

API_VERSION: Final = "catalog/v1alpha1"
KIND: Final = "CatalogSources"
SHOWN_ERRORS: Final = 20

Labels = tuple[Mapping[str, str | None], ...]
Identity = tuple[str, str]
"""Namespace and id: what tells a source from the others of its section."""


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """One condition of a named query. `operator` is upper case; `value` is a list for IN and NOT IN."""

    operator: str
    value: Any


NamedQueries = Mapping[str, Mapping[str, NamedCondition]]
LABEL_NAMESPACE: Final = "namespace"
"""The key of a label that makes it one tenant's."""


@dataclass(frozen=True, slots=True)
class ParsedSource:
    """A source as one file gives it. None means that the file does not say; an empty value is a value."""

    id: str
    origin: str
    location: Location
    name: str | None = None
    type: str | None = None
    enabled: bool | None = None
    labels: tuple[str, ...] | None = None
    properties: Mapping[str, Any] | None = None
    included: tuple[str, ...] | None = None
    excluded: tuple[str, ...] | None = None
    namespace: str | None = None

    @property
    def identity(self) -> Identity:
        return self.namespace or DEFAULT_NAMESPACE, self.id


@dataclass(frozen=True, slots=True)
class ParsedSection:
    key: str
    sources: tuple[ParsedSource, ...] = ()
    labels: Labels | None = None
    named_queries: NamedQueries | None = None
    query_namespaces: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """Something that deserves a word to the operator and stops nothing."""

    message: str
    field: str
    location: Location

    def __str__(self) -> str:
        return f"{self.location}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """One file. `api_version` and `kind` are empty when not given."""

    file: str
    api_version: str = ""
    kind: str = ""
    sections: Mapping[str, ParsedSection] = field(default_factory=dict)
    warnings: tuple[ConfigWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One source, merged. `origin` is the file that gave the properties: relative paths start at its directory."""

    id: str
    name: str
    type: str
    origin: str
    location: Location
    enabled: bool = True
    labels: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    namespace: str = DEFAULT_NAMESPACE

    @property
    def identity(self) -> Identity:
        return self.namespace, self.id


@dataclass(frozen=True, slots=True)
class Section:
    """What one plugin is to load. `key` is the plugin's config key, for example `models`."""

    key: str
    sources: tuple[Source, ...] = ()
    labels: Labels = ()
    named_queries: NamedQueries = field(default_factory=dict)
    query_namespaces: Mapping[str, str] = field(default_factory=dict)
    """Named query -> the tenant that alone has it; the others are everybody's."""


@dataclass(frozen=True, slots=True)
class SourcesConfig:
    """The whole configuration, merged from `files` (the first one is the writable one)."""

    api_version: str = API_VERSION
    kind: str = KIND
    sections: Mapping[str, Section] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def changed_sections(old: SourcesConfig, new: SourcesConfig) -> tuple[str, ...]:
    """Keys of the sections whose content differs, sorted. The lines that sources stand on are no content.

    A section that is missing is the same as an empty one: a plugin cannot tell them apart.
    """
    keys = sorted({*old.sections, *new.sections})
    return tuple(key for key in keys if _content(old, key) != _content(new, key))


def definition_digest(source: Source) -> str:
    """64 hex digits of all that decides what a refresh fetches and keeps; the same in every process.

    Not of id, name, labels and `enabled`. Of the origin only the folder counts: relative paths start there.
    """
    folder = folder_of(source.origin)
    decisive = {
        "namespace": source.namespace,
        "type": source.type,
        "folder": "" if folder is None else str(folder),
        "properties": source.properties,
        "included": source.included,
        "excluded": source.excluded,
    }
    return hashlib.sha256(_canonical(decisive).encode()).hexdigest()


def shown_identity(namespace: str, source_id: str) -> str:
    """For messages: the id in quotes, with the namespace where it is not the default one."""
    shown = f'"{source_id[:80]}"'
    return shown if namespace == DEFAULT_NAMESPACE else f'{shown} of namespace "{namespace[:80]}"'


def _content(config: SourcesConfig, key: str) -> str:
    section = asdict(config.sections.get(key, Section(key)))
    for source in section["sources"]:
        del source["location"]
    return _canonical(section)


def _canonical(value: Any) -> str:
    """JSON, since the readers of files and requests give no other values; unlike `==` it tells 1 from true and 1.0."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class InvalidConfig(Invalid):
    """All the faults that were found in a configuration. `errors` holds every one, the message the first 20."""

    def __init__(self, errors: Sequence[Invalid]) -> None:
        first = errors[0]
        super().__init__(_summary(errors), field=first.field, code=first.code)
        self.errors = tuple(errors)
        # The message names the place of every fault already; a location of its own would print the first one twice.
        self.location = first.location


def _summary(errors: Sequence[Invalid]) -> str:
    lines = [error.message for error in errors[:SHOWN_ERRORS]]
    hidden = len(errors) - len(lines)
    return "\n".join([*lines, f"and {hidden} more errors"] if hidden else lines)
