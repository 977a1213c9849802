"""Judges a source that somebody wants to apply: the five layers of validation with what only this server knows.

For: the provider layer (does the plugin take this type, are the properties right, do secrets resolve, is the file
there), the content that comes along, and putting that content in place.
Not for: the layers that need no server (sources/validation.py).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog_server.catalog.fetcher import Fetcher, Unreachable
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.records import ReadJob, SourceFile, read_records
from catalog_server.errors import Invalid, Location, TooLarge, Unavailable
from catalog_server.providers.yaml import PATH_KEYS
from catalog_server.scope import DEFAULT_NAMESPACE, Scope
from catalog_server.sources.config import ParsedConfig, ParsedSource, Source
from catalog_server.sources.editing import CONTENT
from catalog_server.sources.origins import find_moved
from catalog_server.sources.paths import WRITE_MAX_BYTES, read_file
from catalog_server.sources.redaction import MARKER, restore
from catalog_server.sources.stores.replacing import is_mounted, remove_leftovers, staged_file
from catalog_server.sources.validation import CONTENT_FIELD, DetailedValidation, Finding, validate_source

_SHOWN_CONTENT_FAULTS: Final = 20
_ABANDONED_SECONDS: Final = 600.0
"""Between staging a file and putting it in place the configuration is saved, which takes seconds at worst."""
_GIVEN_KEYS: Final = ("id", "name", "type", "enabled", "labels", "includedItems", "excludedItems")


@dataclass(frozen=True)
class Candidate:
    """A source as somebody gives it, beside what the configuration says of it so far."""

    scope: Scope
    plugin: Plugin
    given: Mapping[str, Any]
    stored: ParsedSource | None
    origin: str
    path_id: str | None = None

    @classmethod
    def of(
        cls,
        scope: Scope,
        plugin: Plugin,
        given: Mapping[str, Any],
        primary: ParsedConfig,
        *,
        path_id: str | None,
        origin: str,
    ) -> Candidate:
        if path_id is not None and given.get("id") in (None, ""):
            given = {**given, "id": path_id}
        section = primary.sections.get(plugin.section_key)
        sources = section.sources if section is not None else ()
        wanted = (scope.namespace, given.get("id"))
        stored = next((one for one in sources if one.identity == wanted), None)
        return cls(scope, plugin, given, stored, origin, path_id)

    @property
    def id(self) -> str:
        return str(self.given.get("id") or "")

    @property
    def content(self) -> str | None:
        content = self._given_properties().get(CONTENT)
        return content if isinstance(content, str) else None

    @property
    def properties(self) -> dict[str, Any]:
        """What the source's properties would be, with the stored value wherever the client sent the marker back."""
        stored = dict(self.stored.properties or {}) if self.stored is not None else {}
        if not isinstance(self.given.get("properties"), Mapping):
            return stored
        found: dict[str, Any] = restore(dict(self._given_properties()), stored)
        found.pop(CONTENT, None)
        return found

    @property
    def moved_secrets(self) -> str | None:
        """The property by which secrets that the client never saw would go to another host, or None."""
        if self.stored is None or _find_marker(self._given_properties(), "properties") is None:
            return None
        return find_moved(self.properties, self.stored.properties or {})

    @property
    def path_key(self) -> str:
        """The property that names the catalog file of a yaml source."""
        return next((key for key in PATH_KEYS if self.properties.get(key) is not None), PATH_KEYS[0])

    @property
    def path(self) -> str:
        """The catalog file of a yaml source."""
        return str(self.properties.get(self.path_key) or "")

    def fields(self) -> dict[str, Any]:
        """What is written into the sources file. Only for a candidate that has passed."""
        fields = {key: self.given[key] for key in _GIVEN_KEYS if self.given.get(key) is not None}
        if self.given.get("properties") is not None:
            fields["properties"] = self.properties
        if self.scope.namespace != DEFAULT_NAMESPACE:
            fields["namespace"] = self.scope.namespace
        return fields

    def source(self) -> Source:
        """The source as it would be in force."""
        stored = self.stored
        included, excluded = self.given.get("includedItems"), self.given.get("excludedItems")
        return Source(
            id=self.id,
            name=str(self.given.get("name") or ""),
            type=str(self.given.get("type") or ""),
            origin=stored.origin if stored is not None else self.origin,
            location=Location(self.origin, 1),
            properties=self.properties,
            included=_texts(included) if included is not None else (stored and stored.included) or (),
            excluded=_texts(excluded) if excluded is not None else (stored and stored.excluded) or (),
            namespace=self.scope.namespace,
        )

    def stored_source(self) -> Source:
        """The source as it is configured, as far as that decides which files it reads."""
        stored = self.stored
        assert stored is not None
        return Source(
            id=stored.id,
            name=stored.name or "",
            type=stored.type or "",
            origin=stored.origin,
            location=stored.location,
            properties=stored.properties or {},
            namespace=self.scope.namespace,
        )

    def _given_properties(self) -> Mapping[str, Any]:
        properties = self.given.get("properties")
        return properties if isinstance(properties, Mapping) else {}


def _overlap(one: Path, other: Path) -> bool:
    """Whether they are the same, or one lies inside of the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _texts(given: Any) -> tuple[str, ...]:
    """A list of text; what is none was reported by the layer that looks at shapes."""
    is_right = isinstance(given, list) and all(isinstance(one, str) for one in given)
    return tuple(given) if is_right else ()


class Judge:
    """Knows what a source of this server has to be like."""

    def __init__(self, fetcher: Fetcher, configured: Callable[[], Iterable[tuple[Plugin, Source]]]) -> None:
        self._fetcher = fetcher
        self._configured = configured

    def judge(self, candidate: Candidate) -> DetailedValidation:
        """All that is wrong with it, layer by layer."""
        return validate_source(
            candidate.given,
            check_content=lambda text: list(_content_faults(candidate.plugin, text)),
            check_provider=lambda _: list(self._faults(candidate)),
        )

    def stage_content(self, candidate: Candidate) -> AbstractContextManager[Callable[[], None]]:
        """Write the content beside the source's file; the function that is given puts it in place.

        Raises:
            Unavailable: the file cannot be written.
        """
        assert candidate.content is not None
        return _staged(self.content_file(candidate), candidate.content.encode())

    def content_file(self, candidate: Candidate) -> Path:
        """The catalog file that content of this source goes to. Raises Invalid."""
        source = candidate.source()
        return self._fetcher.files(source).resolve(candidate.path)

    def _faults(self, candidate: Candidate) -> Iterator[Finding]:
        if candidate.path_id is not None and candidate.id != candidate.path_id:
            yield Finding("id", f"the path names the source {candidate.path_id[:128]!r}", "id_mismatch")
        if not all(isinstance(candidate.given.get(key), str) for key in ("id", "name", "type")):
            return  # said by the layers before
        unfit = _secret_fault(candidate)
        if unfit is not None:
            yield unfit
            return
        try:
            self._fetcher.check(candidate.plugin, candidate.source())
        except Unreachable as error:
            yield Finding("properties", error.message, "secret_unresolved")
        except Invalid as error:
            yield Finding(error.field or "source", error.reason, error.code or "provider_error")
            return
        if self._is_foreign(candidate):
            problem = f"the path {candidate.path[:200]!r}: No such file or directory"
            yield Finding(f"properties.{candidate.path_key}", problem, "path_missing")
        elif candidate.content is not None:
            yield from self._content_place_faults(candidate)

    def _is_foreign(self, candidate: Candidate) -> bool:
        """Whether it names a file of another tenant: who may apply a source reads its file. It counts as not there.

        A source that has such a file already was given it by whoever writes the configuration by hand.
        """
        before = None if candidate.stored is None or candidate.content is not None else candidate.stored_source()
        return self.trespasses(candidate.source(), before)

    def trespasses(self, source: Source, before: Source | None) -> bool:
        """Whether a source names files or a repository of another tenant that it did not name `before`."""
        places = set(self._fetcher.watched(source)) - set(() if before is None else self._fetcher.watched(before))
        return bool(places) and any(
            _overlap(place, other)
            for _, configured in self._configured()
            if configured.namespace != source.namespace
            for other in self._fetcher.watched(configured)
            for place in places
        )

    def _content_place_faults(self, candidate: Candidate) -> Iterator[Finding]:
        if candidate.given.get("type") != "yaml" or candidate.stored is None:
            problem = "content is only for a yaml source that exists: apply it with yamlCatalogPath first"
            yield Finding(CONTENT_FIELD, problem, "content_unexpected")
            return
        try:
            file = self.content_file(candidate)
        except Invalid as error:
            yield Finding(error.field or "properties.yamlCatalogPath", error.reason, error.code)
            return
        if any(plugin is not candidate.plugin for plugin, _ in self._sources_of({file})):
            yield Finding(CONTENT_FIELD, "the file belongs to a source of another plugin", "content_unexpected")

    def _sources_of(self, files: Collection[Path]) -> Iterator[tuple[Plugin, Source]]:
        """The configured sources that are made of one of these files."""
        for plugin, source in self._configured() if files else ():
            if not set(files).isdisjoint(self._fetcher.watched(source)):
                yield plugin, source


def _content_faults(plugin: Plugin, text: str) -> Iterator[Finding]:
    """What the plugin's kind says to the content, with the line of each fault."""
    data = text.encode("utf-8", "surrogatepass")
    job = ReadJob("content", (SourceFile("content", data),), (), (), {}, WRITE_MAX_BYTES)
    try:
        batch = read_records(plugin.kind, job)
    except TooLarge as error:
        yield Finding(CONTENT_FIELD, error.reason, "content_too_large")
        return
    except Invalid as error:
        yield Finding(CONTENT_FIELD, f"unknown or invalid fields in content: {error.message}", "content_unknown_field")
        return
    for problem in [one for one in batch.problems if one.severity == "error"][:_SHOWN_CONTENT_FAULTS]:
        where = f"line {problem.line}: {problem.field}: " if problem.field else f"line {problem.line}: "
        message = f"unknown or invalid fields in content: {where}{problem.message}"
        yield Finding(CONTENT_FIELD, message, "content_unknown_field")


def _secret_fault(candidate: Candidate) -> Finding | None:
    """What is wrong with the redacted values that came back."""
    marked = _find_marker(candidate.properties, "properties")
    if marked is not None:
        return Finding(marked, f"{MARKER} stands for a stored value, and there is none", "redacted_value")
    moved = candidate.moved_secrets
    if moved is not None:
        problem = f"another host must not get the secrets that {MARKER} stands for: give them anew"
        return Finding(moved, problem, "secret_moved")
    return None


def _find_marker(value: Any, path: str) -> str | None:
    """The path of a redacted value that nothing stored has replaced."""
    if isinstance(value, Mapping):
        children = [(f"{path}.{key}", child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    else:
        return path if isinstance(value, str) and MARKER in value else None
    return next((found for where, child in children if (found := _find_marker(child, where)) is not None), None)


@contextmanager
def _staged(path: Path, data: bytes) -> Iterator[Callable[[], None]]:
    def put(put_in_place: Callable[[], None]) -> None:
        try:
            put_in_place()
        except OSError as error:
            raise _unwritable(path, error) from error

    try:
        if read_file(path) == data:
            yield lambda: None
            return
        if is_mounted(path):  # the rename would fail, after the configuration was saved
            raise OSError(errno.EBUSY, "it is mounted by itself: mount its folder instead")
        remove_leftovers(path, older_seconds=_ABANDONED_SECONDS)
        staging = staged_file(path, data, like=path.stat())
        with staging as put_in_place:
            yield lambda: put(put_in_place)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"the catalog file {path.name!r} cannot be written: {error.strerror or error}")
