"""Runs the console blocks of one page, as a reader would who types them in.

- A page's blocks run in order, in a copy of the checkout, so that nothing that a page does reaches the real one. The
  environment `.venv` is a link, and must not be written to.
- `$ command`, continued after a backslash at the end of a line; what follows is its output. `...` stands for any text,
  alone on a line for any lines. A command without output shown must succeed.
- Assignments and functions (`X=…`, `f() { …; }`) stay in force for the rest of the page.
- `localhost:8080` is the server of the sample catalog, which is running already. A command that starts a server runs
  on in the background until the page ends, on a port of its own that stands for the one that the page names.
- A page that has its own server may change files under it: a command is tried again until its output is the one shown.
- What must not run in a test (it installs, needs a container, or is a whole test run) stands in `NOT_RUN`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs.pages import ROOT, Block

NOT_RUN: Mapping[str, str] = {
    r"make( |$)": "a whole run of its own; the target must exist in the Makefile",
    r"git ": "the reader's own checkout",
    r"docker ": "needs a container engine; tests/e2e/test_image.py follows the steps of the image without one",
    r"kubectl ": "needs a cluster; tests/deploy holds the manifests to the schemas",
    r"cd ": "the block runs in the right folder already",
    r"\.venv/bin/uv ": "installs into the environment",
    r"\.venv/bin/python tools/services\.py ": "installs and starts database servers; has tests of its own",
    r"\.venv/bin/python -m pytest": "a whole run of its own",
}
_COPIED = ("catalog", "docs", "src", "tools")
_DEFINITION = re.compile(r"[A-Za-z_]+=(\S*|\$\(.*\))$|[A-Za-z_]+\(\) \{.*\}$")
_SERVER = re.compile(r"(^|\s)(\.venv/bin/)?catalog-server (?!--help|--version)")
_READY = re.compile(rb'"event":"ready"|\] ready')
_PORT = re.compile(r"(localhost|127\.0\.0\.1)?:(808[1-9])\b")
_START_SECONDS, _RETRY_SECONDS, _COMMAND_SECONDS = 60.0, 20.0, 30.0


class Shell:
    """The reader of one page. `close` it when done."""

    def __init__(self, folder: Path, sample_address: str, replacements: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._replacements = {"localhost:8080": sample_address, **(replacements or {})}
        self._definitions: list[str] = []
        self._ports: dict[str, str] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        for name in _COPIED:
            # Compiled files that another process is just writing have a number at the end.
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def close(self) -> None:
        for server in self._servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
        for server in self._servers:
            server.wait(_START_SECONDS)

    def write(self, block: Block) -> None:
        """Make the file that a block is."""
        assert block.file is not None
        target = self.folder / block.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")

    def run(self, block: Block) -> None:
        """Run a console block. Raises AssertionError where the output is another than shown."""
        for command, expected in commands_of(block):
            if is_run(command):
                self._run_one(block.place, self._adapt(command), self._adapt(expected))

    def _adapt(self, text: str) -> str:
        for shown, real in self._replacements.items():
            text = text.replace(shown, real)
        return _PORT.sub(lambda found: f"{found[1] or ''}:{self._port(found[2])}", text)

    def _port(self, shown: str) -> str:
        if shown not in self._ports:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._ports[shown] = str(free.getsockname()[1])
        return self._ports[shown]

    def _run_one(self, place: str, command: str, expected: str) -> None:
        if _DEFINITION.fullmatch(command):
            self._definitions.append(command)
            return
        deadline = time.monotonic() + (_RETRY_SECONDS if self._servers else 0)
        while True:
            status, output = self._serve(command) if _SERVER.search(command) else self._call(command)
            if expected and matches(expected, output):
                return
            if not expected and status == 0:
                return
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{place}: $ {command}\n--- shown\n{expected}\n--- real, status {status}\n{output}"
                )
            time.sleep(0.2)

    def _call(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", "\n".join([*self._definitions, command])],
            cwd=self.folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def _serve(self, command: str) -> tuple[int, str]:
        """Start a server; return when it is ready (status 0) or has ended."""
        log = self.folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", "\n".join([*self._definitions, f"exec env {command}"])],
                cwd=self.folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while server.poll() is None and not _READY.search(log.read_bytes()):
            assert time.monotonic() < deadline, f"$ {command}: not ready\n{log.read_text()}"
            time.sleep(0.05)
        if server.returncode is None:
            self._servers.append(server)
        return server.returncode or 0, log.read_text()

    def _environ(self) -> dict[str, str]:
        """A reader's: nothing of the machine's settings, and the server of this folder where the page changes it."""
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        path = [str(Path(sys.executable).parent), os.environ["PATH"]]
        if shutil.which("curl") is None:
            path.insert(0, str(self._stand_in()))
        return {**kept, "PATH": ":".join(path), "HOME": str(self.folder), "PYTHONPATH": str(self.folder / "src")}

    def _stand_in(self) -> Path:
        """A folder with a small `curl`, for machines that have none."""
        folder = self.folder / ".stand-in"
        if not folder.exists():
            folder.mkdir()
            program = folder / "curl"
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/docs/curl.py "$@"\n')
            program.chmod(0o755)
        return folder


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """(command, shown output) of a console block."""
    command, output = "", ""
    for line in block.text.splitlines(keepends=True):
        if command.endswith("\\\n"):
            command += line
        elif line.startswith("$ "):
            if command:
                yield command.strip(), output
            command, output = line[2:], ""
        else:
            output += line
    assert command, f"{block.place}: a console block starts with a command, `$ …`"
    yield command.strip(), output


def is_run(command: str) -> bool:
    return not any(re.match(pattern, command) for pattern in NOT_RUN)


def matches(expected: str, output: str) -> bool:
    """Whether the output is the one shown, with `...` for anything."""
    pattern = ""
    for line in expected.strip("\n").splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(map(re.escape, line.split("..."))) + "\n"
    return re.fullmatch(pattern, output.strip("\n") + "\n") is not None
