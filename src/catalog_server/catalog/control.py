"""Changes the source configuration on behalf of an operator: validate, apply, enable, delete, roll back.

The order of a change is always the same: judge it, resolve its secrets, build the configuration that it would give,
save it with compare-and-swap, take it into force, load what changed. A step that fails leaves everything as it was.
Not for: what a source is judged by (judging.py), nor refreshing one on request (refreshes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import structlog

from catalog_server.catalog.configuration import ConfigReader, Configuration, Effective
from catalog_server.catalog.judging import Candidate, Judge
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import key_of
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.statuses import Statuses
from catalog_server.errors import Conflict, Invalid, NotFound, Unavailable
from catalog_server.scope import Scope
from catalog_server.sources.config import Source, changed_sections
from catalog_server.sources.editing import put_source, remove_source, restore_sources, set_enabled
from catalog_server.sources.stores.base import (
    MAX_RETRIES,
    SHORT,
    Revision,
    Stored,
    check_expected,
    read_only,
    save_with_retry,
    version_of,
)
from catalog_server.sources.stores.replacing import AtStep, no_step
from catalog_server.sources.validation import DetailedValidation, Finding

Edit = Callable[[bytes], bytes]
log = structlog.get_logger(__name__)


class Rejected(Invalid):
    """A source that did not pass validation; `validation` says all that is wrong."""

    def __init__(self, validation: DetailedValidation) -> None:
        super().__init__(validation.errors[0].message, field=validation.errors[0].field)
        self.validation = validation


def _ignore(*versions: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a change, and which version of the configuration they have seen (None: whichever it is).

    `before_save` is told the version that is about to be replaced, anew when the save is tried anew; `after_save` that
    version and the new one, whatever comes after.
    """

    name: str
    expected: str | None = None
    before_save: Callable[[str], object] = _ignore
    after_save: Callable[[str, str], object] = _ignore


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that is in force. `version` is the store's; `later` says what could not be loaded yet."""

    version: str
    warnings: tuple[Finding, ...] = ()
    later: str | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """`plugins` are those whose section changed; `errors` tells for a plugin which source could not be loaded."""

    version: str
    plugins: tuple[str, ...]
    errors: Mapping[str, str]


class SourceControl:
    """All changes of the configuration in this process go through here, one at a time."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        registry: Registry,
        configuration: Configuration,
        statuses: Statuses,
        loader: Loader,
        reader: ConfigReader,
        judge: Judge,
        mode: str,
        is_shared: bool,
        tell: Callable[[str], object],
        at_step: AtStep = no_step,
    ) -> None:
        """`tell` is told the version of each configuration that was saved."""
        self._registry = registry
        self._configuration = configuration
        self._statuses = statuses
        self._loader = loader
        self._reader = reader
        self._judge = judge
        self.mode = mode
        """Of the store: file, k8s or none."""
        self._is_shared = is_shared
        """Several tenants share the configuration: a rollback of one leaves the others' sources alone."""
        self._tell = tell
        self._at_step = at_step

    @property
    def read_only_reason(self) -> str | None:
        """Why no change can be saved, if so."""
        problem = self._reader.store.is_writable()
        return None if problem is None else self._loader.shown(problem)

    @property
    def is_persistent(self) -> bool:
        """Whether changes outlive the process."""
        return self.mode != "none"

    # --- judging ---

    def validate(
        self, scope: Scope, plugin: Plugin, given: Mapping[str, Any], path_id: str | None = None
    ) -> DetailedValidation:
        """All that is wrong with a source as it would be applied; nothing changes."""
        return self._judge.judge(self._candidate(scope, plugin, given, path_id))

    def _candidate(
        self, scope: Scope, plugin: Plugin, given: Mapping[str, Any], path_id: str | None = None
    ) -> Candidate:
        primary = self._read().primary
        return Candidate.of(scope, plugin, given, primary, path_id=path_id, origin=self._reader.store.describe())

    def _read(self) -> Effective:
        """What is stored. Raises Conflict when somebody has broken it, which is not the fault of who asks now."""
        try:
            return self._reader.read()
        except Invalid as error:
            raise self._contradicts("the configuration is not valid, mend it first", error) from error
        except Unavailable as error:
            raise Unavailable(self._loader.shown(error.message)) from error

    # --- changing ---

    def apply(self, scope: Scope, plugin: Plugin, given: Mapping[str, Any], *, by: Caller) -> Changed:
        """Create a source or replace the given fields of one.

        Raises:
            Rejected: the source is not fit; nothing changed.
            Conflict: somebody else changed the configuration, or another file has the last word on this source.
            Unavailable: the configuration, or the file of the content, cannot be written.
        """
        with self._loader.changing:
            self._check_writable()
            candidate = self._candidate(scope, plugin, given)
            validation = self._judge.judge(candidate)
            if not validation.valid:
                raise Rejected(validation)
            self._at_step("validated")
            fields = candidate.fields()
            content = self._judge.stage_content(candidate) if candidate.content is not None else nullcontext(None)
            with content as put_content:
                self._at_step("content-staged")
                effective = self._save(
                    lambda data: put_source(data, plugin.section_key, fields),
                    lambda built: _check_not_overridden(built, scope, plugin, candidate.id),
                    by=by,
                    reason=f"apply {plugin.name}/{candidate.id}",
                )
                try:
                    if put_content is not None:
                        put_content()
                        self._at_step("content-in-place")
                        self._loader.touch([self._judge.content_file(candidate)])
                finally:  # what is saved is in force, whatever became of the content
                    changed = self._take(effective, validation.warnings)
            return changed

    def set_enabled(self, scope: Scope, plugin: Plugin, source_id: str, enabled: bool, *, by: Caller) -> Changed:
        """Switch a source on or off. Raises NotFound, Conflict or Unavailable."""

        def check(built: Effective) -> None:
            if _find(built, scope, plugin, source_id).enabled != enabled:
                raise _overridden(source_id, "enabled")

        with self._loader.changing:
            self._check_changeable(scope, plugin, source_id)
            effective = self._save(
                lambda data: set_enabled(data, plugin.section_key, source_id, enabled, namespace=scope.namespace),
                check,
                by=by,
                reason=f"{'enable' if enabled else 'disable'} {plugin.name}/{source_id}",
            )
            return self._take(effective)

    def delete(self, scope: Scope, plugin: Plugin, source_id: str, *, by: Caller) -> Changed:
        """Forget a source and its entities. Raises NotFound, Conflict or Unavailable."""

        def check(built: Effective) -> None:
            if (scope.namespace, source_id) in {(one.namespace, one.id) for one in _sources(built, plugin)}:
                raise _overridden(source_id, "the source")

        with self._loader.changing:
            self._check_changeable(scope, plugin, source_id)
            effective = self._save(
                lambda data: remove_source(data, plugin.section_key, source_id, namespace=scope.namespace),
                check,
                by=by,
                reason=f"delete {plugin.name}/{source_id}",
            )
            return self._take(effective)

    # --- revisions ---

    def revisions(self) -> list[Revision]:
        """The states of the configuration, the present one first. Where tenants share it, who saved it stays hidden."""
        found = self._reader.store.list_revisions()
        if not self._is_shared:
            return found
        return [Revision(one.version, one.hash, one.timestamp, one.size, current=one.current) for one in found]

    def rollback(self, scope: Scope, version: str, *, by: Caller) -> RolledBack:
        """Put an older state back: byte for byte, or where tenants share it, the caller's sources of that state.

        Raises:
            Invalid: it is no version, or there are no revisions in this mode.
            NotFound: there is no such revision.
            Conflict: the state is not valid any more, names what is another tenant's by now, or somebody else saves
                at the same time.
        """
        with self._loader.changing:
            self._check_writable()
            data = self._reader.store.read_revision(version)
            before = self._configuration.current
            effective = self._save(
                self._restoring(scope, data),
                lambda built: self._check_own_files(built, scope),
                by=by,
                reason=f"rollback {version}",
            )
            self._take(effective)
            changed = changed_sections(before, effective.config)
        plugins = tuple(plugin.name for plugin in self._registry if plugin.section_key in changed)
        return RolledBack(effective.version, plugins, self._errors_of(plugins, scope))

    def _restoring(self, scope: Scope, revision: bytes) -> Edit:
        if not self._is_shared:
            return lambda _: revision
        sections = [plugin.section_key for plugin in self._registry]
        return lambda data: restore_sources(data, revision, scope.namespace, sections)

    def _check_own_files(self, built: Effective, scope: Scope) -> None:
        """A file that was the tenant's once may be another one's by now. It counts as not there."""
        for plugin in self._registry if self._is_shared else ():
            for source in _sources(built, plugin):
                before = self._configuration.find(scope, plugin, source.id)
                if source.namespace == scope.namespace and self._judge.trespasses(source, before):
                    raise Conflict(
                        f'the revision cannot be restored: source "{source.id}" names a file that is not there'
                    )

    def _errors_of(self, plugins: tuple[str, ...], scope: Scope) -> dict[str, str]:
        errors: dict[str, str] = {}
        for name in plugins:
            plugin = self._registry.plugins[name]
            for source in self._configuration.sources(scope, plugin):
                status = self._statuses.get(key_of(plugin, source))
                if source.enabled and status is not None and status.state == "error" and name not in errors:
                    errors[name] = f"{source.id}: {status.last_error}"
        return errors

    # --- the steps ---

    def _check_writable(self) -> None:
        problem = self.read_only_reason
        if problem is not None:
            raise read_only(problem)

    def _check_changeable(self, scope: Scope, plugin: Plugin, source_id: str) -> None:
        """Raises NotFound for a source that nobody configured, Conflict for one of another file, or Unavailable."""
        self._configuration.source(scope, plugin, source_id)
        self._check_writable()

    def _save(self, edit: Edit, check: Callable[[Effective], None], *, by: Caller, reason: str) -> Effective:
        """Build aside, then save; whoever saved in between is built upon, unless the client named a version."""
        built: list[Effective] = []
        replaced = ""

        def change(data: bytes) -> bytes:
            nonlocal replaced
            if by.expected is not None:
                check_expected(version_of(data)[: max(len(by.expected), SHORT)], by.expected)
            try:
                edited = edit(data)
            except NotFound as error:
                raise Conflict(f"{error.message}: it comes from another file, which is not changed here") from error
            except Invalid as error:
                raise self._contradicts("the configuration cannot be changed", error) from error
            built[:] = [self._build(edited)]
            check(built[0])
            replaced = version_of(data)
            by.before_save(replaced)
            return edited

        retries = 0 if by.expected is not None else MAX_RETRIES
        try:
            save_with_retry(self._reader.store, change, author=by.name, reason=reason, retries=retries)
        except Unavailable as error:
            raise Unavailable(self._loader.shown(error.message)) from error
        by.after_save(replaced, built[0].version)
        self._tell(built[0].version)
        return built[0]

    def _build(self, data: bytes) -> Effective:
        try:
            return self._reader.build(Stored(data, version_of(data)))
        except Invalid as error:
            raise self._contradicts("the configuration would not be valid", error) from error

    def _contradicts(self, what: str, error: Invalid) -> Conflict:
        """It is not the client's fault."""
        return Conflict(f"{what}: {self._loader.told(error)}")

    def _take(self, effective: Effective, warnings: tuple[Finding, ...] = ()) -> Changed:
        """Take a saved configuration into force and load what it changes. It stays in force whatever loading brings."""
        self._loader.put(effective)
        self._at_step("in-force")
        try:
            self._loader.load()
        except Unavailable as error:  # due, and done as soon as the database is back
            log.warning("sources are loaded later", reason=error.message)
            return Changed(effective.version, warnings, error.message)
        return Changed(effective.version, warnings)


def _sources(built: Effective, plugin: Plugin) -> tuple[Source, ...]:
    section = built.config.sections.get(plugin.section_key)
    return section.sources if section is not None else ()


def _find(built: Effective, scope: Scope, plugin: Plugin, source_id: str) -> Source:
    return next(one for one in _sources(built, plugin) if (one.namespace, one.id) == (scope.namespace, source_id))


def _check_not_overridden(built: Effective, scope: Scope, plugin: Plugin, source_id: str) -> None:
    """Raises Conflict when another file has the last word on a field: the change would be saved without effect."""
    found = _find(built, scope, plugin, source_id)
    for one in built.primary.sections[plugin.section_key].sources:
        if one.identity == (scope.namespace, source_id):
            for name in ("name", "type", "enabled", "labels", "properties", "included", "excluded"):
                wanted = getattr(one, name)
                if wanted is not None and wanted != getattr(found, name):
                    raise _overridden(source_id, name)


def _overridden(source_id: str, what: str) -> Conflict:
    return Conflict(f'another sources file sets {what} of "{source_id}" and wins: change it there')
