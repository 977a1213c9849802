"""The API document against the running server: whatever the document allows, and what it does not, is tried.

All phases, all default checks and all inputs of schemathesis. Its check that valid input is accepted is replaced by one
that differs in a few kinds of answers, see schemathesis_checks.py. As an operator it changes whatever it can: that one
has a configuration of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exploring import IS_EXPLORING
from tests.server import ROOT, RunningServer, running, server_environ

pytestmark = pytest.mark.hypothesis  # so that `make explore` finds it
MAX_EXAMPLES = 4
SEED = () if IS_EXPLORING else ("--seed=1",)
READS = ("--include-method=GET",)
"""For a viewer the rest is 403 before anything is looked at: see test_roles.py."""
COMMAND = (sys.executable, "-m", "schemathesis.cli", "run")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_single_tenant(running_server: RunningServer, tmp_path: Path) -> None:
    run_schemathesis(running_server, tmp_path, *READS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_multi_tenant(tmp_path: Path) -> None:
    env = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "default,team-a"}
    with running(tmp_path / "data", **env) as server:  # type: ignore[arg-type]
        run_schemathesis(server, tmp_path, *READS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "env", [{}, {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "default,team-a"}], ids=["single", "multi"]
)
def test_operator(tmp_path: Path, env: dict[str, str]) -> None:
    shutil.copytree(ROOT / "catalog", tmp_path / "catalog")
    with running(tmp_path / "data", tmp_path / "catalog/config/sources.yaml", **env) as server:  # type: ignore[arg-type]
        run_schemathesis(server, tmp_path, "--header=X-User-Role: operator")
        assert server.get("/readyz").status_code == 200
        assert not server.logged("request failed")


def run_schemathesis(server: RunningServer, folder: Path, *arguments: str) -> None:
    found = subprocess.run(
        [
            *(*COMMAND, f"{server.url}/openapi.json", f"--max-examples={MAX_EXAMPLES}", "--no-color"),
            *("--checks=all", "--exclude-checks=positive_data_acceptance", *SEED, *arguments),
        ],
        env={
            **server_environ(folder),
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.http.schemathesis_checks",
        },
        cwd=folder,  # it keeps files beside itself
        capture_output=True,
        text=True,
        check=False,
    )
    # Lines of a kilobyte are hostile input; the reason stands in the short ones.
    report = "\n".join(line[:300] for line in found.stdout.splitlines())
    assert found.returncode == 0, report + found.stderr
    tested = re.search(r"Tested:\s+(\d+)", found.stdout)
    methods = [method for path in server.json("/openapi.json")["paths"].values() for method in path]
    # Without a choice of methods it leaves out /openapi.json, which it takes for the description of the others.
    operations = methods.count("get") if READS[0] in arguments else len(methods) - 1
    assert tested, report
    assert int(tested[1]) == operations
