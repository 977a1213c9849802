"""The checks as tests: `pytest -p catalog_server.cli.conformance.pytest_plugin --catalog-server URL`.

Each check of each plugin is one test. Not loaded by itself: whoever installs the server to run it has other tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog_server.cli.conformance.checks import Broken, Check
from catalog_server.cli.conformance.runner import run_one, tasks, wait_until_ready
from catalog_server.cli.conformance.subject import Catalog, Expectations, Site


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("catalog-conformance")
    group.addoption("--catalog-server", metavar="URL", help="server to check")
    group.addoption("--catalog-plugin", metavar="NAME", default="", help="check this plugin only")
    group.addoption("--catalog-namespace", metavar="NAME", default="", help="the tenant whose catalogs are checked")
    group.addoption("--catalog-user", metavar="NAME", default="conformance", help="sent as X-Remote-User")
    group.addoption("--catalog-role", metavar="ROLE", default="operator", help="sent as X-User-Role")
    group.addoption("--catalog-writes", action="store_true", help="also make, change and remove a source")


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--catalog-server"):
        session.config.pluginmanager.register(_Collecting(), "catalog-conformance-collecting")


class _Collecting:
    """Adds the checks to whatever else is collected."""

    @pytest.hookimpl
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        site = _site(session.config)
        try:
            wait_until_ready(site)
            folder = _Checks.from_parent(session, name="catalog-conformance", path=Path(session.config.rootpath))
            items.extend(folder.collect_on(site, session.config.getoption("--catalog-plugin")))
        except Broken as error:
            raise pytest.UsageError(f"catalog-conformance: {error}") from error


def _site(config: pytest.Config) -> Site:
    option: Any = config.getoption
    identity = {"X-Remote-User": option("--catalog-user"), "X-User-Role": option("--catalog-role")}
    return Site(
        option("--catalog-server"),
        identity,
        option("--catalog-namespace"),
        expectations=Expectations(writes=option("--catalog-writes")),
    )


class _Checks(pytest.Collector):
    def collect(self) -> Iterator[pytest.Item]:
        return iter(())

    def collect_on(self, site: Site, plugin: str) -> Iterator[pytest.Item]:
        for check, subject in tasks(site, plugin):
            name = f"{check.id}[{subject.name}]" if isinstance(subject, Catalog) else check.id
            yield _Item.from_parent(self, name=name, check=check, subject=subject)


class _Item(pytest.Item):
    def __init__(self, *, check: Check, subject: Catalog | Site, **options: Any) -> None:
        super().__init__(**options)
        self._check = check
        self._subject = subject

    def runtest(self) -> None:
        result = run_one(self._check, self._subject)
        if result.status == "skipped":
            pytest.skip(result.message)
        if result.status == "failed":
            raise Broken(result.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        return f"{self._check.purpose}\n{excinfo.value}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name
