"""The whole application inside the test: real files, real SQLite, the real middlewares; no socket and no threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from catalog_server.bootstrap import Server, build
from catalog_server.bootstrap.background import Background
from catalog_server.db.migrate import migrate
from catalog_server.settings import load
from catalog_server.telemetry.access_log import AccessLog
from tests.server import SAMPLE

MODELS = "/api/model_catalog/v1alpha1/models"
SERVERS = "/api/mcp_catalog/v1alpha1/mcpservers"
SKILLS = "/api/skills_catalog/v1alpha1/skills"
AGENTS = "/api/agents_catalog/v1alpha1/agents"
LISTS = (
    MODELS,
    SERVERS,
    SKILLS,
    AGENTS,
    "/api/knowledge_catalog/v1alpha1/knowledgesources",
    "/api/prompts_catalog/v1alpha1/prompttemplates",
    "/api/guardrails_catalog/v1alpha1/guardrails",
    "/api/policies_catalog/v1alpha1/policies",
)
BASES = tuple(path.rpartition("/")[0] for path in LISTS)


class Client:
    """Asks the application, one request after the other, on one event loop."""

    def __init__(self, server: Server, runner: asyncio.Runner, log: Log) -> None:
        self.server = server
        self._runner = runner
        self._log = log
        transport = httpx.ASGITransport(server.app, raise_app_exceptions=True)  # type: ignore[arg-type]
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test", trust_env=False)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, *, headers: Any = None, **parameters: Any) -> httpx.Response:
        return self.request("GET", path, params=parameters or None, headers=headers)

    def ok(self, path: str, **parameters: Any) -> Any:
        """The body of an answer that must be 200."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def names(self, path: str, **parameters: Any) -> list[str]:
        return [item["name"] for item in self.ok(path, **parameters)["items"]]

    def error(self, path: str, status: int = 400, **parameters: Any) -> dict[str, Any]:
        """The body of an answer that must be this error; it is JSON with `error` and `message`, always."""
        response = self.get(path, **parameters)
        assert response.status_code == status, f"{response.status_code} {response.text}"
        return check_error(response)

    def walk(self, path: str, token_parameter: str = "pageToken", **parameters: Any) -> list[dict[str, Any]]:
        """The entities of all pages."""
        found, token = [], ""
        while True:
            page = self.ok(path, **parameters, **({token_parameter: token} if token else {}))
            found += page["items"]
            token = page["nextPageToken"]
            if not token:
                return found

    def refresh(self) -> None:
        """What the file watcher does when anything may have changed."""
        loader = self.server.background._loader
        loader.reconcile()
        loader.touch_all()
        loader.load()

    @property
    def log(self) -> str:
        """The access log so far."""
        self.server.access_log.flush()
        return self._log.text

    def close(self) -> None:
        self._runner.run(self._client.aclose())


class Log:
    """Where the access log goes."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def check_error(response: httpx.Response) -> dict[str, Any]:
    """An error body: JSON, with a reason in words."""
    assert response.headers["content-type"] == "application/json", response.headers
    body: dict[str, Any] = response.json()
    assert isinstance(body["error"], str)
    assert body["error"]
    assert isinstance(body["message"], str)
    assert body["message"]
    return body


@contextmanager
def open_client(
    data_dir: Path, sources: Path | Sequence[Path] = SAMPLE, *, load_now: bool = True, json_log: bool = True, **env: str
) -> Iterator[Client]:
    """A client of a server on these sources files, with everything loaded unless told otherwise."""
    files = [sources] if isinstance(sources, Path) else sources
    settings = load([f"--sources={file}" for file in files], {"CATALOG_DATA_DIR": str(data_dir), **env})
    log = Log()
    server = build(settings, AccessLog(json_log, log))  # type: ignore[arg-type]
    with asyncio.Runner() as runner:
        client = Client(server, runner, log)
        try:
            if load_now:
                load_all(server.background)
            yield client
        finally:
            client.close()
            server.close()


def load_all(background: Background) -> None:
    """Start-up without threads."""
    migrate(background._engine)
    background._loader.load()
    background._health.database_is(None)
    background._health.initial_load_done()
