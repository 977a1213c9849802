"""catalog-gen: what it writes works as it is, and what it checks can fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from catalog_server.catalog.registry import discover
from catalog_server.cli.gen.checks import BASELINE, GOVERNANCE
from tests.server import ROOT, SAMPLE, running

COMMAND = [sys.executable, "-c", "from catalog_server.cli.gen.main import main; main()"]
PLUGINS = ROOT / "src/catalog_server/plugins"


def gen(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, env=environ)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def package(tmp_path: Path) -> Path:
    done = gen("init", "ship-manifests", "--entity", "ShipManifest", "--output", tmp_path / "mine")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "mine"


@pytest.fixture
def site(package: Path, tmp_path: Path) -> Path:
    """What `pip install` makes of the package, without a network: the tools to build it are there."""
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "site"), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return tmp_path / "site"


def test_a_new_package_passes_its_own_tests_once_installed(package: Path, site: Path) -> None:
    """The tests start a server with the plugin, run the conformance checks on it, and validate the package."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--rootdir={package}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(package)],
        capture_output=True,
        text=True,
        check=False,
        cwd=package,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_server_beside_which_it_is_installed_serves_it(package: Path, site: Path, tmp_path: Path) -> None:
    sources = [SAMPLE, package / "testdata/sources.yaml"]
    with running(tmp_path / "data", sources, PYTHONPATH=str(site)) as server:
        assert server.json("/api/plugins")["count"] == 9
        base = "/api/ship_manifests_catalog/v1alpha1"
        assert server.names(f"{base}/shipmanifests") == ["sample-1", "sample-2", "sample-3"]
        assert server.names(f"{base}/shipmanifests", filterQuery="owner='Data team'") == ["sample-2"]
        (source,) = server.json(f"{base}/sources")["sources"]
        assert (source["status"]["state"], source["status"]["entityCount"]) == ("available", 3)


def test_a_new_package_is_valid_before_it_is_installed(package: Path) -> None:
    checked = gen("validate", "--governance", package)
    assert checked.returncode == 0, checked.stdout
    assert f"{len(BASELINE) + len(GOVERNANCE)} of {len(BASELINE) + len(GOVERNANCE)} checks passed" in checked.stdout


def test_a_package_with_other_names_is_valid(tmp_path: Path) -> None:
    """A plural that is not the kind with an s; a name of one letter."""
    assert gen("init", "p", "--entity", "Party", "--plural", "parties", "--output", tmp_path / "p").returncode == 0
    assert (tmp_path / "p/testdata/parties.yaml").exists()
    checked = gen("validate", "--governance", tmp_path / "p")
    assert checked.returncode == 0, checked.stdout


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
        (["init", "null", "--entity", "Good"], 1, "Error: name: must be"),
        (["init", "good", "--entity", "True"], 1, "Error: entity: must be"),
        (["init", "good", "--entity", "Plugin"], 1, "Error: entity: Plugin is a name of the plugin API"),
        (["init", "good", "--entity", "Annotated"], 1, "Error: entity: Annotated is a name of the plugin API"),
        (["init", "good", "--entity", "Good", "--plural", "Goods"], 1, "Error: plural: must be a lower-case word"),
        (["init", "good", "--entity", "Label"], 1, "the plural 'labels' is a route of every plugin"),
        (["init", "mcp", "--entity", "Good"], 1, "'name mcp' is taken by plugin 'mcp'"),
        (["init", "good", "--entity", "Skill"], 1, "'kind Skill' is taken by plugin 'skills'"),
        (["init", "good", "--entity", "Good", "--output", "/proc/nowhere"], 1, "Error: /proc/nowhere"),
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
    "plugin.yaml": ("plugin.yaml", "kind: CatalogPlugin", "kind: 'Catalog"),
    "plugin.yaml fields": ("plugin.yaml", "kind: CatalogPlugin", "kind: Other"),
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
    done = gen("validate", "--governance", package)
    assert done.returncode == 1
    assert f"[FAIL] {check}\n       {package}/" in done.stdout, done.stdout
    if check != "plugin.yaml":  # of which nothing can be read then
        failed = set(re.findall(r"^\[FAIL\] (.*)$", done.stdout, re.MULTILINE)) - {"plugin.yaml fields"}
        assert failed <= {check}


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("plugin.yaml", "minVersion: 0.9.0", "minVersion: 99.1.x", "minVersion: is 99.1.x; this is"),
        ("plugin.yaml", "maxVersion: 1.x", "maxVersion: 0.8.x", "maxVersion: is 0.8.x; this is"),
        ("plugin.yaml", "frameworkApi: v1alpha1", "frameworkApi: v2", "frameworkApi: must be v1alpha1, not 'v2'"),
        ("plugin.yaml", "version: 0.1.0", "version: 0.2.0", "spec.version: must be that of pyproject.toml, 0.1.0"),
        (
            "plugin.yaml",
            "[yaml, git, http]",
            "[yaml]",
            "spec.providers: must be those of the declaration: git, http, yaml",
        ),
        ("plugin.yaml", "name: ship_manifests", "name: boats", "'boats', and pyproject.toml announces: ship_manifests"),
        ("pyproject.toml", "[project.entry", "[project.entri", "plugin 'ship_manifests' is not installed"),
        ("pyproject.toml", "[project]", "[project", "pyproject.toml: cannot be read"),
        ("catalog_ship_manifests.py", "import Entity", "import Entiti", "cannot be imported: ImportError"),
        (
            "catalog_ship_manifests.py",
            'name="ShipManifest"',
            'name="Skill"',
            "'kind Skill' is taken by plugin 'skills'",
        ),
        ("tests/test_conformance.py", "def names", "def (names", "tests/test_conformance.py:34:5: invalid syntax"),
    ],
)
def test_a_fault_is_said_with_its_reason(package: Path, file: str, old: str, new: str, said: str) -> None:
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = gen("validate", "--governance", package)
    assert done.returncode == 1
    assert said in done.stdout, done.stdout


def test_files_that_cannot_be_read_are_said(package: Path) -> None:
    (package / "README.md").write_bytes(b"\xff\xfe")
    (package / "tests/test_conformance.py").write_bytes(b"\0")
    (package / "plugin.yaml").unlink()
    report = json.loads(gen("validate", "--governance", "-o", "json", package).stdout)
    reasons = {one["name"]: one.get("message", "") for one in report["checks"]}
    assert "cannot be read: No such file or directory" in reasons["plugin.yaml"]
    assert "cannot be read" in reasons["documentation"]
    assert reasons["conformance tests"]


def test_faults_in_the_manifest_have_their_places_for_people_and_programs(package: Path) -> None:
    path = package / "plugin.yaml"
    path.write_text(path.read_text().replace("displayName:", "displayNmae:").replace("Apache-2.0", "[]"))
    said = gen("validate", package).stdout
    assert f'{path}:8:3: spec.displayNmae: unknown key "displayNmae": did you mean "displayName"?\n' in said
    report = json.loads(gen("validate", "-o", "json", package).stdout)
    (fields,) = (one for one in report["checks"] if one["name"] == "plugin.yaml fields")
    assert (report["pluginDir"], report["passed"], fields["passed"]) == (str(package), False, False)
    assert [(one["field"], one["line"], one["column"]) for one in fields["problems"]] == [
        ("spec.displayNmae", 8, 3),
        ("spec.license", 19, 3),
        ("spec.displayName", 7, 1),
    ]
    assert {one["file"] for one in fields["problems"]} == {str(path)}


def test_what_a_terminal_would_obey_is_shown(package: Path) -> None:
    path = package / "plugin.yaml"
    path.write_text(path.read_text() + '"\\e[31mred": 1\n')
    said = gen("validate", package).stdout
    assert "\x1b" not in said
    assert "\\x1b[31mred" in said


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
