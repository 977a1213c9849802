"""One catalog on three databases: the same answers, before and after a restart, and while the database is away."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.catalog_files import catalog_text, named, write_catalog, write_sources
from tests.http.client import AGENTS, LISTS, MODELS, SERVERS, SKILLS
from tests.proxy import Proxy, proxy_to
from tests.server import RunningServer, running, wait_until

ONE = "/api/model_catalog/v1alpha1/sources/validated_ai_models/models/northwind-ai/harbor-chat-8b-instruct-fp8"
URLS = (
    *LISTS,
    *(f"{path}/filter_options" for path in LISTS),
    *(f"{path}?pageSize=3&orderBy=NAME&sortOrder=DESC" for path in LISTS),
    *(f"{path.rpartition('/')[0]}/sources" for path in LISTS),
    *(f"{path}?view=asset&pageSize=2" for path in LISTS),
    *(f"{path.rpartition('/')[0]}/labels" for path in LISTS[:2]),
    *(f"{MODELS}?{query}" for query in ("q=nordic", "orderBy=ACCURACY&sortOrder=DESC", "sourceLabel=null", "source=x")),
    f"{MODELS}?filterQuery={quote('''artifacts.hardware_type='H100' AND artifacts.ttft_p90 < 120''')}",
    f"{MODELS}?filterQuery={quote('''params_b > 7 OR tasks IN ('text-generation')''')}&orderBy=params_b.double_value",
    f"{MODELS}?namedQuery=permissive-licence",
    f"{SERVERS}?filterQuery={quote('''deploymentMode='local' AND toolCount >= 3''')}",
    f"{SERVERS}/kubernetes-mcp-server",
    f"{SKILLS}?filterQuery={quote('''name LIKE '%er' AND safety.riskLevel != 'high' ''')}",
    f"{SKILLS}?q=code&orderBy=timeoutSeconds",
    f"{AGENTS}/code-executor",
    f"{AGENTS}/code-executor?view=asset",
    f"{AGENTS}/code-executor/dependencies",
    *(ONE, f"{ONE}?view=asset", f"{ONE}/artifacts?pageSize=100", f"{ONE}/artifacts?artifactType=model-artifact"),
    f"{ONE}/artifacts?filterQuery={quote('ttft_p90 > 100')}&orderBy=ttft_p90.double_value",
    "/api/plugins",
    "/api/plugins/model/capabilities",
    "/openapi.json",
)
OWN = re.compile(
    r'"(id|uid|createTimeSinceEpoch|lastUpdateTimeSinceEpoch)":"\d+"'
    r'|"(createdAt|updatedAt|lastRefreshTime)":"[^"]*"|"nextPageToken":"[^"]+"'
)


def normal(text: str) -> str:
    """A body without ids, times and tokens: those are each database's own."""
    return OWN.sub("", text)


def bodies(server: RunningServer) -> dict[str, str]:
    return {url: normal(answer(server, url)) for url in URLS} | {
        f"{path} walked": normal("".join(walk(server, path))) for path in (MODELS, SERVERS, SKILLS)
    }


def answer(server: RunningServer, url: str) -> str:
    response = server.get(url)
    assert response.status_code == 200, f"{url}: {response.text}"
    return response.text


def walk(server: RunningServer, path: str) -> Iterator[str]:
    token = ""
    while True:
        response = server.get(path, params={"pageSize": "4", "orderBy": "CREATE_TIME", "pageToken": token})
        assert response.status_code == 200
        yield response.text
        token = response.json()["nextPageToken"]
        if not token:
            return


def test_every_database_gives_the_same_answers(database: str, tmp_path: Path) -> None:
    with running(tmp_path / "lite") as server:
        expected = bodies(server)
    with running(tmp_path / "data", DATABASE_DSN=database) as server:  # type: ignore[arg-type]
        found = bodies(server)
    assert len(expected) > 60
    for url, body in expected.items():
        assert found[url] == body, url


def test_a_restart_keeps_ids_and_etags(database: str, tmp_path: Path) -> None:
    versioned = [url for url in URLS if url.split("?")[0] in LISTS or url.startswith(ONE)]
    with running(tmp_path / "data", DATABASE_DSN=database) as server:  # type: ignore[arg-type]
        before = {url: server.get(url) for url in versioned}
    with running(tmp_path / "data", DATABASE_DSN=database) as server:  # type: ignore[arg-type]
        for url, response in before.items():
            again = server.get(url)
            assert again.content == response.content, url
            assert again.headers["etag"] == response.headers["etag"], url
            assert server.get(url, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
        assert not server.logged("source refreshed"), "nothing had changed, so nothing was to be loaded"


# --- a database that goes away


class Site:
    """A server whose database is behind a proxy, and one source of its own."""

    def __init__(self, server: RunningServer, proxy: Proxy, file: Path) -> None:
        self.server, self.proxy, self.file = server, proxy, file

    def database(self) -> dict[str, str]:
        found: dict[str, str] = self.server.readiness()[1]["components"]["database"]
        return found

    def expect_down(self) -> None:
        wait_until("the loss to be noticed", lambda: self.server.readiness()[0] == 503, 6)
        assert self.database()["status"] == "down"
        assert self.database()["error"]
        assert self.server.readiness()[1]["components"]["initial_load"] == {"status": "complete"}

    def check_reads(self, *names: str) -> None:
        assert self.server.get("/livez").status_code == 200
        assert self.server.names(SKILLS) == list(names)
        assert self.server.json(f"{SKILLS}/{names[0]}")["name"] == names[0]
        assert self.server.json("/api/skills_catalog/v1alpha1/sources")["count"] == 1

    def check_secrets(self, dsn: str) -> None:
        """Neither log nor bodies tell where the database is, or how to get in."""
        parts = urlsplit(dsn)
        urls = ("/readyz", SKILLS, "/api/skills_catalog/v1alpha1/sources", "/api/plugins", "/nowhere")
        seen = self.server.output + "".join(self.server.get(url).text for url in urls)
        log_without_listen = seen.replace(self.server.url, "")
        assert parts.password
        for secret in (parts.password, f"{parts.username}:", f"{parts.username}@", f":{parts.port}", parts.path[1:]):
            assert secret not in log_without_listen


@contextmanager
def site_behind_proxy(dsn: str, folder: Path, *, is_open: bool = True) -> Iterator[Site]:
    parts = urlsplit(dsn)
    file = write_catalog(folder / "skills.yaml", "skills", named("one"))
    sources = write_sources(folder / "s.yaml", {"skills": [{"id": "s", "path": file}]})
    with proxy_to(parts.hostname or "127.0.0.1", parts.port or 0) as proxy:
        if is_open:
            proxy.open()
        login = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
        through = parts._replace(netloc=f"{login}127.0.0.1:{proxy.port}").geturl()
        with running(folder / "data", sources, wait=is_open, DATABASE_DSN=through) as server:  # type: ignore[arg-type]
            site = Site(server, proxy, file)
            yield site
            site.check_secrets(through)


@pytest.fixture
def remote_database(database: str) -> str:
    """Only databases that are reached by a connection can go away."""
    if database.startswith("sqlite"):
        pytest.skip("SQLite has no connection to lose")
    return database


@pytest.mark.parametrize("way", ["cut", "freeze"])
def test_a_lost_database(remote_database: str, tmp_path: Path, way: str) -> None:
    with site_behind_proxy(remote_database, tmp_path) as site:
        site.check_reads("one")
        getattr(site.proxy, way)()
        site.expect_down()
        site.check_reads("one")
        # An edit cannot be stored now; it is not forgotten.
        site.file.write_text(catalog_text("skills", named("one", "two")))
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            site.check_reads("one")
        site.proxy.open()
        site.server.wait_for_ready(30)
        wait_until("the edit", lambda: site.server.names(SKILLS) == ["one", "two"], 30)


def test_lost_and_found_again_and_again(remote_database: str, tmp_path: Path) -> None:
    with site_behind_proxy(remote_database, tmp_path) as site:
        for _ in range(3):
            site.proxy.cut()
            site.expect_down()
            site.proxy.open()
            site.server.wait_for_ready(15)
        site.check_reads("one")


@pytest.mark.parametrize("way", ["cut", "freeze"])
def test_a_stop_without_a_database(remote_database: str, tmp_path: Path, way: str) -> None:
    with site_behind_proxy(remote_database, tmp_path) as site:
        getattr(site.proxy, way)()
        site.expect_down()
    # The end of `running` asserts the clean exit.


def test_a_start_without_a_database(remote_database: str, tmp_path: Path) -> None:
    with site_behind_proxy(remote_database, tmp_path, is_open=False) as site:

        def waiting() -> bool:
            return bool(site.server.logged("waiting for the database"))

        wait_until("the first attempt", waiting, 15)
        status, body = site.server.readiness()
        assert status == 503
        assert body["components"]["initial_load"] == {"status": "pending"}
        assert body["components"]["database"]["status"] == "down"
        assert site.server.get("/livez").status_code == 200
        assert site.server.get(SKILLS).status_code == 503
        assert site.server.json("/api/plugins")["count"] == 8
        site.proxy.open()
        site.server.wait_for_ready(30)
        site.check_reads("one")
        assert len(site.server.logged("waiting for the database")) <= 3  # said once per reason, not once per attempt
