"""A plugin from another package: one short module and an entry point, nothing else to touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_server.cli.conformance.runner import run
from catalog_server.cli.conformance.subject import Site
from tests.catalog_files import write_catalog, write_sources
from tests.server import SAMPLE, run_to_end, running

MODULE = '''
"""Datasets, catalogued."""

from typing import Annotated

from catalog_server.plugin_api import UNSET, Entity, Integer, Kind, Plugin, mark


class Dataset(Entity):
    """A dataset."""

    modality: Annotated[str, mark(filter=True, options=("text", "image"), width="sm", facet=True)] = ""
    rows: Annotated[Integer, mark(filter=True, width="sm")] = UNSET
    owner: Annotated[str, mark(filter=True, search=True, width="md")] = ""


plugin = Plugin(
    name="datasets",
    display_name="Datasets",
    description="Datasets for training and evaluation",
    icon="table",
    kind=Kind(name="Dataset", plural="datasets", entity=Dataset, display_name="Dataset", noun="dataset"),
)
'''
BASE = "/api/datasets_catalog/v1alpha1"
DATA = [
    {"name": "faces", "modality": "image", "rows": 100, "owner": "vision"},
    {"name": "letters", "modality": "text", "rows": 2000, "owner": "archive", "description": "Old letters"},
]


def install(folder: Path, module: str, name: str = "datasets", target: str = "ninth:plugin") -> Path:
    """What `pip install` leaves behind: a module and the metadata of its distribution."""
    (folder / "ninth.py").write_text(module)
    info = folder / "ninth-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ninth\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[catalog_server.plugins]\n{name} = {target}\n")
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


def test_the_module_is_short() -> None:
    assert len(MODULE.splitlines()) < 60


def test_ninth_plugin(tmp_path: Path, packages: Path) -> None:
    install(packages, MODULE)
    write_catalog(tmp_path / "datasets.yaml", "datasets", DATA)
    mine = write_sources(tmp_path / "s.yaml", {"datasets": [{"id": "d", "path": tmp_path / "datasets.yaml"}]})
    with running(tmp_path / "data", [SAMPLE, mine], PYTHONPATH=str(packages)) as server:  # type: ignore[arg-type]
        plugins = server.json("/api/plugins")
        assert plugins["count"] == 9
        ninth = plugins["plugins"][-1]
        assert (ninth["name"], ninth["basePath"], ninth["healthy"]) == ("datasets", BASE, True)
        assert server.readiness()[1]["components"]["plugins"]["details"] == "all 9 plugins healthy"
        (entity,) = server.json("/api/plugins/datasets/capabilities")["entities"]
        assert entity["kind"] == "Dataset"
        assert {field["name"] for field in entity["fields"]["filterFields"]} >= {"modality", "rows", "owner"}

        page = server.json(f"{BASE}/datasets")
        assert page["items"] == [{**one, "sourceId": "d"} for one in DATA]
        assert server.json(f"{BASE}/datasets/faces") == {**DATA[0], "sourceId": "d"}
        assert server.names(f"{BASE}/datasets", filterQuery="rows > 500 AND modality='text'") == ["letters"]
        assert server.names(f"{BASE}/datasets", q="archive") == ["letters"]
        assert server.names(f"{BASE}/datasets", orderBy="rows", sortOrder="DESC") == ["letters", "faces"]
        options = server.json(f"{BASE}/datasets/filter_options")["filters"]
        assert options["modality"] == {"type": "string", "values": ["image", "text"]}
        assert options["rows"] == {"type": "number", "range": {"min": 100, "max": 2000}}
        (source,) = server.json(f"{BASE}/sources")["sources"]
        assert (source["id"], source["status"]["entityCount"]) == ("d", 2)
        assert f"{BASE}/datasets/{{name}}" in server.json("/openapi.json")["paths"]
        wrong = server.get(f"{BASE}/datasets", params={"filterQuery": "rows = 'many'"})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "filterQuery")
        report = run(Site(server.url, {"X-Remote-User": "olivia", "X-User-Role": "operator"}), "datasets")
        assert [one.name for one in report.results if one.status == "failed"] == []
        assert report.count("passed") > 30


@pytest.mark.parametrize(
    ("module", "name", "target", "words"),
    [
        (MODULE.replace('name="datasets"', 'name="skills"'), "datasets", "ninth:plugin", ["'skills'", "taken"]),
        (MODULE.replace('name="Dataset"', 'name="Skill"'), "datasets", "ninth:plugin", ["'datasets'", "kind Skill"]),
        (
            MODULE.replace('plural="datasets"', 'plural="sources"'),
            "datasets",
            "ninth:plugin",
            ["'datasets'", "sources"],
        ),
        ("import nowhere_to_be_found\n", "broken", "ninth:plugin", ["'broken'", "nowhere_to_be_found"]),
        ("plugin = 1\n", "broken", "ninth:plugin", ["'broken'"]),
        ("", "broken", "ninth:plugin", ["'broken'"]),
        (MODULE, "broken", "no_such_module:plugin", ["'broken'", "no_such_module"]),
        ("def f(:\n", "broken", "ninth:plugin", ["'broken'"]),
        ("raise ValueError('at import')\n", "broken", "ninth:plugin", ["'broken'", "at import"]),
        (MODULE + "\nplugin.kind.no_such_thing()\n", "broken", "ninth:plugin", ["'broken'"]),
        (MODULE.replace("plural=", "plurl="), "broken", "ninth:plugin", ["'broken'", "plurl"]),
    ],
    ids=[
        *("name taken", "kind taken", "reserved plural", "import error", "no plugin object", "nothing", "no module"),
        *("syntax error", "fails at import", "attribute error", "wrong argument"),
    ],
)
def test_a_faulty_plugin_stops_the_start(
    tmp_path: Path, packages: Path, module: str, name: str, target: str, words: list[str]
) -> None:
    install(packages, module, name, target)
    ended = run_to_end(tmp_path / "data", "--listen=127.0.0.1:0", f"--sources={SAMPLE}", PYTHONPATH=str(packages))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("catalog-server: plugin ")
    for word in words:
        assert word in line
