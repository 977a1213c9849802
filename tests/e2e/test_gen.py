"""catalog-gen: what it writes works as it is, and what it checks can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from catalog_server.catalog.registry import discover
from catalog_server.cli.gen.checks import BASELINE, GOVERNANCE
from tests.server import ROOT

COMMAND = [sys.executable, "-c", "from catalog_server.cli.gen.main import main; main()"]
PLUGINS = ROOT / "src/catalog_server/plugins"


def gen(*words: str | Path, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], **({} if packages is None else {"PYTHONPATH": str(packages)})}
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, env=environ)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def installed(folder: Path) -> Path:
    """As `pip install -e` leaves it: the module and the metadata of its distribution."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["catalog_server.plugins"]
    lines = "".join(f"{name} = {target}\n" for name, target in points.items())
    (info / "entry_points.txt").write_text(f"[catalog_server.plugins]\n{lines}")
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    done = gen("init", "ship-manifests", "--entity", "ShipManifest", "--output", tmp_path / "mine")
    assert (done.returncode, done.stderr) == (0, "")
    return installed(tmp_path / "mine")


def test_a_new_package_passes_its_own_tests_and_all_checks(package: Path) -> None:
    """The tests start a server with the plugin and run the conformance checks on it."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--rootdir={package}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(package)],
        capture_output=True,
        text=True,
        check=False,
        cwd=package,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package)},
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    checked = gen("validate", "--governance", package, packages=package)
    assert checked.returncode == 0, checked.stdout
    assert f"{len(BASELINE) + len(GOVERNANCE)} of {len(BASELINE) + len(GOVERNANCE)} checks passed" in checked.stdout


def test_a_new_package_is_tidy(package: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,W"]
    done = subprocess.run([*ruff, str(package)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(package: Path) -> None:
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}
    done = gen("init", "ship-manifests", "--entity", "ShipManifest", "--output", package)
    assert done.returncode == 1
    assert done.stderr == f"Error: output: {package} is there already, and not empty\n"
    assert {path: path.read_bytes() for path in package.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["init", "Bad Name", "--entity", "Good"], 1, "Error: name: must be lower-case words"),
        (["init", "good", "--entity", "bad"], 1, "Error: entity: must be a word in camel case"),
        (["init", "good"], 2, "Missing option '--entity'"),
        (["bump-version", "huge"], 2, "'huge' is not one of"),
        (["validate", "no/such/folder"], 2, "does not exist"),
    ],
)
def test_wrong_words_are_refused(tmp_path: Path, words: list[str], status: int, reason: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == status
    assert reason in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [plugin.name for plugin in discover()])
def test_built_in_plugins_are_valid(name: str) -> None:
    found = json.loads(gen("validate", "--governance", "-o", "json", PLUGINS / name).stdout)
    assert [one for one in found["checks"] if not one["passed"]] == []
    assert found["passed"] is True
    assert len(found["checks"]) == len(BASELINE) + len(GOVERNANCE)


SPOILT = {
    "plugin.yaml": ("plugin.yaml", "kind: CatalogPlugin", "kind: Other"),
    "declaration": ("plugin.yaml", "displayName: Ship Manifests", "displayName: Other"),
    "ui hints": ("catalog_ship_manifests.py", 'width="md", ', ""),
    "conformance tests": ("tests/test_conformance.py", "def test_", "def check_"),
    "documentation": ("README.md", "", None),
    "compatibility": ("plugin.yaml", "      minVersion: 0.9.0\n", ""),
    "ownership": ("plugin.yaml", "    - team: ai-platform\n", "    []\n"),
    "license": ("plugin.yaml", "  license: Apache-2.0\n", ""),
}


@pytest.mark.parametrize("check", [*BASELINE, *GOVERNANCE])
def test_a_check_can_fail(package: Path, check: str) -> None:
    file, old, new = SPOILT[check]
    path = package / file
    if new is None:
        path.unlink()
    else:
        assert old in path.read_text()
        text = path.read_text().replace(old, new)
        path.write_text(text.replace('width="sm", ', "") if check == "ui hints" else text)
    done = gen("validate", "--governance", package, packages=package)
    assert done.returncode == 1
    assert f"[FAIL] {check} -- " in done.stdout, done.stdout


def test_a_plugin_that_is_not_installed_is_said(package: Path) -> None:
    shutil.rmtree(next(package.glob("*.dist-info")))
    done = gen("validate", package)
    assert "[FAIL] declaration -- plugin 'ship_manifests' is not installed" in done.stdout


def test_a_fault_in_the_manifest_has_its_line(package: Path) -> None:
    path = package / "plugin.yaml"
    path.write_text(path.read_text().replace("displayName:", "displayNmae:"))
    done = gen("validate", package, packages=package)
    assert (
        f'{path.resolve()}:8:3: spec.displayNmae: unknown key "displayNmae": did you mean "displayName"?' in done.stdout
    )


def test_versions_are_raised(package: Path) -> None:
    assert gen("bump-version", "minor", "--dir", package).stdout == "0.1.0 -> 0.2.0\n"
    assert "version: 0.2.0 # raised by `catalog-gen bump-version`\n" in (package / "plugin.yaml").read_text()
    assert 'version = "0.2.0"\n' in (package / "pyproject.toml").read_text()


def test_index_entries_are_as_their_schema_says() -> None:
    folder = ROOT / "deploy/plugin-index"
    schema = yaml.safe_load((folder / "schema.yaml").read_text())
    entries = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml") if path.stem != "schema"}
    assert set(entries) == {plugin.name for plugin in discover()}
    for entry in entries.values():
        jsonschema.validate(entry, schema)
        broken = {**entry, "spec": {**entry["spec"], "tier": "best"}}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


def test_the_schema_is_printed() -> None:
    printed = json.loads(gen("schema").stdout)
    assert printed == json.loads((ROOT / "docs/reference/plugin.schema.json").read_text())
