"""The API document against the running server: whatever the document allows, and what it does not, is tried.

All phases, all default checks and all inputs of schemathesis, by everybody: an operator changes whatever it can. Its
check that valid input is accepted is replaced by one that differs in a few kinds of answers, and one is added that
looks for what belongs to another tenant: see schemathesis_checks.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.catalog_files import write_catalog
from tests.exploring import IS_EXPLORING
from tests.http.schemathesis_checks import MARK
from tests.server import ROOT, RunningServer, running, server_environ

pytestmark = pytest.mark.hypothesis  # so that `make explore` finds it
MAX_EXAMPLES = 4
WALKS = 200
SEEDS = (1, 2, 3)
"""A machine soon takes its walks for exhausted, and then some seed leads along no link at all."""
COMMAND = (sys.executable, "-m", "schemathesis.cli", "run")
CALLERS = {
    "anonymous": (),
    "viewer": ("--header=X-Remote-User: vera", "--header=X-User-Role: viewer"),
    "operator": ("--header=X-Remote-User: otto", "--header=X-User-Role: operator"),
}
SKILLS = "/api/skills_catalog/v1alpha1/skills"
ALL_PHASES = "examples,coverage,fuzzing"
PHASES = {"operator": ALL_PHASES, "viewer": "fuzzing", "anonymous": "fuzzing"}
"""Who is refused by most routes before they look at the input need not try every boundary of it."""
MODES: dict[str, dict[str, str]] = {
    "single": {},
    "multi": {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "team-a,team-b"},
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("env", "caller"),
    # Who may change anything in both modes; the others are refused in both alike.
    [("single", "operator"), ("multi", "operator"), ("single", "anonymous"), ("multi", "viewer")],
)
def test_whole_document(tmp_path: Path, caller: str, env: str) -> None:
    shutil.copytree(ROOT / "catalog", tmp_path / "catalog")
    sources = tmp_path / "catalog/config/sources.yaml"
    if env == "multi":
        share(sources)
    with running(tmp_path / "data", sources, **MODES[env]) as server:
        if env == "multi":  # or the check of tenants would look for what is not there
            assert MARK in server.get(f"{SKILLS}?namespace=team-b").text
        run_schemathesis(server, tmp_path, PHASES[caller], *CALLERS[caller])
        assert server.get("/readyz").status_code == 200
        assert not server.logged("request failed")


def share(sources: Path) -> None:
    """What was of everybody is of team-a; team-b has one entity of each kind, which tells whose it is."""
    configuration = yaml.safe_load(sources.read_text())
    for held in configuration["catalogs"].values():
        for source in held["sources"]:
            source["namespace"] = "team-a"
        paths = [source["properties"].get("yamlCatalogPath") for source in held["sources"]]
        path = next(sources.parent / path for path in paths if path)
        document = yaml.safe_load(path.read_text())
        key = next(key for key, value in document.items() if isinstance(value, list))
        entity = {**document[key][0], "name": "of-b", "description": MARK}
        write_catalog(path.with_name("marked.yaml"), key, [entity])
        properties = {"yamlCatalogPath": str(path.with_name("marked.yaml").resolve())}
        held["sources"].append(
            {"id": "of-b", "name": MARK, "type": "yaml", "namespace": "team-b", "properties": properties}
        )
    sources.write_text(yaml.safe_dump(configuration))


def run_schemathesis(server: RunningServer, folder: Path, phases: str, *arguments: str) -> None:
    """Every operation by itself, then walks along the links of the document."""
    report = run(server, folder, f"--max-examples={MAX_EXAMPLES}", f"--phases={phases}", *arguments)
    tested = re.search(r"Tested:\s+(\d+)", report)
    methods = [method for path in server.json("/openapi.json")["paths"].values() for method in path]
    assert tested, report
    # It leaves out /openapi.json, which it takes for the description of the others.
    assert int(tested[1]) == len(methods) - 1
    # Of the thousands of links that it guesses it would make a machine too large to take a single step.
    (folder / "schemathesis.toml").write_text("[phases.stateful.inference]\nalgorithms = []\n")
    walks = ("--phases=stateful", f"--max-examples={WALKS}", *arguments)
    reports = [run(server, folder, *walks, seed=seed) for seed in SEEDS]
    walked = [re.search(r"API Links:\s+(\d+) covered", report) for report in reports]
    assert all(walked), reports
    assert sum(int(found[1]) for found in walked if found) > 0


def run(server: RunningServer, folder: Path, *arguments: str, seed: int = 1) -> str:
    found = subprocess.run(
        [
            *(*COMMAND, f"{server.url}/openapi.json", "--no-color"),
            *("--checks=all", "--exclude-checks=positive_data_acceptance", *arguments),
            *(() if IS_EXPLORING else (f"--seed={seed}",)),
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
    return report
