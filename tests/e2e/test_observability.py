"""What a running server tells Prometheus, a collector of traces, its log, and the hosts that it asks."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from catalog_server import __version__
from catalog_server.bootstrap.metrics import METRICS
from tests.catalog_files import catalog_text, named, write_sources
from tests.contract.providers.http_bench import ScriptedServer, Seen, answer
from tests.fake_kubernetes import serve_cluster
from tests.promtool import find_promtool
from tests.server import SAMPLE, RunningServer, run_to_end, running, wait_until

REFRESHES = "catalog_source_refresh_duration_seconds_count"
SKILLS = "/api/skills_catalog/v1alpha1"
OPERATOR = {"X-User-Role": "operator", "X-Remote-User": "olivia"}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


class Scraped:
    """Metrics of one moment, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in read_text(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self._samples.get((name, frozenset(labels.items())))


@contextmanager
def measured(folder: Path, *arguments: Any, **variables: str) -> Iterator[tuple[RunningServer, str]]:
    address = free_address()
    with running(folder, *arguments, CATALOG_METRICS_LISTEN=address, **variables) as server:
        yield server, f"http://{address}/metrics"


def scrape(url: str) -> Scraped:
    return Scraped(httpx.get(url, trust_env=False).raise_for_status().text)


def counted(url: str, route: str, status: int, method: str = "GET") -> float | None:
    return scrape(url).value(
        "http_server_request_duration_seconds_count",
        http_request_method=method,
        http_route=route,
        http_response_status_code=str(status),
        url_scheme="http",
    )


def test_requests_are_counted_by_template_never_by_path(tmp_path: Path) -> None:
    with measured(tmp_path / "data") as (server, url):
        for path in ("/skills", "/skills", "/skills/no-such", "/skills/nor-this"):
            server.get(SKILLS + path)
        server.client.request("BREW", f"{server.url}{SKILLS}/skills")
        for number in range(3):
            server.get(f"/no/such/path/{number}")
        assert counted(url, f"{SKILLS}/skills", 200) == 2
        assert counted(url, f"{SKILLS}/skills/{{name}}", 404) == 2
        assert counted(url, "", 404) == 3
        assert (counted(url, "/readyz", 200) or 0) >= 1
        found = scrape(url)
        routes = {one.labels["http_route"] for one in found.families["http_server_request_duration_seconds"].samples}
        assert not any("no-such" in route or "such/path" in route for route in routes)


def test_sources_entities_caches_and_decisions_are_told(tmp_path: Path) -> None:
    sources = write_sources(
        tmp_path / "s.yaml",
        {"skills": [{"id": "main", "type": "yaml", "properties": {"yamlCatalogPath": "skills.yaml"}}]},
    )
    (tmp_path / "skills.yaml").write_text(catalog_text("skills", named("a", "b")))
    with measured(tmp_path / "data", sources) as (server, url):
        etag = server.get(f"{SKILLS}/skills").headers["etag"]
        server.get(f"{SKILLS}/skills")
        assert server.get(f"{SKILLS}/skills", headers={"If-None-Match": etag}).status_code == 304
        assert server.client.post(f"{server.url}{SKILLS}/management/refresh/main").status_code == 403
        found = scrape(url)
        assert found.value("catalog_entities", kind="Skill") == 2
        assert found.value("catalog_entities", kind="Agent") == 0
        assert found.value("catalog_sources", plugin="skills", state="available") == 1
        assert (found.value("catalog_source_last_success_timestamp_seconds", plugin="skills") or 0) > 1.7e9
        assert (found.value(REFRESHES, plugin="skills", result="success") or 0) > 0
        for result in ("hit", "miss", "not_modified"):
            assert found.value("catalog_cache_requests_total", cache="answers", result=result) == 1
        assert found.value("catalog_authz_decisions_total", result="denied") == 1
        assert found.value("catalog_build_info", version=__version__, database="sqlite") == 1
        assert found.value("catalog_ready", check="initial_load") == 1
        assert (found.value("catalog_index_lag_seconds") or 9) < 5
        assert found.value("catalog_jobs", state="queued") == 0
        assert found.value("catalog_audit_events_waiting") in (0, 1)
        (tmp_path / "skills.yaml").write_text("{broken")
        wait_until("the error", lambda: scrape(url).value("catalog_sources", plugin="skills", state="error") == 1)
        assert (scrape(url).value(REFRESHES, plugin="skills", result="error") or 0) > 0


def test_approvals_that_wait_are_told(tmp_path: Path) -> None:
    policies = tmp_path / "policies.yaml"
    policies.write_text("policies:\n- id: all\n  selector: {}\n")
    with measured(tmp_path / "data", SAMPLE, CATALOG_APPROVAL_POLICIES=str(policies)) as (server, url):
        assert scrape(url).value("catalog_approval_requests_waiting") == 0
        step = f"{server.url}/api/governance/v1alpha1/assets/mcp/mcpserver/github/actions/lifecycle.setState"
        asked = server.client.post(step, json={"params": {"state": "approved"}}, headers=OPERATOR)
        assert asked.status_code == 202, asked.text
        assert scrape(url).value("catalog_approval_requests_waiting") == 1


def test_leader_and_reviews_are_told(tmp_path: Path) -> None:
    with serve_cluster() as (cluster, api):
        cluster.tokens.add("")
        cluster.allows = lambda spec: spec["user"] == "ann"
        variables = {
            "CATALOG_AUTHZ_MODE": "sar",
            "CATALOG_KUBERNETES_URL": api,
            "CATALOG_LEADER_ELECTION_ENABLED": "true",
            "CATALOG_LEADER_ELECTION_MODE": "database",
        }
        with measured(tmp_path / "data", **variables) as (server, url):
            for user, status in (("ann", 200), ("ann", 200), ("bob", 403)):
                headers = {"X-Remote-User": user, **SAMPLED}
                assert server.get(f"{SKILLS}/skills", headers=headers).status_code == status
            found = scrape(url)
            assert found.value("catalog_leader") == 1
            assert found.value("catalog_authz_reviews_total", result="allowed") == 1
            assert found.value("catalog_authz_reviews_total", result="denied") == 1
            assert found.value("catalog_authz_decisions_total", result="allowed") == 2


def test_every_metric_is_told_and_no_other_of_ours(tmp_path: Path) -> None:
    """All that the reference page names exist; labels are those of the page; both formats can be read."""
    with measured(tmp_path / "data") as (server, url):
        server.get(f"{SKILLS}/skills")
        text = httpx.get(url, trust_env=False)
        assert text.headers["content-type"].startswith("text/plain; version=")
        found = {family.name: family for family in read_text(text.text)}
        absent_here = {"catalog_leader"}
        expected = {metric.name.removesuffix("_total") for metric in METRICS} - absent_here
        ours = {name for name in found if name.startswith(("catalog_", "http_"))}
        assert ours == expected
        for metric in METRICS:
            family = found.get(metric.name.removesuffix("_total"))
            for sample in family.samples if family is not None else ():
                assert set(sample.labels) - {"le"} == set(metric.labels)
        open_metrics = httpx.get(url, headers={"Accept": "application/openmetrics-text"}, trust_env=False)
        assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
        assert {family.name for family in read_openmetrics(open_metrics.text)} == set(found)


def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    program = find_promtool(tmp_path)
    with measured(tmp_path / "data") as (server, url):
        server.get(f"{SKILLS}/skills")
        text = httpx.get(url, trust_env=False).text
    checked = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_address_of_metrics_serves_nothing_else_and_the_other_one_no_metrics(tmp_path: Path) -> None:
    with measured(tmp_path / "data") as (server, url):
        assert httpx.get(url.removesuffix("/metrics") + "/readyz", trust_env=False).status_code == 404
        assert httpx.post(url, trust_env=False).status_code == 404
        assert server.get("/metrics").status_code == 404
    with running(tmp_path / "data", CATALOG_METRICS_LISTEN="") as server:
        assert server.readiness()[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("CATALOG_METRICS_LISTEN", "9090", ":port"),
        ("CATALOG_METRICS_LISTEN", "192.0.2.1:9090", "cannot listen on 192.0.2.1:9090"),
        ("CATALOG_OTLP_ENDPOINT", "collector:4318", "http:// or https:// URL"),
        ("CATALOG_OTLP_ENDPOINT", "http://u:s3cret@collector:4318", "credentials"),
        ("CATALOG_TRACE_SAMPLE_PERCENT", "101", "100"),
    ],
)
def test_a_wrong_setting_stops_the_start(tmp_path: Path, name: str, value: str, reason: str) -> None:
    ended = run_to_end(tmp_path, "--listen=127.0.0.1:0", f"--sources={SAMPLE}", **{name: value})
    assert ended.returncode == 1
    assert name in ended.stderr
    assert reason in ended.stderr
    assert "s3cret" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


class Collector:
    """Takes traces by OTLP over HTTP, as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: one.value.string_value for one in resource.resource.attributes})
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def find(self, name: str) -> Span | None:
        return next((span for span in self.spans if span.name == name), None)


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def attributes(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_requests_and_jobs_are_sent_as_spans(tmp_path: Path) -> None:
    with collecting() as (collector, url):
        with running(tmp_path / "data", CATALOG_OTLP_ENDPOINT=url) as server:
            server.get(f"{SKILLS}/skills", headers=SAMPLED)
            unsampled = {"traceparent": f"00-{'1' * 32}-{PARENT}-00"}
            server.get(f"{SKILLS}/skills/none", headers=unsampled)
            sources = server.get(f"{SKILLS}/management/sources", headers=OPERATOR).json()["sources"]
            path = f"{SKILLS}/management/refresh/{sources[0]['id']}"
            assert server.client.post(server.url + path, headers=OPERATOR).status_code == 202
            wait_until("the job", lambda: server.logged("job done"), 15)
        # what was not sent yet is sent at the end
        span = collector.find(f"GET {SKILLS}/skills")
        assert span is not None
        assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, PARENT, "vendor=1")
        assert span.kind == Span.SPAN_KIND_SERVER
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9
        told = attributes(span)
        assert told["http.request.method"] == "GET"
        assert told["http.route"] == f"{SKILLS}/skills"
        assert told["http.response.status_code"] == 200
        assert collector.find(f"GET {SKILLS}/skills/{{name}}") is None
        job = collector.find("refresh")
        assert job is not None
        assert attributes(job)["catalog.plugin"] == "skills"
        (line,) = server.logged("job done", job=attributes(job)["catalog.job_id"])
        assert line["trace_id"] == job.trace_id.hex()
        assert collector.resources[0]["service.name"] == "catalog-server"


def test_a_collector_that_is_away_holds_up_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data", CATALOG_OTLP_ENDPOINT=f"http://{free_address()}") as server:
        for _ in range(50):
            assert server.get(f"{SKILLS}/skills").status_code == 200


def test_the_trace_of_a_request_is_in_its_line_its_event_and_in_what_it_asks_of_others(tmp_path: Path) -> None:
    def talk(connection: socket.socket, _: Seen) -> None:
        connection.sendall(answer(body=catalog_text("skills", named("far")).encode()))

    web = ScriptedServer(talk)
    with web:
        source = {
            "id": "far",
            "name": "Far",
            "type": "http",
            "properties": {"url": f"http://127.0.0.1:{web.port}/skills.yaml"},
        }
        sources = write_sources(tmp_path / "s.yaml", {"skills": []})
        with running(tmp_path / "data", sources, CATALOG_ALLOWED_NETWORKS="127.0.0.0/8") as server:
            path = f"{SKILLS}/management/validate-source"
            checked = server.client.post(server.url + path, headers={**OPERATOR, **SAMPLED}, json=source)
            assert checked.status_code == 200, checked.text
            asked = server.client.post(
                f"{server.url}{SKILLS}/management/apply-source", headers={**OPERATOR, **SAMPLED}, json=source
            )
            assert asked.status_code < 300, asked.text
            wait_until("the fetch", lambda: web.seen, 15)
            lines = wait_until("the line", lambda: server.logged("request", trace_id=TRACE, user="olivia"))
            assert {line["route"] for line in lines} >= {path}
            events = server.get("/api/audit/v1alpha1/events", headers=OPERATOR).json()["events"]
            assert any(event["metadata"].get("traceId") == TRACE for event in events), json.dumps(events)
        parents = [seen.headers["traceparent"] for seen in web.seen]
        assert parents
        assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", parent) for parent in parents)
