"""Plugin: a named group of kinds with a base path of its own. Data, not code (style-anchors.md 2.4)."""

from __future__ import annotations

from dataclasses import dataclass

from catalog_server.schema.kind import Kind

API_VERSION = "v1alpha1"
SOURCE_TYPES = ("yaml", "git", "http")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin folder (or a package with an entry point in `catalog_server.plugins`) declares."""

    name: str
    display_name: str
    description: str
    icon: str
    kind: Kind
    version: str = API_VERSION
    section: str = ""
    """Section of sources.yaml; by default the plugin's name."""
    source_types: tuple[str, ...] = SOURCE_TYPES
    """Provider types that its sources may have."""

    @property
    def section_key(self) -> str:
        return self.section or self.name

    @property
    def base_path(self) -> str:
        return f"/api/{self.name}_catalog/{self.version}"

    @property
    def list_path(self) -> str:
        return f"{self.base_path}/{self.kind.plural}"

    @property
    def entity_path(self) -> str:
        """The template of one entity: names with slashes are told apart by their source first (spec plugins.md 1.1)."""
        if self.kind.slashes_in_names:
            return f"{self.base_path}/sources/{{source_id}}/{self.kind.plural}/{{name...}}"
        return f"{self.list_path}/{{name}}"
