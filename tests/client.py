"""Runs `catalog-cli` as a user would: a process of its own, with a home of its own and nothing else of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 30.0
COMMAND = (sys.executable, "-m", "catalog_server.cli.client.main")


@dataclass(frozen=True)
class Done:
    """A command that has ended. No output of any command may ever hold a stack trace."""

    words: Sequence[str]
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error object on stderr, which stdout has, too."""
        found: dict[str, Any] = json.loads(self.err)["error"]
        assert json.loads(self.out)["error"] == found
        return found

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def __str__(self) -> str:
        return f"catalog-cli {' '.join(self.words)}: status {self.status}\n{self.out}\n{self.err}"


@dataclass
class Client:
    """`catalog-cli` for one server. `flags` stand in each command line."""

    home: Path
    url: str
    flags: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "CATALOG_SERVER": self.url, **self.variables}

    def run(self, *words: str, stdin: str = "", status: int | None = None) -> Done:
        """Run a command to its end; where `status` is given, it must be that one."""
        ended = subprocess.run(
            [*COMMAND, *self.flags, *words],
            env=self.environ,
            input=stdin.encode(),
            capture_output=True,
            cwd=self.home,
            timeout=SECONDS,
            check=False,
        )
        done = Done(words, ended.returncode, ended.stdout.decode(), ended.stderr.decode())
        assert "Traceback" not in done.out + done.err, done
        assert "internal error" not in done.out + done.err, done
        assert status in (None, done.status), done
        return done

    def ok(self, *words: str, stdin: str = "") -> Done:
        return self.run(*words, stdin=stdin, status=0)
