"""A server that an operator changes: a catalog with a commented sources file, and short ways to ask for changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from catalog_server.http.services import Services
from tests.catalog_files import named, write_catalog
from tests.http.client import Client, check_error, open_client
from tests.server import wait_until

BASE: Final = "/api/skills_catalog/v1alpha1"
MANAGEMENT: Final = f"{BASE}/management"
SKILLS: Final = f"{BASE}/skills"
JOBS: Final = "/api/jobs/v1alpha1/refresh"
MARKER: Final = "***REDACTED***"
ROLE: Final = {"X-User-Role": "operator"}

SOURCES: Final = """\
# Sources of the platform team. Ask before you change them.
apiVersion: catalog/v1alpha1
kind: CatalogSources
catalogs:
  skills:
    sources:
      # what everybody uses
      - id: main
        name: Main skills
        type: yaml  # a file
        labels: [Core]
        excludedItems: ["secret-*"]
        properties:
          yamlCatalogPath: main.yaml
          apiToken: abc-123  # to be replaced
          nested: {headers: [{authorization: Bearer xyz}], limit: 7234567890123456789}
      - id: other
        name: Other skills
        type: yaml
        properties: {yamlCatalogPath: other.yaml}
  agents:
    sources:
      - {id: helpers, name: Helpers, type: yaml, properties: {yamlCatalogPath: agents.yaml}}
"""


@dataclass
class Operator:
    """Asks as an operator, in a namespace where there are several."""

    client: Client
    folder: Path
    headers: dict[str, str] = field(default_factory=lambda: {**ROLE, "X-Remote-User": "olivia"})

    @property
    def file(self) -> Path:
        return self.folder / "sources.yaml"

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request; a body that is no bytes is sent as JSON."""
        headers = {**self.headers, **options.pop("headers", {})}
        if body is not None:
            options["content"] = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.request(method, path, headers=headers, **options)

    def ok(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """The body of an answer that must be this one."""
        response = self.ask(method, path, body, **options)
        assert response.status_code == status, f"{response.status_code} {response.text}"
        return response.json()

    def error(self, method: str, path: str, body: Any = None, *, status: int, **options: Any) -> dict[str, Any]:
        """The body of an error that must be this one."""
        response = self.ask(method, path, body, **options)
        assert response.status_code == status, f"{response.status_code} {response.text}"
        assert str(self.folder) not in response.text, "a machine path"
        return check_error(response)

    def apply(self, source: Mapping[str, Any], *, status: int = 200, **options: Any) -> Any:
        return self.ok("POST", f"{MANAGEMENT}/apply-source", source, status=status, **options)

    def sources(self, base: str = BASE) -> dict[str, Any]:
        """The listed sources by id."""
        return {one["id"]: one for one in self.ok("GET", f"{base}/management/sources")["sources"]}

    def names(self, path: str = SKILLS) -> list[str]:
        return [item["name"] for item in self.ok("GET", path)["items"]]

    def refresh(self, source_id: str = "main", *, base: str = MANAGEMENT, **options: Any) -> str:
        """Ask for a refresh; the id of its job."""
        self.forget_limits()
        job_id: str = self.ok("POST", f"{base}/refresh/{source_id}", status=202, **options)["jobId"]
        return job_id

    def job(self, job_id: str) -> Any:
        return self.ok("GET", f"{JOBS}/{job_id}")

    def finished(self, job_id: str) -> Any:
        """The job once it has ended."""
        self.start_workers()
        ended = ("succeeded", "failed", "canceled")
        return wait_until("the job", lambda: (job := self.job(job_id))["state"] in ended and job, 20)

    def start_workers(self) -> None:
        """From now on jobs are run, by threads that end with the server."""
        leading = self.client.server.background._leading
        if not leading.is_leading:
            leading.begin(None)

    @property
    def services(self) -> Services:
        """The parts of the server, for what no request can bring about."""
        routes = self.client.server.app.router.routes
        (route,) = (one for one in routes if (one.method, one.template) == ("GET", f"{MANAGEMENT}/sources"))
        found = route.endpoint.__self__._services  # type: ignore[union-attr]
        assert isinstance(found, Services)
        return found

    def forget_limits(self) -> None:
        """As if half a minute went by."""
        self.services.refreshes._limits._taken.clear()


@contextmanager
def operating(
    folder: Path, text: str = SOURCES, *, headers: Mapping[str, str] | None = None, **env: str
) -> Iterator[Operator]:
    """An operator of a server on `text` and the catalog files that it names."""
    write_catalog(folder / "main.yaml", "skills", named("one", "two", "secret-three"))
    write_catalog(folder / "other.yaml", "skills", named("four"))
    write_catalog(folder / "agents.yaml", "agents", named("helper"))
    write_catalog(folder / "spare.yaml", "skills", named("five", "six"))
    (folder / "sources.yaml").write_text(text)
    settings = {"CATALOG_ALLOW_HEADER_AUTH": "true", **env}
    with open_client(folder / "data", folder / "sources.yaml", **settings) as client:
        yield Operator(client, folder, {**ROLE, "X-Remote-User": "olivia", **(headers or {})})
