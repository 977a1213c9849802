"""How the client speaks: to servers that are slow, broken, hostile or newer than it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.client import COMMAND, Client
from tests.contract.cli.scripted import BASE, Asked, Reply, Scripted, listing, plugin, serving
from tests.contract.providers.http_bench import make_certificate
from tests.server import wait_until

ACTION = f"{BASE}/management/entities/a:action"
JOB = "/api/jobs/v1alpha1/refresh/j1"
READY = {"status": "ready", "components": {"database": {"status": "up"}}}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving({"/api/plugins": listing(plugin())}) as scripted:
        yield scripted


@pytest.fixture
def client(tmp_path: Path, server: Scripted) -> Client:
    return Client(tmp_path, server.url)


def test_flags_when_wrong_then_nothing_is_sent(client: Client, server: Scripted) -> None:
    """Parse and validate all flags, then discover, then call."""
    for line in ("plugins -o xml", "things -o xml", "--timeout soon plugins", "sources lst", "jobs get"):
        assert client.run(*line.split(), status=2).err.startswith("error: ")
    assert server.asked == []


def test_calls_then_identity_namespace_and_token_go_with_each(client: Client, server: Scripted) -> None:
    identity = ["--user", "Jürgen", "--group", "a", "--group", "b", "--role", "operator", "--token", "t"]
    client.ok("plugins", "-n", "red", *identity)
    (asked,) = server.asked
    sent = {name: asked.headers[name] for name in asked.headers if name.startswith("x-")}
    assert sent == {
        "x-namespace": "red",
        "x-user-role": "operator",
        "x-remote-user": "Jürgen".encode().decode("latin-1"),
        "x-remote-group": "a,b",
    }
    assert asked.headers["authorization"] == "Bearer t"
    assert client.run("plugins", "--user", "a\nX-User-Role: operator", status=2).err.startswith("error: the value for")


@pytest.mark.parametrize("name", ["a/b", "ü", "with space", "q?x=1", "50%", 'quote"', "..", "#"])
def test_names_then_one_encoded_segment(client: Client, server: Scripted, name: str) -> None:
    server.script["*"] = Reply({"name": name})
    assert client.ok("things", "things", "get", "-o", "json", "--", name).json == {"name": name}
    assert client.ok("entities", "get", "things", name, "-o", "json").json == {"name": name}
    for path in server.paths()[1:]:
        assert path.count("/") == BASE.count("/") + 2
        assert unquote(path).endswith(f"/things/{name}")


def test_pages_then_both_names_of_the_token_and_an_end_when_it_repeats(client: Client, server: Scripted) -> None:
    def page(asked: Asked) -> Reply:
        token = dict(asked.query).get("pageToken", "")
        assert dict(asked.query).get("nextPageToken", "") == token
        following = {"": "t1", "t1": "t2", "t2": "t1"}[token]
        return Reply({"items": [{"name": token or "t0"}], "size": 1, "nextPageToken": following})

    server.script[f"{BASE}/things"] = page
    found = client.ok("things", "things", "list", "--all", "-o", "json").json
    assert [one["name"] for one in found["items"]] == ["t0", "t1", "t2"]
    assert found["size"] == 3
    assert client.ok("things", "things", "list", "--limit", "2", "-o", "name").lines == ["t0", "t1"]
    assert "--next-page-token t1" in client.ok("things", "things", "list").err
    assert client.ok("things", "things", "list", "--next-page-token", "t2", "-o", "name").lines == ["t2"]


def test_query_then_encoded(client: Client, server: Scripted) -> None:
    server.script[f"{BASE}/things"] = Reply({"things": [], "size": 0})
    words = ["--filter", "a = 'x y' & \"ü\" + %", "-q", "a&b", "--order-by", "size", "--sort", "desc"]
    assert client.ok("things", "things", "list", *words).out == "No things found.\n"
    assert dict(server.asked[-1].query) == {
        "filterQuery": "a = 'x y' & \"ü\" + %",
        "q": "a&b",
        "orderBy": "size",
        "sortOrder": "DESC",
    }


def test_plugins_when_seen_then_not_asked_for_again(client: Client, server: Scripted) -> None:
    server.script[f"{BASE}/things"] = Reply({"items": []})
    for _ in range(2):
        client.ok("things", "things", "list")
    assert server.paths() == ["/api/plugins", f"{BASE}/things", f"{BASE}/things"]
    client.ok("things", "things", "list", "--no-cache")
    assert server.paths()[3:] == ["/api/plugins", f"{BASE}/things"]


def test_plugin_when_named_like_a_command_then_the_command_wins(client: Client, server: Scripted) -> None:
    server.script["/api/plugins"] = listing(plugin("jobs"))
    server.script["/api/jobs_catalog/v1alpha1/things"] = Reply({"items": [{"name": "mine"}]})
    server.script["/api/jobs/v1alpha1/refresh"] = Reply({"jobs": []})
    assert client.ok("jobs", "list").out == "No jobs found.\n"
    assert client.ok("plugin", "jobs", "things", "list", "-o", "name").lines == ["mine"]


def test_approval_when_pending_then_nine_is_asked_for(client: Client, server: Scripted) -> None:
    body = {"action": "tag", "status": "pending-approval", "message": "waits", "data": {"requestId": "r-1"}}
    server.script[ACTION] = Reply(body, 202)
    words = ["things", "things", "tag", "a", "--tag", "x"]
    assert "r-1" in client.ok(*words).out
    assert client.run(*words, "--fail-on-pending", "-o", "json", status=9).json == body


def test_action_then_parameters_with_their_types(client: Client, server: Scripted) -> None:
    server.script[ACTION] = Reply({"action": "tag", "status": "dry-run", "message": "would", "data": {}})
    done = client.ok("things", "things", "tag", "a", "--tag", "x", "--tag", "y", "--param", "n:=3", "--dry-run")
    assert done.lines[0] == '[dry-run] Action "tag" on "a": dry-run'
    assert server.asked[-1].body == {"action": "tag", "dryRun": True, "params": {"tags": ["x", "y"], "n": 3}}
    server.script[ACTION] = Reply({"action": "tag", "status": "error", "message": "no"})
    client.run("things", "things", "tag", "a", "-f", "-", stdin="tags: [no]\n", status=1)
    assert server.asked[-1].body == {"action": "tag", "params": {"tags": ["no"]}}


def test_action_when_destructive_then_asked_before(client: Client, server: Scripted) -> None:
    server.script[ACTION] = Reply({"action": "erase", "status": "completed"})
    assert "'a'" in client.run("things", "things", "erase", "a", status=2).err
    assert ACTION not in server.paths()
    client.ok("things", "things", "erase", "a", "--yes")


def test_status_when_not_ready_then_its_components_and_eight(client: Client, server: Scripted) -> None:
    down = {"status": "not_ready", "components": {"database": {"status": "down", "error": "no route\x1b"}}}
    server.script |= {"/healthz": Reply({"status": "alive", "uptime": "3s"}), "/readyz": Reply(down, 503)}
    done = client.run("status", status=8)
    assert "not_ready" in done.out
    assert "no route\\x1b" in done.out
    document = client.run("status", "-o", "json", status=8).json
    assert document["ready"] == down
    assert set(document) == {"server", "health", "ready", "plugins"}
    assert client.run("health", status=8).out.split()[-1] == "not_ready"
    server.script["/readyz"] = Reply(READY)
    client.ok("status")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 5),
        (401, 4),
        (403, 4),
        (404, 3),
        (409, 6),
        (422, 5),
        (429, 7),
        (500, 1),
        (502, 8),
        (503, 8),
        (418, 1),
        (302, 1),
    ],
)
def test_refusal_then_an_exit_status_and_the_servers_words(
    client: Client, server: Scripted, status: int, code: int
) -> None:
    body = {"error": "word", "message": "why\x1b[2J", "field": "f"}
    server.script["/api/plugins"] = Reply(body, status, {"X-Request-Id": "r7", "Location": f"{server.url}/elsewhere"})
    assert client.run("plugins", status=code).err == f"error: why\\x1b[2J (HTTP {status}, request-id r7)\n"
    error = client.run("plugins", "-o", "json", status=code).error
    assert error == {
        "status": status,
        "error": "word",
        "message": "why\x1b[2J",
        "requestId": "r7",
        "details": {"field": "f"},
    }
    assert yaml.safe_load(client.run("plugins", "-o", "yaml", status=code).err)["error"]["error"] == "word"
    assert "/elsewhere" not in server.paths()


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (Reply(raw=b"<html>gateway</html>", status=502, headers={"Content-Type": "text/html"}), 8, "Bad Gateway"),
        (Reply(raw=b"upstream\n", status=502, headers={"Content-Type": "text/plain"}), 8, "upstream"),
        (Reply(raw=b"<html>", headers={"Content-Type": "text/html"}), 1, "no JSON but text/html"),
        (Reply(raw=b"{"), 1, "no JSON"),
        (Reply([1]), 1, "catalog-server"),
        (Reply({"plugins": 3}), 1, "catalog-server"),
        (Reply({"plugins": [plugin()]}, is_cut=True), 8, "cannot be reached"),
    ],
)
def test_answer_when_it_is_none_of_ours_then_a_line_that_says_so(
    client: Client, server: Scripted, reply: Reply, code: int, words: str
) -> None:
    server.script["/api/plugins"] = reply
    for command in (["plugins"], ["things", "things", "list"]):
        done = client.run(*command, status=code)
        assert words in done.err
        assert done.err.count("\n") == 1


def test_answer_when_it_drips_then_the_time_ends_all_the_same(client: Client, server: Scripted) -> None:
    server.script["/api/plugins"] = Reply(drips=True)
    assert "no answer within 0.5 s" in client.run("plugins", "--timeout", "0.5", status=8).err


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"])
def test_server_when_not_there_then_eight(client: Client, url: str) -> None:
    done = client.run("plugins", "--server", url, "-o", "json", status=8)
    assert done.error["error"] == "unreachable"
    assert url in client.run("thngs", "--server", url, status=8).err


def test_plugin_when_it_describes_itself_badly_then_no_command_breaks(client: Client, server: Scripted) -> None:
    """A server may be newer, or hostile: nothing of what it says is obeyed by the terminal."""
    strange = plugin("things", fields={}, actions=None, description="\x1b]0;x\x07", displayName="\x1b[31mT")
    bare = {"name": "bare", "basePath": "/api/bare"}
    server.script["/api/plugins"] = listing(
        strange, bare, {"name": "e\x1b[2Jvil", "description": "\x9b2J", "basePath": ""}
    )
    server.script[f"{BASE}/things"] = Reply({"items": [{"z": 1, "name": "a\x1b[2J", "description": "d", "b": [1, {}]}]})
    server.script[f"{BASE}/things/a"] = Reply({"name": "a", "deep": {"\x1b": [None]}, "text": "1\n2\x07"})
    outputs = [
        client.ok(*words)
        for words in (
            ["plugins"],
            ["plugins", "get", "bare"],
            ["--help"],
            ["things", "--help"],
            ["things", "things", "--help"],
            ["things", "things", "list"],
            ["things", "things", "list", "-o", "wide"],
            ["things", "things", "list", "-o", "name"],
            ["things", "things", "get", "a"],
            ["things", "actions"],
            ["bare", "--help"],
            ["bare", "actions"],
        )
    ]
    assert not any("\x1b" in done.out or "\x9b" in done.out or "\x07" in done.out for done in outputs)
    assert outputs[5].lines[0].split() == ["NAME", "DESCRIPTION", "Z", "B"]
    assert client.run("entities", "list", "bare", status=3).err.startswith("error: ")


def test_job_when_waited_for_then_until_it_has_ended(client: Client, server: Scripted) -> None:
    states = iter(["queued", "running", "running", "failed"])
    server.script[f"{BASE}/management/refresh/s%201"] = Reply({"status": "queued", "jobId": "j1"}, 202)
    server.script[JOB] = lambda _: Reply({"id": "j1", "state": next(states), "entitiesLoaded": 2, "lastError": "why"})
    done = client.run("refresh", "--plugin", "things", "--source", "s 1", "--wait", status=1)
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["queued", "running", "failed"]
    assert "why" in done.out


def test_job_when_it_takes_too_long_then_said_that_it_goes_on(client: Client, server: Scripted) -> None:
    server.script[JOB] = Reply({"id": "j1", "state": "running"})
    done = client.run("jobs", "watch", "j1", "--timeout", "0.3", "-o", "json", status=1)
    assert done.error["error"] == "timeout"
    assert done.error["details"]["state"] == "running"


def test_job_when_waiting_is_interrupted_then_no_trace(client: Client, server: Scripted) -> None:
    server.script[JOB] = Reply({"id": "j1", "state": "running"})
    with subprocess.Popen(
        [*COMMAND, "jobs", "watch", "j1"], env=client.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until("a look at the job", lambda: JOB in server.paths())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_refresh_when_the_server_does_it_at_once_then_its_result(client: Client, server: Scripted) -> None:
    result = {"entitiesLoaded": 3, "entitiesRemoved": 1, "duration": 2_500_000_000}
    server.script[f"{BASE}/management/refresh"] = Reply(result)
    done = client.ok("refresh", "trigger", "--plugin", "things", "--wait")
    assert "2.50 s" in done.out
    assert client.run("refresh", "--plugin", "things", "--api-version", "v9", status=2).err.startswith("error: --api-v")


def test_output_when_nobody_reads_it_then_no_trace(client: Client, server: Scripted) -> None:
    server.script[f"{BASE}/things"] = Reply({"items": [{"name": "x" * 1000}] * 1000})
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*COMMAND, "things", "things", "list"],
            env=client.environ,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("plugins >/dev/full", 1),
        ("plugins -o json >/dev/full", 1),
        ("--nope -o json >/dev/full", 2),
        ("--nope 2>/dev/full", 2),
        ("--nope -o json >/dev/full 2>/dev/full", 2),
        ("plugins >&-", 0),
        ("sources delete x --plugin things <&-", 2),
        ("sources apply -f - <&-", 5),
        ("plugins >&- 2>&-", 0),
        ("--nope -o json >&- 2>&-", 2),
    ],
)
def test_output_when_it_cannot_be_written_then_a_status_and_no_trace(client: Client, line: str, status: int) -> None:
    words = ["bash", "-c", f"{' '.join(COMMAND)} {line}"]
    done = subprocess.run(words, env=client.environ, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert "internal" not in done.stderr


def test_certificate_then_verified_unless_told_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    certificate = make_certificate(folder, "IP:127.0.0.1")
    with serving({"/api/plugins": listing(plugin()), "/livez": Reply({"status": "alive"})}, certificate) as server:
        client = Client(tmp_path, server.url)
        assert "certificate" in client.run("plugins", status=8).err.lower()
        assert server.asked == []
        client.ok("plugins", "--ca-file", str(folder / "server.crt"))
        client.ok("plugins", "--insecure-skip-verify")
        assert "ca-file" in client.run("plugins", "--ca-file", "nowhere.pem", status=2).err
        assert "not verified" in client.run("doctor", "--insecure-skip-verify").out


MANAGEMENT = f"{BASE}/management"
MANIFEST = "{plugin: things, id: %s, name: N, type: yaml, properties: {yamlCatalogPath: x}}"


@pytest.fixture
def managed(server: Scripted) -> Scripted:
    """A server with one source, whose configuration is in the state v1, and in v2 and v3 after the next changes."""
    versions = iter(["v2", "v3"])
    stored = {"id": "old", "name": "O", "type": "yaml", "enabled": True, "properties": {"yamlCatalogPath": "x"}}
    server.script |= {
        f"{MANAGEMENT}/diagnostics": Reply({"pluginName": "things", "sources": [], "configVersion": "v1"}),
        f"{MANAGEMENT}/sources": Reply({"sources": [stored], "count": 1}),
        f"{MANAGEMENT}/validate-source": Reply({"valid": True, "layerResults": []}),
        f"{MANAGEMENT}/apply-source": lambda asked: Reply({**asked.body, "applied": True, "version": next(versions)}),
        f"{MANAGEMENT}/sources/old": Reply({"status": "deleted"}),
    }
    return server


def changes(server: Scripted) -> list[tuple[str, str | None]]:
    """What was changed, and the state that each change was bound to."""
    ends = ("apply-source", "sources/old")
    return [
        (one.path.rpartition("/")[2], one.headers.get("if-match")) for one in server.asked if one.path.endswith(ends)
    ]


def test_apply_then_each_change_is_bound_to_the_state_that_was_compared(client: Client, managed: Scripted) -> None:
    """Nobody's work is overwritten: the state is read before the sources, and each change names the one before it."""
    text = "\n---\n".join(MANIFEST % one for one in ("a", "b"))
    client.ok("sources", "apply", "-f", "-", "--prune", "--yes", stdin=text)
    assert changes(managed) == [("apply-source", '"v1"'), ("apply-source", '"v2"'), ("old", '"v3"')]
    paths = managed.paths()
    assert paths.index(f"{MANAGEMENT}/diagnostics") < paths.index(f"{MANAGEMENT}/sources")
    last_check = len(paths) - paths[::-1].index(f"{MANAGEMENT}/validate-source")
    assert last_check <= paths.index(f"{MANAGEMENT}/apply-source")


def test_apply_when_somebody_was_quicker_then_a_conflict_that_says_what_was_done(
    client: Client, managed: Scripted
) -> None:
    managed.script[f"{MANAGEMENT}/sources/old"] = Reply({"error": "Conflict", "message": "modified"}, 409)
    done = client.run("sources", "apply", "-f", "-", "--prune", "--yes", "-o", "json", stdin=MANIFEST % "a", status=6)
    assert done.error["details"]["applied"] == ["things/a"]
    assert done.error["details"]["source"] == "things/old"
    assert (
        "things/a"
        in client.run(
            "sources", "apply", "-f", "-", "--prune", "--yes", "--if-match", "v0", stdin=MANIFEST % "a", status=6
        ).err
    )
    assert changes(managed)[2] == ("apply-source", '"v0"')


def test_apply_when_nothing_has_to_change_then_nothing_is_sent(client: Client, managed: Scripted) -> None:
    text = "{plugin: things, id: old, properties: {yamlCatalogPath: x}}"
    assert "0 updated" in client.ok("sources", "apply", "-f", "-", stdin=text).out
    assert changes(managed) == []
    client.ok("sources", "apply", "-f", "-", stdin=text.replace("x}", "y}"))
    assert managed.asked[-1].body == {
        "id": "old",
        "name": "O",
        "type": "yaml",
        "properties": {"yamlCatalogPath": "y"},
    }
