"""catalog-conformance against servers that keep the contract, and against a proxy that breaks it in one place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from catalog_server.cli.conformance.checks import Broken
from catalog_server.cli.conformance.runner import Report, all_checks, run, select
from catalog_server.cli.conformance.subject import Expectations, Site
from tests.server import ROOT, SAMPLE, RunningServer, running

COMMAND = [sys.executable, "-c", "from catalog_server.cli.conformance.main import main; main()"]
OPERATOR = {"X-Remote-User": "olivia", "X-User-Role": "operator"}
PLUGINS = ("model", "mcp", "knowledge", "prompts", "agents", "guardrails", "policies", "skills")


@contextmanager
def sample(folder: Path, **variables: str) -> Iterator[RunningServer]:
    """With a copy of the sources file, which the write checks change."""
    config = folder / "config"
    config.mkdir(parents=True)
    plugins = ROOT / "catalog/plugins"
    text = (
        SAMPLE.read_text()
        .replace("../plugins/", f"{plugins}/")
        .replace("../sample-repos/", f"{ROOT}/catalog/sample-repos/")
    )
    (config / "sources.yaml").write_text(text)
    given = {"CATALOG_DATA_ROOTS": f"{ROOT}/catalog", **variables}
    with running(folder / "data", config / "sources.yaml", **given) as server:  # type: ignore[arg-type]
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with sample(tmp_path_factory.mktemp("conformance")) as found:
        yield found


def command(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "--server", url, *words], capture_output=True, text=True, check=False)


def faults(report: Report) -> dict[str, str]:
    return {one.name: one.message for one in report.results if one.status == "failed"}


def test_the_eight_plugins_conform(server: RunningServer) -> None:
    """With changes; the configuration is afterwards as it was before."""
    before = server.get("/api/skills_catalog/v1alpha1/management/sources", headers=OPERATOR).json()
    report = run(Site(server.url, OPERATOR, expectations=Expectations(["Skill", "McpServer"], writes=True)))
    assert faults(report) == {}
    assert {one.plugin for one in report.results} == {*PLUGINS, ""}
    ran = {one.check.id for one in report.results if one.status == "passed"}
    assert {check.id for check in all_checks()} - ran == {"D.namespaces"}, "no other check was skipped everywhere"
    assert server.get("/api/skills_catalog/v1alpha1/management/sources", headers=OPERATOR).json() == before


def test_they_conform_where_tenants_share_the_server(tmp_path: Path) -> None:
    with sample(tmp_path, CATALOG_TENANCY_MODE="namespace") as found:
        report = run(Site(found.url, OPERATOR, "default", expectations=Expectations(writes=True)))
    assert faults(report) == {}
    assert "D.namespaces" in {one.check.id for one in report.results if one.status == "passed"}


def test_reports(server: RunningServer) -> None:
    """Table, JSON and JUnit tell the same."""
    table = command(server.url, "--plugin", "mcp")
    assert (table.returncode, table.stderr) == (0, "")
    found = json.loads(command(server.url, "--plugin", "mcp", "-o", "json").stdout)
    assert found["totalFailed"] == 0
    assert found["pluginName"] == "mcp"
    assert table.stdout.count("[PASS]") == found["totalPassed"]
    assert {one["name"][0] for one in found["categories"]} == set("ABCDEFGHI")
    suites = ElementTree.fromstring(command(server.url, "--plugin", "mcp", "-o", "junit").stdout)
    assert len(suites.findall("testsuite/testcase")) == sum(len(one["tests"]) for one in found["categories"])
    assert not suites.findall("testsuite/testcase/failure")


def test_what_cannot_be_checked_is_said(server: RunningServer) -> None:
    unknown = command(server.url, "--plugin", "nope")
    assert unknown.returncode == 2
    assert "it has model, mcp" in unknown.stderr
    missing = command(server.url, "--plugin", "mcp", "--expect-kind", "Unicorn", "--skip", "B")
    assert missing.returncode == 1
    assert "[FAIL] A.expected-kinds -- missing: Unicorn" in missing.stdout
    assert " B." not in missing.stdout
    assert "A.document" in command("http://127.0.0.1:1", "--list").stdout


def test_the_checks_as_pytest_plugin(server: RunningServer, tmp_path: Path) -> None:
    words = ["-p", "catalog_server.cli.conformance.pytest_plugin", "-p", "no:randomly", "-p", "no:cacheprovider"]
    options = ["--catalog-server", server.url, "--catalog-plugin", "skills", "-q", "-rs"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *options, f"--rootdir={tmp_path}", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = sum(1 for check in all_checks() if check.category != "H")
    assert f"{expected - 2} passed, " in done.stdout, done.stdout
    assert "changes were not asked for" in done.stdout


Change = Callable[[str, str, httpx.Response], tuple[int, dict[str, str], bytes] | None]


@contextmanager
def spoiling(server: RunningServer, change: Change) -> Iterator[str]:
    """A proxy before the server whose answers `change` may replace: (method, path, answer) to another answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            answer = httpx.request(
                self.command, server.url + self.path, headers=kept, content=self.rfile.read(size), trust_env=False
            )
            status, headers, body = answer.status_code, dict(answer.headers), answer.content
            changed = change(self.command, self.path, answer)
            if changed is not None:
                status, headers, body = changed[0], {**headers, **changed[1]}, changed[2]
            self.send_response(status)
            for name, value in headers.items():
                if value and name not in ("content-length", "transfer-encoding", "content-encoding", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


def body(path_end: str, edit: Callable[[Any], Any], query: str = "") -> Change:
    """Another body where the path ends so, the query holds `query`, and the answer is good."""

    def change(method: str, path: str, answer: httpx.Response) -> tuple[int, dict[str, str], bytes] | None:
        where, _, asked = path.partition("?")
        if answer.status_code != 200 or not where.endswith(path_end) or query not in asked:
            return None
        found = answer.json()
        return 200, {}, json.dumps(edit(found) or found).encode()

    return change


def status(where: Callable[[str, str, int], bool], to: int) -> Change:
    def change(method: str, path: str, answer: httpx.Response) -> tuple[int, dict[str, str], bytes] | None:
        return (to, {}, answer.content or b"{}") if where(method, path, answer.status_code) else None

    return change


def header(name: str, value: str) -> Change:
    return lambda _method, _path, answer: (answer.status_code, {name: value}, answer.content)


def entity(edit: Callable[[dict[str, Any]], Any]) -> Change:
    return body("/capabilities", lambda found: edit(found["entities"][0]) and None)


LIST = "/skills"
SPOILT: dict[str, Change] = {
    "A.document": body("/capabilities", lambda found: found["plugin"].pop("description") and None),
    "A.entities": entity(lambda found: found.pop("displayName")),
    "A.columns": entity(lambda found: found["fields"]["columns"][0].pop("path")),
    "A.filter-fields": entity(lambda found: found["fields"]["filterFields"][0].pop("type")),
    "A.detail-fields": entity(lambda found: found["fields"]["detailFields"][0].pop("path")),
    "A.names-once": entity(lambda found: found["fields"]["columns"].append(found["fields"]["columns"][0])),
    "A.entity-actions": entity(lambda found: found["actions"].append("explode")),
    "A.actions": body("/capabilities", lambda found: found["actions"][0].update(scope="world")),
    "A.inline": body("/api/plugins", lambda found: [one.pop("capabilitiesV2") for one in found["plugins"]] and None),
    "A.ui-hints": entity(lambda found: found["uiHints"]["listView"]["columns"].append({"field": "colour"})),
    "B.list": body(LIST, lambda found: found.update(size=99)),
    "B.get": body("/api-health-check", lambda found: found.update(name="other")),
    "B.get-unknown": status(lambda _, path, code: "no-such-name" in path, 200),
    "B.odd-names": status(lambda _, path, code: "%C3%BC" in path, 500),
    "B.page-size": body(LIST, lambda found: found.update(items=found["items"] * 2, size=2 * found["size"])),
    "B.pages": body(LIST, lambda found: found.update(items=found["items"][:-1]) if found["nextPageToken"] else None),
    "B.page-token-wrong": status(lambda _, path, code: "pageToken=no-token" in path, 200),
    "B.filters": status(lambda _, path, code: "filterQuery=riskLevel" in path, 400),
    "B.filter-wrong": status(lambda _, path, code: "no_such_field" in path, 500),
    "B.orders": body(LIST, lambda found: found["items"].reverse(), "sortOrder=DESC"),
    "B.search": body(LIST, lambda found: found.update(items=[], size=0), "q="),
    "B.filter-options": body("/filter_options", lambda found: found.update(filters=[])),
    "C.flags": body("/capabilities", lambda found: found["sources"].update(manageable="yes")),
    "C.sources": body("/sources", lambda found: [one.pop("status", None) for one in found.get("items", [])] and None),
    "C.diagnostics": body("/diagnostics", lambda found: found["sources"].clear()),
    "C.dry-runs": status(lambda method, path, code: path.endswith(":action"), 500),
    "D.health-open": status(lambda _, path, code: path == "/livez", 401),
    "D.roles": status(lambda method, path, code: code == 403, 200),
    "E.probes": body("/healthz", lambda found: found.update(status="ok")),
    "E.readiness": body("/readyz", lambda found: found["components"].pop("database") and None),
    "E.request-id": header("x-request-id", "mine"),
    "E.plugins": body("/api/plugins", lambda found: found.update(count=3)),
    "F.base-path": body("/api/plugins", lambda found: [one.update(basePath="/x") for one in found["plugins"]] and None),
    "F.document": body("/openapi.json", lambda found: found.update(openapi="2.0")),
    "F.paths": body("/openapi.json", lambda found: found["paths"].clear()),
    "F.answers": body(LIST, lambda found: found.update(nextPageToken=5)),
    "G.error-envelope": status(lambda _, path, code: path == "/no-such-thing", 200),
    "G.error-names-field": status(lambda _, path, code: "no_such_field_4f1d" in path, 200),
    "G.method-not-allowed": status(lambda method, path, code: method == "DELETE" and path.endswith(LIST), 200),
    "G.head": status(lambda method, path, code: method == "HEAD", 500),
    "G.etag": status(lambda _, path, code: code == 304, 200),
    "G.discovery-cache": header("x-cache", "MISS"),
    "H.validate": body("/validate-source", lambda found: found.update(valid=True)),
    "H.apply": status(lambda method, path, code: path.endswith("/apply-source"), 500),
    "H.apply-invalid": status(lambda method, path, code: code == 422, 200),
    "H.rollback": status(lambda method, path, code: path.endswith("/rollback"), 500),
    "H.enable": status(lambda method, path, code: path.endswith("/enable"), 500),
    "H.audit": body("/events", lambda found: found["events"].clear()),
    "I.record": body("/Skill/api-health-check", lambda found: found["governance"].pop("risk") and None),
    "I.dry-runs": status(lambda method, path, code: code == 400 and path.endswith("lifecycle.setState"), 409),
    "I.approvals": body("/approvals", lambda found: found.update(requests=None)),
}


@pytest.mark.parametrize("check", sorted(SPOILT))
def test_a_check_can_fail(server: RunningServer, check: str) -> None:
    """Of a server that breaks one promise, the check of that promise fails, and others are still made."""
    expectations = Expectations(writes=check.startswith("H"))
    with spoiling(server, SPOILT[check]) as url:
        report = run(Site(url, OPERATOR, expectations=expectations), "skills", "ABCDEFGHI".replace(check[0], ""))
    found = {one.check.id: one for one in report.results}
    assert found[check].status == "failed", found[check]
    assert found[check].message
    assert {one.id for one in all_checks() if one.category == check[0]} == set(found)


def test_every_check_is_shown_to_fail() -> None:
    """But two that need a certain server: they fail above, and where tenants share it."""
    assert {check.id for check in all_checks()} - set(SPOILT) == {"A.expected-kinds", "D.namespaces"}


def test_ids_are_stable_and_purposes_told() -> None:
    checks = all_checks()
    assert len({check.id for check in checks}) == len(checks)
    assert all(check.purpose for check in checks)


def test_a_server_without_plugins(server: RunningServer) -> None:
    with spoiling(server, body("/api/plugins", lambda found: found.update(plugins=[]))) as url, pytest.raises(Broken):
        select(Site(url), "")
