"""catalog-cli in a terminal: a real one at 80 and 160 columns, completion in a real shell, imports at the start."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from catalog_server.cli.client.text import width_of
from tests.client import COMMAND, Client
from tests.server import RunningServer, running

SKILLS = [
    {
        "name": "部署服务-deploy-service",
        "description": "Déploie un service. " * 5,
        "skillType": "k8s_action",
        "author": "Müller",
    },
    {
        "name": "👍-approve",
        "description": "Says yes\nand \x1b[31mmore",
        "skillType": "openapi_operation",
        "author": "平台团队",
    },
    {"name": "restart", "version": "1.0.0", "skillType": "shell_command", "author": "A" * 70},
]
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "skills.yaml").write_text(yaml.safe_dump({"skills": SKILLS}, allow_unicode=True))
    source = {"id": "team", "name": "Équipe 平台", "type": "yaml", "properties": {"yamlCatalogPath": "skills.yaml"}}
    (folder / "sources.yaml").write_text(yaml.safe_dump({"catalogs": {"skills": {"sources": [source]}}}))
    with running(folder / "data", folder / "sources.yaml") as server:
        yield server


def in_terminal(client: Client, columns: int, *words: str, typed: str = "", **variables: str) -> str:
    """All that a terminal of this width is sent, stdout and stderr together."""
    pid, terminal = pty.fork()
    if pid == 0:
        environ = {**client.environ, "TERM": "xterm-256color", **variables}
        os.execvpe(COMMAND[0], [*COMMAND, *client.flags, *words], environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    if typed:
        os.write(terminal, typed.encode())
    text = b"".join(_read(terminal)).decode()
    os.waitpid(pid, 0)
    os.close(terminal)
    return text


def _read(terminal: int) -> Iterator[bytes]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and select.select([terminal], [], [], 30)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            return
        if not data:
            return
        yield data


def plain_lines(text: str) -> list[str]:
    return _SEQUENCE.sub("", text).replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize(
    "words", ["skills skills list", "sources list", "plugins list", "status", "sources diagnostics --plugin skills"]
)
def test_table_in_a_terminal_then_each_row_is_one_line_that_fits(
    server: RunningServer, tmp_path: Path, columns: int, words: str
) -> None:
    lines = plain_lines(in_terminal(Client(tmp_path, server.url), columns, *words.split()))
    assert lines
    assert [line for line in lines if width_of(line) > columns] == []


@pytest.mark.parametrize("columns", [80, 160])
def test_table_in_a_terminal_then_columns_are_aligned_and_names_whole(
    server: RunningServer, tmp_path: Path, columns: int
) -> None:
    text = in_terminal(Client(tmp_path, server.url), columns, "skills", "skills", "list")
    head, *rows = plain_lines(text)
    start = width_of(head[: head.index("TYPE")])
    kinds = {row.split()[0]: cell_at(row, start) for row in rows}
    assert {name: kind[:3] for name, kind in kinds.items()} == {
        "部署服务-deploy-service": "k8s",
        "👍-approve": "ope",
        "restart": "she",
    }
    assert "\x1b[1mNAME" in text


def cell_at(line: str, start: int) -> str:
    """What stands in a line from this cell of the terminal on."""
    for index in range(len(line)):
        if width_of(line[:index]) == start:
            return line[index:]
    return ""


def test_terminal_when_colours_are_not_wanted_then_none(server: RunningServer, tmp_path: Path) -> None:
    client = Client(tmp_path, server.url)
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in in_terminal(client, 80, "skills", "skills", "list", **variables)
    assert "\x1b" not in client.ok("skills", "skills", "list").out


def test_terminal_when_a_server_sends_control_characters_then_they_are_shown(
    server: RunningServer, tmp_path: Path
) -> None:
    client = Client(tmp_path, server.url)
    for form in ("table", "wide", "yaml", "json"):
        text = in_terminal(client, 80, "skills", "skills", "get", "👍-approve", "-o", form)
        assert "\x1b[31m" not in text
        assert re.search(r"\\x1b|\\u001b|\\e", text), form


def test_question_in_a_terminal_when_denied_then_nothing_is_done(server: RunningServer, tmp_path: Path) -> None:
    client = Client(tmp_path, server.url, ["--role", "operator"])
    text = in_terminal(client, 80, "sources", "delete", "team", "--plugin", "skills", typed="n\n")
    assert "'team'" in text
    assert "nothing was done" in text
    assert client.ok("sources", "list", "-o", "name").lines == ["team"]


def test_progress_in_a_terminal_then_one_line_that_is_wiped(server: RunningServer, tmp_path: Path) -> None:
    client = Client(tmp_path, server.url, ["--role", "operator"])
    text = in_terminal(client, 80, "refresh", "--plugin", "skills", "--wait")
    assert "\r\x1b[K" in text
    assert "succeeded" in plain_lines(text)[-1] or "State:" in text


def completed(client: Client, line: str, shell: str = "bash", program: str = "catalog-cli") -> list[str]:
    """What pressing TAB at the end of a line gives, by the script that the shell was given."""
    folder = client.home / "bin"
    folder.mkdir(exist_ok=True)
    imports = "from catalog_server.cli.client.main import main"
    (folder / program).write_text(f"#!{sys.executable}\n{imports}\nmain()\n")
    (folder / program).chmod(0o755)
    words = line.split(" ")
    function = f"_{program.replace('-', '_')}_completion"
    script = (
        f'eval "$({program} completion bash)"\nCOMP_WORDS=({" ".join(map(repr, words))})\n'
        f"COMP_CWORD={len(words) - 1}\n{function} {program}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    )
    environ = {**client.environ, "PATH": f"{folder}:{client.environ['PATH']}"}
    done = subprocess.run([shell, "--norc", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("catalog-cli so", ["sources"]),
        ("catalog-cli sources re", ["revisions"]),
        ("catalog-cli skil", ["skills"]),
        ("catalog-cli skills skills ta", ["tag"]),
        ("catalog-cli skills skills list --fil", ["--filter"]),
        ("catalog-cli skills skills list --names", ["--namespace"]),
        ("catalog-cli plugins list -o js", ["json", "jsonl"]),
        ("catalog-cli sources list --plugin poli", ["policies"]),
        ("catalog-cli jobs list --state fa", ["failed"]),
        ("catalog-cli completion z", ["zsh"]),
        ("catalogctl heal", ["health"]),
    ],
)
def test_completion_in_bash_then_commands_flags_values_and_plugins(
    server: RunningServer, tmp_path: Path, line: str, found: list[str]
) -> None:
    client = Client(tmp_path, server.url)
    client.ok("skills", "actions")  # so that the plugins have been seen
    assert completed(client, line, program=line.split()[0]) == found


def test_completion_when_the_server_is_away_then_static_commands_all_the_same(tmp_path: Path) -> None:
    client = Client(tmp_path, "http://127.0.0.1:1")
    assert completed(client, "catalog-cli stat") == ["status"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_then_the_shell_can_read_it(tmp_path: Path, shell: str) -> None:
    script = Client(tmp_path, "http://127.0.0.1:1").ok("completion", shell).out
    assert "_CATALOG_CLI_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script.encode(), check=True)


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], ("http.client", "ssl", "yaml", "email")),
        (["version", "--client"], ("yaml",)),
        (["plugins", "list"], ("yaml", "rich", "httpx", "importlib.metadata")),
    ],
)
def test_start_then_nothing_is_imported_that_is_not_needed(
    server: RunningServer, tmp_path: Path, words: Sequence[str], absent: Sequence[str]
) -> None:
    """Help and static commands start in 150 ms, calls in 400 (`make bench` measures)."""
    client = Client(tmp_path, server.url)
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], *words]
    done = subprocess.run(command, env=client.environ, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    ours = {name for name in loaded if name.startswith("catalog_server.")}
    assert {name for name in ours if not name.startswith("catalog_server.cli")} == set()
    assert loaded & {*absent, "msgspec", "sqlalchemy", "uvicorn", "numpy", "structlog"} == set()
