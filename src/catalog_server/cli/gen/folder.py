"""The folder of a plugin as it is: its manifest, the package that it is in, and what that declares."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.registry import ENTRY_POINT_GROUP, check_plugins, discover, load_announced, load_plugin
from catalog_server.cli.gen.manifest import FILE, Fault, fault_at, open_document, value_at
from catalog_server.cli.gen.versions import read_project
from catalog_server.errors import Invalid
from catalog_server.schema.yaml_places import PathStep
from catalog_server.schema.yaml_reader import Document


class PluginFolder:
    """The folder with a plugin.yaml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @cached_property
    def document(self) -> Document:
        """plugin.yaml. Raises Invalid: there is none, or it is no YAML."""
        return open_document(self.folder / FILE)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Its key `spec`; empty where that is no mapping. Raises Invalid."""
        found = value_at(self.document.value, ("spec",))
        return found if isinstance(found, dict) else {}

    @cached_property
    def project(self) -> Path:
        """The folder of the package: that with pyproject.toml, else its own."""
        folders = (self.folder, *self.folder.parents)
        return next((folder for folder in folders if (folder / "pyproject.toml").exists()), self.folder)

    @cached_property
    def package(self) -> dict[str, Any]:
        """The table [project] of pyproject.toml. Raises Invalid."""
        return read_project(self.project / "pyproject.toml")

    @cached_property
    def declared(self) -> Plugin:
        """The plugin that is declared here, checked against all others.

        Raises:
            Invalid: there is none of this name, it cannot be imported, or it cannot live with the others.
        """
        name = value_at(self.document.value, ("metadata", "name"))
        plugin = self._announced(name) or load_plugin(str(name))
        check_plugins([*(other for other in discover() if other is not plugin), plugin])
        return plugin

    def list_of(self, key: str) -> list[Any]:
        """A list in `spec`; empty where it is none."""
        found = self.spec.get(key)
        return found if isinstance(found, list) else []

    def fault_at(self, path: Sequence[PathStep], message: str) -> Fault:
        """What is wrong with a part of plugin.yaml."""
        return fault_at(self.document, path, message)

    def _announced(self, name: object) -> Plugin | None:
        """What pyproject.toml announces under this name, from the files here, whether they are installed or not."""
        points = value_at(self.package, ("entry-points", ENTRY_POINT_GROUP))
        if not isinstance(points, dict):
            return None
        sys.path[:0] = [str(self.project), str(self.project / "src")]
        plugins = [load_announced(EntryPoint(key, str(target), ENTRY_POINT_GROUP)) for key, target in points.items()]
        found = next((plugin for plugin in plugins if plugin.name == name), None)
        if found is None:
            names = ", ".join(plugin.name for plugin in plugins)
            raise Invalid(f"metadata.name is {name!r}, and pyproject.toml announces: {names}")
        return found
