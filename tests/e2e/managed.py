"""What tests of managed sources share: a folder with sources, a server over it, and how to change them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.catalog_files import catalog_text, named, write_catalog, write_sources
from tests.repositories import Repository
from tests.server import ROOT, RunningServer, running, wait_until

BASE = "/api/skills_catalog/v1alpha1"
MANAGEMENT = f"{BASE}/management"
JOBS = "/api/jobs/v1alpha1/refresh"
OPERATOR = {"X-User-Role": "operator"}
SECONDS = 10.0
QUICK_JOBS = {"CATALOG_JOB_POLL_INTERVAL_SECONDS": "1"}
"""Failed jobs are tried again, and stuck ones looked for, after a second instead of five."""


def skills(*names: str) -> str:
    return catalog_text("skills", named(*names))


@dataclass
class Folder:
    """`config` with the sources file, catalog files and git repositories, as an operator would have it."""

    root: Path

    @property
    def sources(self) -> Path:
        return self.root / "config/sources.yaml"

    def write(self, *sources: Mapping[str, Any]) -> Path:
        return write_sources(self.sources, {"skills": sources})

    def catalog(self, name: str, *names: str) -> Path:
        return write_catalog(self.root / "config" / name, "skills", named(*names))

    def repository(self, name: str, *names: str) -> Repository:
        return Repository.create(self.root / "config" / name, {"skills.yaml": skills(*names)})

    def configured(self) -> dict[str, dict[str, Any]]:
        """The sources file, which must be whole: id -> source."""
        parsed = yaml.safe_load(self.sources.read_text())
        assert parsed["kind"] == "CatalogSources"
        return {one["id"]: one for one in parsed["catalogs"]["skills"]["sources"]}

    def leftovers(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in (self.root / "config").rglob("*.tmp"))

    @contextmanager
    def server(self, data: str = "data", **options: Any) -> Iterator[Managed]:
        with running(self.root / data, self.sources, **options) as server:
            yield Managed(server)


def git(source_id: str, repository: Repository | str, **properties: Any) -> dict[str, Any]:
    url = repository if isinstance(repository, str) else repository.url
    return {"id": source_id, "name": source_id, "type": "git", "properties": {"repoUrl": url, **properties}}


def local(source_id: str, path: str, **fields: Any) -> dict[str, Any]:
    return {"id": source_id, "name": source_id, "type": "yaml", "properties": {"yamlCatalogPath": path}, **fields}


@dataclass
class Managed:
    """A server whose sources are managed over HTTP."""

    server: RunningServer

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        return self.server.client.post(
            self.server.url + path, json=None if body is None else dict(body), headers={**OPERATOR, **headers}
        )

    def apply(self, source: Mapping[str, Any], **headers: str) -> httpx.Response:
        return self.post(f"{MANAGEMENT}/apply-source", source, **headers)

    def applied(self, source: Mapping[str, Any]) -> dict[str, Any]:
        return _good(self.apply(source))

    def enable(self, source_id: str, enabled: bool) -> dict[str, Any]:
        return _good(self.post(f"{MANAGEMENT}/sources/{source_id}/enable", {"enabled": enabled}))

    def delete(self, source_id: str) -> httpx.Response:
        return self.server.client.delete(f"{self.server.url}{MANAGEMENT}/sources/{source_id}", headers=OPERATOR)

    def refresh(self, source_id: str) -> str:
        """Ask for a refresh; the id of its job."""
        answer = self.post(f"{MANAGEMENT}/refresh/{source_id}")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.json(f"{JOBS}/{job_id}")
        return found

    def wait_for_job(self, job_id: str, *states: str, seconds: float = SECONDS) -> dict[str, Any]:
        wanted = states or ("succeeded", "failed", "canceled")

        def ended() -> dict[str, Any] | None:
            found = self.job(job_id)
            return found if found["state"] in wanted else None

        found = wait_until(f"job in {wanted}", ended, seconds)
        assert found is not None
        return found

    def names(self) -> list[str]:
        return self.server.names(f"{BASE}/skills", pageSize="100")

    def expect(self, *names: str, seconds: float = SECONDS) -> None:
        wait_until(f"entities {names}", lambda: self.names() == sorted(names), seconds)

    def source(self, source_id: str) -> dict[str, Any]:
        found = self.server.json(f"{MANAGEMENT}/sources")["sources"]
        return next((one for one in found if one["id"] == source_id), {})

    def status(self, source_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.source(source_id).get("status", {})
        return found

    def expect_state(self, source_id: str, state: str, seconds: float = SECONDS) -> dict[str, Any]:
        def status() -> dict[str, Any] | None:
            found = self.status(source_id)
            return found if found.get("state") == state else None

        found = wait_until(f"{source_id} {state}", status, seconds)
        assert found is not None
        return found

    def config_error(self) -> str:
        return str(self.server.json(f"{MANAGEMENT}/sources").get("configError", ""))


def _good(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Killer:
    """Ends servers that are started with `command`, by SIGKILL, at a step."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "die-at"
        # -P: the folder of the script is not the place to look for modules
        self.command = (sys.executable, "-P", str(ROOT / "tests/mortal_server.py"), str(self._file))

    def at(self, step: str) -> None:
        """Kill at the next time that this step is reached."""
        beside = self._file.with_suffix(".new")
        beside.write_text(step)
        beside.replace(self._file)

    def during(self, managed: Managed, step: str, work: Callable[[], object]) -> None:
        """Do `work`, in whose course, or soon after, the server dies at the step."""
        self.at(step)
        with suppress(httpx.TransportError):
            work()
        managed.server.wait_for_kill()
        assert not self._file.exists()
