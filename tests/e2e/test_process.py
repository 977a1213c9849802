"""The process: what it says when it cannot start, how it stops, and what it answers before it is ready."""

from __future__ import annotations

import json
import platform
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from catalog_server.db.migrate import HEAD
from tests.catalog_files import catalog_text, named, write_catalog, write_many, write_sources
from tests.server import SAMPLE, run_to_end, running, wait_until

SKILLS = "/api/skills_catalog/v1alpha1/skills"
FREE = "--listen=127.0.0.1:0"


def refusal(tmp_path: Path, *arguments: str, status: int = 1, **variables: str) -> str:
    """The one line that a server says which cannot start; secrets are not in it."""
    ended = run_to_end(tmp_path / "data", *arguments, **variables)
    assert ended.returncode == status, ended
    assert "Traceback" not in ended.stdout + ended.stderr
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("catalog-server: ")
    if status == 1:
        assert len(lines) == 1, ended.stderr
    return lines[0]


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refusal(tmp_path, f"--listen={address}", f"--sources={SAMPLE}")
    assert f"cannot listen on {address}" in line
    assert "in use" in line


def test_address_that_is_not_ours(tmp_path: Path) -> None:
    assert "cannot listen on 192.0.2.1:80" in refusal(tmp_path, "--listen=192.0.2.1:80", f"--sources={SAMPLE}")


def test_unknown_flag(tmp_path: Path) -> None:
    assert "--port" in refusal(tmp_path, "--port=80", status=2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CATALOG_TENANCY_MODE", "many"),
        ("CATALOG_LOG_FORMAT", "xml"),
        ("CATALOG_RESPONSE_CACHE_BYTES", "-1"),
        ("CATALOG_NAMESPACES", "Not_Valid"),
        ("CATALOG_WATCH_ENABLED", "perhaps"),
        ("CATALOG_AUTHZ_MODE", "sar"),
        ("CATALOG_AUTHZ_MODE", "rbac"),
    ],
)
def test_wrong_variable(tmp_path: Path, variable: str, value: str) -> None:
    line = refusal(tmp_path, FREE, f"--sources={SAMPLE}", **{variable: value})
    assert variable in line


def test_wrong_dsn_is_not_repeated(tmp_path: Path) -> None:
    for dsn in ("oracle://u:hunter2@h/d", "postgres://u:hunter2@h:notaport/d"):
        line = refusal(tmp_path, FREE, f"--sources={SAMPLE}", DATABASE_DSN=dsn)
        assert "DSN" in line
        assert "hunter2" not in line


def test_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(tmp_path, FREE, f"--sources={SAMPLE}", CATALOG_DATA_DIR=str(tmp_path / "file/data"))
    assert "CATALOG_DATA_DIR" in line


def test_data_folder_without_room_for_the_spool(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/spool").write_text("in the way")
    with running(tmp_path / "data", write_sources(tmp_path / "s.yaml", {})) as server:
        assert server.json("/api/plugins")["count"] == 8


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("apiVersion: catalog/v1alpha1\nkind: CatalogSources\ncatalogs:\n  skills:\n    surces: []\n", 5, "surces"),
        ("catalogs:\n  skills:\n    sources:\n      - id: [\n", 5, ""),
        ("catalogs:\n  skills:\n    sources:\n      - name: x\n        type: yaml\n", 4, "id"),
        ("catalogs:\n  skills:\n    sources:\n      - {id: a, name: a, type: yaml}\n      - {id: a}\n", 5, "duplicate"),
        ("", 1, ""),
    ],
)
def test_broken_sources_file(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(text)
    said = refusal(tmp_path, FREE, f"--sources={file}")
    assert re.search(rf"{re.escape(str(file))}:{line}\b", said), said
    assert words in said


def test_missing_sources_file(tmp_path: Path) -> None:
    said = refusal(tmp_path, FREE, f"--sources={tmp_path / 'nowhere.yaml'}")
    assert str(tmp_path / "nowhere.yaml") in said
    assert "No such file" in said


@pytest.mark.parametrize("path", ["/", "/dev/null"])
def test_sources_file_that_is_none(tmp_path: Path, path: str) -> None:
    assert f"--sources: {path}: " in refusal(tmp_path, FREE, f"--sources={path}")


def test_help_and_version(tmp_path: Path) -> None:
    for flag, word in (("--help", "--listen"), ("--version", "0.9.0")):
        ended = run_to_end(tmp_path, flag)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert word in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_end(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "data", write_sources(tmp_path / "s.yaml", {})) as server:
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
        assert server.logged("stopping", signal=number.name)


@pytest.mark.parametrize("milliseconds", [0, 20, 40, 80, 160, 320])
def test_a_signal_during_start_is_a_clean_end(tmp_path: Path, milliseconds: int) -> None:
    with running(tmp_path / "data", wait=False):
        time.sleep(milliseconds / 1000)  # there is nothing to wait for: any moment must do
    # The end of `running` asserts the clean exit.


def test_a_second_signal_ends_what_the_first_one_waits_for(tmp_path: Path) -> None:
    with running(tmp_path / "data", write_sources(tmp_path / "s.yaml", {})) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(
                b"POST /api/skills_catalog/v1alpha1/management/apply-source HTTP/1.1\r\nHost: x\r\n"
                b"X-User-Role: operator\r\nContent-Length: 9\r\n\r\n"
            )
            server.get("/livez")  # the other request has been read by now
            server.process.send_signal(signal.SIGTERM)
            wait_until("the stop to begin", lambda: server.logged("stopping"))
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(0.5)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(5) == 1
            assert server.logged("ended by a second signal, nothing is waited for any more")
        server.kill()


def test_the_socket_is_open_before_anything_is_loaded(tmp_path: Path) -> None:
    """A large file holds up the load for a moment."""
    file = write_many(tmp_path / "big.yaml", "skills", 5000)
    sources = write_sources(tmp_path / "s.yaml", {"skills": [{"id": "big", "path": file}]})
    with running(tmp_path / "data", sources, wait=False) as server:
        status, body = server.readiness()
        assert status == 503
        assert body["status"] == "not_ready"
        assert body["components"]["initial_load"] == {"status": "pending"}
        assert server.get("/livez").status_code == 200
        refused = server.get(SKILLS)
        assert refused.status_code == 503
        assert refused.json()["message"]
        assert refused.headers["retry-after"]
        server.wait_for_ready()
        assert server.json(SKILLS)["totalSize"] == 5000


def test_probes(tmp_path: Path) -> None:
    with running(tmp_path / "data", write_sources(tmp_path / "s.yaml", {})) as server:
        for path in ("/healthz", "/livez", "/readyz"):
            get, head = server.get(path), server.client.head(server.url + path)
            assert (get.status_code, head.status_code, head.content) == (200, 200, b"")
            assert head.headers["content-type"] == get.headers["content-type"] == "application/json"
        assert re.fullmatch(r"(\d+m)?\d+s", server.json("/livez")["uptime"])


@pytest.mark.parametrize("json_format", ["json", "auto"])
def test_every_log_line_is_json(tmp_path: Path, json_format: str) -> None:
    with running(tmp_path / "data", CATALOG_LOG_FORMAT=json_format) as server:  # type: ignore[arg-type]
        for path in (SKILLS, "/nowhere", f"{SKILLS}?pageSize=%zz&q=%22%0a"):
            server.get(path)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
            raw.sendall(b"\x16\x03\x01 garbage\r\n\r\n")
            raw.recv(100)
    lines = [json.loads(line) for line in server.output.splitlines()]
    assert all({"event", "timestamp"} <= set(line) for line in lines)
    assert {"listening", "ready", "request", "stopping"} <= {line["event"] for line in lines}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_allocate_in_arenas_that_they_share(tmp_path: Path) -> None:
    """Else the process grows for as long as it takes each thread to have done everything once."""
    with running(tmp_path / "data", SAMPLE) as server:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(server.json, ["/api/assets", SKILLS] * 20))
        maps = Path(f"/proc/{server.process.pid}/maps").read_text().splitlines()
    fields = [line.split() for line in maps]
    starts = [int(one[0].partition("-")[0], 16) for one in fields if one[1] == "rw-p" and len(one) == 5]
    assert len([start for start in starts if start % (64 << 20) == 0]) <= 2


def test_sources_files_are_merged(tmp_path: Path) -> None:
    """Relative paths start at the file that holds them, and so in two folders at two places."""
    for name in ("one", "two", "three"):
        write_catalog(tmp_path / name / "data.yaml", "skills", named(f"of-{name}"))
    write_sources(
        tmp_path / "one/s.yaml", {"skills": [{"id": "a", "path": "data.yaml"}, {"id": "b", "path": "data.yaml"}]}
    )
    write_sources(tmp_path / "two/s.yaml", {"skills": [{"id": "c", "path": "data.yaml"}]})
    (tmp_path / "three/s.yaml").write_text("catalogs: {skills: {sources: [{id: b, enabled: false}]}}\n")
    files = [Path(f"{name}/s.yaml") for name in ("one", "two", "three")]
    with running(tmp_path / "data", files, cwd=tmp_path) as server:
        assert server.names(SKILLS) == ["of-one", "of-two"]
        sources = server.json("/api/skills_catalog/v1alpha1/sources")["items"]
        assert [(one["id"], one["status"]) for one in sources] == [
            ("a", "available"),
            ("b", "disabled"),
            ("c", "available"),
        ]
    joined = ",".join(map(str, files))
    with running(tmp_path / "data", [Path(joined)], cwd=tmp_path) as server:
        assert server.names(SKILLS) == ["of-one", "of-two"]


def test_several_servers_on_one_empty_database(database: str, tmp_path: Path) -> None:
    """Exactly one migrates. Ten at once on PostgreSQL, where production runs; three elsewhere."""
    servers = 10 if database.startswith("postgres") else 3
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        started = [
            stack.enter_context(running(tmp_path / str(number), DATABASE_DSN=database, wait=False))  # type: ignore[arg-type]
            for number in range(servers)
        ]
        list(pool.map(lambda one: one.wait_for_ready(), started))
        bodies = {one.get(SKILLS).content for one in started}
        assert len(bodies) == 1
        models = {one.get("/api/model_catalog/v1alpha1/models?pageSize=100").content for one in started}
        assert len(models) == 1
        for one in started:
            assert not one.logged("start-up failed")
        assert sum(len(one.logged("migrating the database")) for one in started) == 1


def test_migrating_in_a_job_of_its_own(database: str, tmp_path: Path) -> None:
    """A server that only checks ends on a schema that is not its own, and says what to do."""
    options = {"DATABASE_DSN": database, "CATALOG_MIGRATIONS": "check"}
    refused = run_to_end(tmp_path / "refused", FREE, f"--sources={SAMPLE}", **options)
    assert refused.returncode == 1
    assert f"is empty, this server needs revision {HEAD}: run `catalog-server migrate` first" in refused.stdout
    for has_migrated in (True, False):
        done = run_to_end(tmp_path / "job", "migrate", DATABASE_DSN=database)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout.splitlines()[-1])["migrated"] is has_migrated
        assert urlsplit(database).password is None or urlsplit(database).password not in done.stdout
    with running(tmp_path / "served", **options) as server:  # type: ignore[arg-type]
        assert server.readiness()[0] == 200
        assert not server.logged("migrating the database")


def test_migrating_where_nothing_may_be_changed(tmp_path: Path) -> None:
    done = run_to_end(tmp_path, "migrate", DATABASE_DSN="postgres://nobody:secret@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr == "catalog-server: database: connection refused\n"
    assert run_to_end(tmp_path, "migrate", "--nonsense").returncode == 2


def test_a_change_reaches_the_other_server_through_the_database(tmp_path: Path, database: str) -> None:
    """Two replicas with files of their own: what one stores, the other serves."""
    files = [write_catalog(tmp_path / f"{n}/skills.yaml", "skills", named("one")) for n in range(2)]
    sources = [
        write_sources(tmp_path / f"{n}/s.yaml", {"skills": [{"id": "s", "path": file}]}) for n, file in enumerate(files)
    ]
    with (
        running(tmp_path / "a", sources[0], DATABASE_DSN=database) as first,  # type: ignore[arg-type]
        running(tmp_path / "b", sources[1], DATABASE_DSN=database) as second,  # type: ignore[arg-type]
    ):
        files[0].write_text(catalog_text("skills", named("one", "two")))
        for one in (first, second):
            wait_until("the change", lambda one=one: one.names(SKILLS) == ["one", "two"], 10)
