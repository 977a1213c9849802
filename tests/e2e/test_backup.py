"""Back up a server that works, with the commands of docs/how-to/backup.md; another one starts on what is restored."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.databases import SERVERS, fetch_value, server_database, server_dsn
from tests.docs.pages import blocks_of
from tests.server import RunningServer, running

PAGE = "docs/how-to/backup.md"
LISTS = (
    "/api/mcp_catalog/v1alpha1/mcpservers",
    "/api/model_catalog/v1alpha1/models",
    "/api/skills_catalog/v1alpha1/skills",
    "/api/agents_catalog/v1alpha1/agents",
)
SERVERS_PATH = LISTS[0]
ACTION = "/api/mcp_catalog/v1alpha1/management/entities/{name}:action"
AUDIT = "/api/audit/v1alpha1/events"
OPERATOR = {"X-User-Role": "operator", "X-Remote-User": "olivia"}


def commands(program: str) -> list[str]:
    """The lines of the page that call this program."""
    blocks = (block for block in blocks_of(PAGE) if block.language == "text")
    found = [line for block in blocks for line in block.text.splitlines() if line.startswith(program)]
    assert found, f"{PAGE} does not use {program}"
    return found


def run(folder: Path, command: str, **variables: str) -> None:
    path = os.pathsep.join([*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stderr}"


@contextmanager
def changing(server: RunningServer, name: str) -> Iterator[None]:
    """One change after the other, as long as the block runs."""
    stop = threading.Event()
    statuses: list[int] = []

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = {"action": "annotate", "params": {"annotations": {"number": str(number)}}}
            answer = server.client.post(server.url + ACTION.format(name=name), headers=OPERATOR, json=body)
            statuses.append(answer.status_code)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert set(statuses) == {200}


def bodies(server: RunningServer) -> dict[str, object]:
    return {path: server.json(path, pageSize="100") for path in LISTS}


def tag(server: RunningServer, name: str) -> None:
    body = {"action": "tag", "params": {"tags": ["kept"]}}
    answer = server.client.post(server.url + ACTION.format(name=name), headers=OPERATOR, json=body)
    assert answer.status_code == 200, answer.text


def audited(server: RunningServer) -> int:
    found: int = server.get(AUDIT, headers=OPERATOR).json()["totalSize"]
    return found


@pytest.mark.external_service
def test_postgresql_is_backed_up_while_it_changes_and_comes_back_whole(tmp_path: Path, postgres_database: str) -> None:
    dump, restore = commands("pg_dump")[0], commands("pg_restore")[0]
    with running(tmp_path / "old", DATABASE_DSN=postgres_database) as server:
        first, second = server.names(SERVERS_PATH)[:2]
        tag(server, first)
        expected, events = bodies(server), audited(server)
        with changing(server, second):
            run(tmp_path, dump, DATABASE_DSN=postgres_database)
    given = server_dsn("postgres")
    assert given is not None
    with server_database("postgres", given) as restored:
        run(tmp_path, restore, RESTORED_DSN=restored)
        with running(tmp_path / "new", DATABASE_DSN=restored) as server:
            found = bodies(server)
            assert without(found, second) == without(expected, second)
            assert audited(server) >= events
            assert fetch_value(restored, "SELECT count(*) FROM audit_events WHERE action = 'execute-action'") >= 1
            tag(server, second)  # it can be changed, too


@pytest.mark.external_service
def test_mariadb_is_backed_up_and_comes_back_whole(tmp_path: Path) -> None:
    given = server_dsn("mysql")
    if given is None:
        pytest.skip(f"{SERVERS['mysql']} is not set; run: python tools/services.py run -- pytest")
    dump, restore = commands("mariadb-dump")[0], commands("mariadb ")[0]
    with server_database("mysql", given) as old, server_database("mysql", given) as new:
        write_options(tmp_path, old)
        with running(tmp_path / "old", DATABASE_DSN=old) as server:
            tag(server, server.names(SERVERS_PATH)[0])
            expected, events = bodies(server), audited(server)
            run(tmp_path, dump, DATABASE=urlsplit(old).path[1:])
        run(tmp_path, restore, RESTORED=urlsplit(new).path[1:])
        with running(tmp_path / "new", DATABASE_DSN=new) as server:
            assert bodies(server) == expected
            assert audited(server) == events


def write_options(folder: Path, dsn: str) -> None:
    """Where the tools find the server, as an operator has it in the home folder."""
    parts = urlsplit(dsn)
    lines = [f"host={parts.hostname}", f"port={parts.port}", f"user={parts.username}"]
    if parts.password is not None:
        lines.append(f"password={unquote(parts.password)}")
    (folder / ".my.cnf").write_text("\n".join(["[client]", "protocol=tcp", *lines]) + "\n")


def without(found: dict[str, object], name: str) -> dict[str, object]:
    """All but the entity that was changed meanwhile."""
    return {
        path: [item for item in body["items"] if item["name"] != name]  # type: ignore[index]
        for path, body in found.items()
    }
