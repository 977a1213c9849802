"""The package of docs/how-to/add-a-plugin.md, as it stands there: installed beside the server, its plugin is found."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from catalog_server.catalog.registry import ENTRY_POINT_GROUP
from tests.docs.pages import blocks_of

PAGE = "docs/how-to/add-a-plugin.md"
LIST_PLUGINS = "from catalog_server.catalog.registry import discover; print(*(p.name for p in discover()))"


def test_package_when_installed_then_its_plugin_is_listed_last(tmp_path: Path) -> None:
    """The module and the entry point of the page make a ninth plugin."""
    blocks = list(blocks_of(PAGE))
    module = next(block for block in blocks if block.language == "python")
    project = tomllib.loads(next(block.text for block in blocks if block.language == "toml"))["project"]
    announced = project["entry-points"][ENTRY_POINT_GROUP]
    (tmp_path / "datasets_plugin.py").write_text(module.text)
    _install(tmp_path, project["name"], project["version"], announced)

    found = subprocess.run(
        [sys.executable, "-c", LIST_PLUGINS],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert len(found) == 9
    assert found[-1] == "datasets"


def test_plugin_when_counted_then_is_short() -> None:
    """A whole plugin is fewer than 60 lines."""
    module = next(block for block in blocks_of(PAGE) if block.language == "python")
    assert len(module.text.splitlines()) < 60


def _install(folder: Path, name: str, version: str, announced: dict[str, str]) -> None:
    """What an installer leaves of a package that matters here."""
    described = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[{ENTRY_POINT_GROUP}]", *(f"{key} = {value}" for key, value in announced.items()), ""]
    (described / "entry_points.txt").write_text("\n".join(lines))
