"""Runs the checks, all of them, and keeps what came of each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

from catalog_server.cli.conformance.checks import CATEGORIES, CHECKS, Broken, Check, Skipped, Status
from catalog_server.cli.conformance.subject import Catalog, Site

_MODULES: Final = ("capabilities", "entities", "sources", "server", "contract", "writes", "governance")
_READY_ATTEMPTS: Final = 30
_READY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Result:
    """What came of one check. `plugin` is empty where it is about the whole server."""

    check: Check
    plugin: str
    status: Status
    message: str = ""

    @property
    def name(self) -> str:
        return f"{self.check.id}[{self.plugin}]" if self.plugin else self.check.id


@dataclass(frozen=True)
class Report:
    """Of one run."""

    server: str
    plugin: str
    timestamp: str
    results: Sequence[Result]

    def count(self, status: Status) -> int:
        return sum(one.status == status for one in self.results)

    @property
    def is_conformant(self) -> bool:
        return not self.count("failed")

    def categories(self) -> Iterator[tuple[str, list[Result]]]:
        for letter, name in CATEGORIES.items():
            found = [one for one in self.results if one.check.category == letter]
            if found:
                yield f"{letter} {name}", found


def all_checks() -> list[Check]:
    """In order of category and name."""
    for name in _MODULES:  # each registers its own
        import_module(f"catalog_server.cli.conformance.{name}")
    return sorted(CHECKS, key=lambda check: (check.category, not check.once))


def wait_until_ready(site: Site, attempts: int = _READY_ATTEMPTS) -> None:
    """Raises Broken when the server is not ready in time."""
    last, pause = "", threading.Event()
    for _ in range(attempts):
        try:
            status = site.ask("/readyz", identified=False).status
            if status == 200:
                return
            last = f"/readyz: {status}"
        except Broken as error:
            last = str(error)
        pause.wait(_READY_SECONDS)
    raise Broken(f"the server is not ready: {last}")


def select(site: Site, plugin: str) -> list[Catalog]:
    """The catalogs to check: of one plugin, or, where none is named, of all. Raises Broken when there is none."""
    found = [Catalog(site, one) for one in site.plugins if plugin in ("", one.get("name"))]
    if not found:
        raise Broken(
            f"the server has no plugin {plugin!r}; it has {', '.join(str(p.get('name')) for p in site.plugins)}"
        )
    return found


def tasks(site: Site, plugin: str, skip: Collection[str] = ()) -> Iterator[tuple[Check, Catalog | Site]]:
    """Each check with what it is to be run on. `skip` holds letters of categories. Raises Broken."""
    catalogs = select(site, plugin)
    for check in all_checks():
        if check.category in skip:
            continue
        for subject in [site] if check.once else catalogs:
            yield check, subject


def run(
    site: Site, plugin: str = "", skip: Collection[str] = (), tell: Callable[[Result], None] | None = None
) -> Report:
    """Run all checks; `tell` hears of each. Raises Broken when nothing can be checked."""
    results = []
    for check, subject in tasks(site, plugin, skip):
        result = run_one(check, subject)
        if tell is not None:
            tell(result)
        results.append(result)
    return Report(site.url, plugin, datetime.now(UTC).isoformat(timespec="seconds"), results)


def run_one(check: Check, subject: Catalog | Site) -> Result:
    """Whatever a server answers, a check ends: what it did not reckon with is a failure of the server."""
    plugin = subject.name if isinstance(subject, Catalog) else ""
    try:
        check.run(subject)
    except Skipped as reason:
        return Result(check, plugin, "skipped", str(reason))
    except Broken as fault:
        return Result(check, plugin, "failed", str(fault))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return Result(check, plugin, "failed", f"an answer has an unexpected form: {type(error).__name__}: {error}")
    return Result(check, plugin, "passed")


def as_document(report: Report) -> dict[str, Any]:
    """As JSON (spec cli-and-ui.md 2.10), with the ids of the checks besides."""
    return {
        "timestamp": report.timestamp,
        "serverURL": report.server,
        "pluginName": report.plugin,
        "categories": [
            {
                "name": name,
                "passed": _count(found, "passed"),
                "failed": _count(found, "failed"),
                "skipped": _count(found, "skipped"),
                "tests": [_test(one) for one in found],
            }
            for name, found in report.categories()
        ],
        "totalPassed": report.count("passed"),
        "totalFailed": report.count("failed"),
        "totalSkipped": report.count("skipped"),
    }


def _count(results: Sequence[Result], status: Status) -> int:
    return sum(one.status == status for one in results)


def _test(result: Result) -> dict[str, str]:
    found = {"id": result.check.id, "name": result.name, "plugin": result.plugin, "status": result.status}
    return {key: value for key, value in {**found, "message": result.message}.items() if value}


def as_json(report: Report) -> str:
    return json.dumps(as_document(report), indent=2, ensure_ascii=False)
