"""A whole server with sources on hosts that mean well and ill: each fares by itself, and no secret gets out."""

from __future__ import annotations

import gzip
import json
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_files import catalog_text, named, write_catalog, write_sources
from tests.contract.providers.http_bench import ScriptedServer, Seen, answer
from tests.fake_huggingface import Fault, Hub, serve_hub
from tests.server import RunningServer, running, wait_until

SKILLS = "/api/skills_catalog/v1alpha1"
MODELS = "/api/model_catalog/v1alpha1"
SECRET = "s3cr3t-9f2c"
OPEN_TOKEN = "plainly-written-7d1e"
OPERATOR = {"X-User-Role": "operator"}
SECONDS = 15.0
Talk = Callable[[socket.socket, Seen], None]


def skills(*names: str) -> bytes:
    return catalog_text("skills", named(*names)).encode()


class Far:
    """The host of all http sources: what it does depends on the path."""

    def __init__(self) -> None:
        self.web = ScriptedServer(self._talk)
        self.paths: dict[str, Talk | bytes] = {}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.web.port}{path}"

    def seen(self, path: str) -> list[Seen]:
        return [one for one in self.web.seen if one.path.partition("?")[0] == path]

    def trickle(self, connection: socket.socket, _: Seen) -> None:
        self.web.send_slowly(connection, [b"HTTP/1.1 200 OK\r\n\r\n", *[b"#"] * 10_000])

    def flood(self, connection: socket.socket, _: Seen) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            for _number in range(1024):
                connection.sendall(b"#" * 1024 * 1024)

    def packed(self, connection: socket.socket, seen: Seen) -> None:
        if seen.headers.get("if-none-match") == '"v1"':
            connection.sendall(answer(304, b""))
        else:
            body = gzip.compress(skills("packed"))
            connection.sendall(answer(body=body, Content_Encoding="gzip", ETag='"v1"'))

    def guarded(self, connection: socket.socket, seen: Seen) -> None:
        is_known = seen.headers.get("x-key") == SECRET
        connection.sendall(answer(body=skills("guarded")) if is_known else answer(403, b""))

    def _talk(self, connection: socket.socket, seen: Seen) -> None:
        chosen = self.paths[seen.path.partition("?")[0]]
        if isinstance(chosen, bytes):
            connection.sendall(chosen)
        else:
            chosen(connection, seen)


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far()
    with made.web:
        yield made


def http_source(source_id: str, url: str, **properties: Any) -> dict[str, Any]:
    return {"id": source_id, "type": "http", "properties": {"url": url, **properties}}


def serve(folder: Path, sections: Mapping[str, list[dict[str, Any]]], **variables: str) -> Any:
    sources = write_sources(folder / "config/s.yaml", sections)
    (folder / "secrets/far").mkdir(parents=True)
    (folder / "secrets/far/key").write_text(f"{SECRET}\n")
    given = {"CATALOG_SECRETS_DIR": str(folder / "secrets"), "CATALOG_ALLOWED_NETWORKS": "127.0.0.0/8", **variables}
    return running(folder / "data", sources, **given)


def status_of(server: RunningServer, source_id: str, base: str = SKILLS) -> dict[str, Any]:
    """As operators see it, with the time of the next refresh."""
    found = server.get(f"{base}/management/sources", headers=OPERATOR).json()["sources"]
    status: dict[str, Any] = next(one for one in found if one["id"] == source_id)["status"]
    return status


def expect_names(server: RunningServer, path: str, *names: str) -> None:
    """The index follows what is written by a moment."""
    wait_until(f"entities {names}", lambda: server.names(path) == list(names))


def wait_for_state(server: RunningServer, source_id: str, state: str, base: str = SKILLS) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        status = status_of(server, source_id, base)
        return status if status["state"] == state else None

    found = wait_until(f"{source_id} to be {state}", probe, SECONDS)
    assert found is not None
    return found


def generations(data: Path) -> list[Any]:
    with closing(sqlite3.connect(data / "catalog.db")) as database:
        return database.execute("SELECT * FROM generations ORDER BY 1, 2, 3").fetchall()


ILL: Mapping[str, str] = {
    "slow": "did not send all of its answer within 2 s",
    "circle": "redirects in a circle",
    "broken": "answers with an error (status 500)",
    "huge": "the document has more than 1000000 bytes",
    "private": "has an address that is not public",
    "away": "has an address that is not public",
    "gone": "has no such document (status 404)",
}


def test_hosts_that_mean_ill_then_each_source_is_in_error_and_no_other_notices(tmp_path: Path, far: Far) -> None:
    """Every failure has a reason, comes within the deadline of its source, and costs the others nothing."""
    far.paths = {
        **{"/slow": far.trickle, "/broken": answer(500), "/huge": far.flood, "/gone": answer(404)},
        "/circle": answer(302, b"", Location="/circle"),
        "/away": answer(302, b"", Location="http://192.168.7.7/inside"),
        "/fine": answer(body=skills("fine")),
    }
    write_catalog(tmp_path / "config/local.yaml", "skills", named("local"))
    sources = [
        {"id": "local", "path": "local.yaml"},
        *(http_source(name, far.url(f"/{name}"), timeout="2s") for name in ("slow", "circle", "gone", "away")),
        http_source("broken", far.url("/broken"), timeout="5s"),
        http_source("huge", far.url("/huge"), maxBytes=1_000_000),
        http_source("private", "http://10.1.2.3/latest/meta-data"),
        http_source("fine", far.url("/fine")),
    ]
    with serve(tmp_path, {"skills": sources}) as server:
        wait_for_state(server, "fine", "available")
        expect_names(server, f"{SKILLS}/skills", "fine", "local")
        assert server.names(f"{SKILLS}/skills") == ["fine", "local"]
        for name in [one["id"] for one in sources if one["id"] in ILL]:
            status = wait_for_state(server, str(name), "error")
            assert ILL[str(name)] in status["error"], name
            assert status["entityCount"] == 0
        assert server.readiness()[0] == 200
        assert server.names(f"{SKILLS}/skills") == ["fine", "local"]
        durations = {line["source"]: line["duration_ms"] for line in server.logged("source refreshed")}
        assert durations["slow"] < 3000
        assert durations["broken"] < 6000
        assert all(durations[name] < 2500 for name in ("circle", "gone", "away", "huge", "private"))


def test_private_address_and_no_network_allowed_then_refused_before_anything_is_sent(tmp_path: Path, far: Far) -> None:
    far.paths = {"/a": answer(body=skills("a"))}
    sources = {"skills": [http_source("inside", far.url("/a"))]}
    with serve(tmp_path, sources, CATALOG_ALLOWED_NETWORKS="") as server:
        status = wait_for_state(server, "inside", "error")
        assert "not public; the settings of the server can allow its network" in status["error"]
        assert status["errorCode"] == "address_refused"
    assert far.web.seen == []


def test_unchanged_document_then_304_at_its_interval_and_nothing_is_written(tmp_path: Path, far: Far) -> None:
    """A short interval is kept and shown; what did not change costs one small answer."""
    far.paths = {"/packed": far.packed}
    sources = {"skills": [http_source("packed", far.url("/packed"), syncInterval="1s")]}
    with serve(tmp_path, sources) as server:
        first = wait_for_state(server, "packed", "available")
        expect_names(server, f"{SKILLS}/skills", "packed")
        tag, stored = server.get(f"{SKILLS}/skills").headers["etag"], generations(tmp_path / "data")
        wait_until("three more syncs", lambda: len(far.seen("/packed")) >= 4, SECONDS)
        later = wait_until(
            "the newer status",
            lambda: (found := status_of(server, "packed"))["lastRefreshTime"] > first["lastRefreshTime"] and found,
        )
        assert server.get(f"{SKILLS}/skills").headers["etag"] == tag
        assert generations(tmp_path / "data") == stored
        due, last = (datetime.fromisoformat(later[name]) for name in ("nextRefreshTime", "lastRefreshTime"))
        assert due - last == timedelta(seconds=1)
    conditions = [seen.headers.get("if-none-match") for seen in far.seen("/packed")]
    assert conditions == [None, *['"v1"'] * (len(conditions) - 1)]


def test_secrets_of_sources_then_used_and_nowhere_shown(tmp_path: Path, far: Far) -> None:
    """Neither a referenced secret nor one that stands in a URL is in any answer or line of the log."""
    far.paths = {"/guarded": far.guarded, "/refused": answer(401, b""), "/open": answer(503, b"")}
    header = {"X-Key": {"name": "far", "key": "key"}}
    sources = [
        http_source("guarded", far.url(f"/guarded?token={OPEN_TOKEN}&ref=main"), headers=header),
        http_source("refused", far.url(f"/refused?sig={OPEN_TOKEN}"), headers=header),
        http_source("open", far.url(f"/open?sig={OPEN_TOKEN}"), timeout="1s"),
        http_source("unresolved", far.url("/guarded"), headers={"X-Key": {"name": "far", "key": "other"}}),
    ]
    with serve(tmp_path, {"skills": sources}, CATALOG_LOG_LEVEL="debug") as server:
        wait_for_state(server, "guarded", "available")
        for name in ("refused", "open", "unresolved"):
            wait_for_state(server, name, "error")
        assert {seen.headers["x-key"] for seen in far.seen("/guarded")} == {SECRET}
        assert far.seen("/guarded")[0].path.endswith(f"?token={OPEN_TOKEN}&ref=main")
        pages = ("/sources", "/skills", "/management/sources", "/management/diagnostics")
        answers = [server.get(SKILLS + page, headers=OPERATOR) for page in pages]
        answers.append(server.get("/api/jobs/v1alpha1/refresh", headers=OPERATOR))
        shown = "".join(one.text for one in answers)
        assert "/guarded?token=***REDACTED***&ref=main" in shown
        assert '"X-Key":{"name":"far","key":"key"}' in shown.replace(" ", "")
        output = server.output
    for place in (shown, output):
        assert SECRET not in place
        assert OPEN_TOKEN not in place
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


class TestHub:
    @pytest.fixture
    def hub(self) -> Iterator[Hub]:
        with serve_hub() as hub:
            for name in ("acme/a", "acme/b", "acme/c"):
                hub.add(name, readme=f"# {name}")
            yield hub

    def source(self, hub: Hub, **given: Any) -> dict[str, Any]:
        return {"id": "hub", "type": "hf", "properties": {"url": hub.url, "syncInterval": "1s"}, **given}

    def test_part_of_a_hub_fails_then_the_last_good_versions_stay(self, tmp_path: Path, hub: Hub) -> None:
        """partially-available: what could be fetched is new, what could not is as it was."""
        source = self.source(hub, includedModels=["acme/a", "acme/b"])
        with serve(tmp_path, {"models": [source]}, CATALOG_HF_HOSTS="127.0.0.1") as server:
            wait_for_state(server, "hub", "available", MODELS)
            expect_names(server, f"{MODELS}/models", "acme/a", "acme/b")
            hub.faults["/api/models/acme/b"] = Fault(500)
            hub.add("acme/a", readme="# new")
            status = wait_for_state(server, "hub", "partially-available", MODELS)
            assert "acme/b: the hub answers 500" in status["error"]
            assert status["entityCount"] == 2
            models = f"{MODELS}/sources/hub/models"
            wait_until("the new readme", lambda: server.json(f"{models}/acme%2Fa")["readme"] == "# new", SECONDS)
            assert server.json(f"{models}/acme%2Fb")["readme"] == "# acme/b"
            hub.faults["/api/models/acme/a"] = Fault(500)
            assert "nothing could be fetched" in wait_for_state(server, "hub", "error", MODELS)["error"]
            assert server.names(f"{MODELS}/models") == ["acme/a", "acme/b"]
            hub.faults.clear()
            wait_for_state(server, "hub", "available", MODELS)

    def test_patterns_in_the_properties_then_they_count(self, tmp_path: Path, hub: Hub) -> None:
        properties = {"url": hub.url, "includedModels": ["acme/*"], "excludedModels": ["*/c"]}
        source = self.source(hub, properties=properties)
        with serve(tmp_path, {"models": [source]}, CATALOG_HF_HOSTS="127.0.0.1") as server:
            status = wait_for_state(server, "hub", "available", MODELS)
            expect_names(server, f"{MODELS}/models", "acme/a", "acme/b")
            due, last = (datetime.fromisoformat(status[name]) for name in ("nextRefreshTime", "lastRefreshTime"))
            assert due - last == timedelta(days=1)
            assert json.dumps(status).count("token") == 0

    def test_host_that_is_not_named_then_no_plain_http(self, tmp_path: Path, hub: Hub) -> None:
        with serve(tmp_path, {"models": [self.source(hub, includedModels=["acme/a"])]}) as server:
            status = wait_for_state(server, "hub", "error", MODELS)
            assert "must begin with https://" in status["error"]
        assert hub.requests == []
