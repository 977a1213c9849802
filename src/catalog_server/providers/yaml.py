"""The `yaml` provider: one local catalog file, or inline content (spec plugins.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog_server.errors import Invalid
from catalog_server.providers.base import Fetched, FetchedFile, FileAccess
from catalog_server.providers.properties import blame

PATH_KEYS = ("yamlCatalogPath", "path")


class YAMLProvider:
    """Reads `properties.yamlCatalogPath` (or `path`), or takes `properties.content`."""

    is_remote = False
    takes_globs = False

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        if self._content(properties) is None:
            key, given = self._path(properties)
            with blame(key):
                files.resolve(given)

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        content = self._content(properties)
        if content is not None:
            return Fetched((FetchedFile("content", content.encode("utf-8", "surrogatepass")),))
        # Messages name the file as the configuration does: clients need not know where it lies on this machine.
        key, given = self._path(properties)
        with blame(key):
            return Fetched((FetchedFile(given, files.read(files.resolve(given))),))

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        if "content" in properties:
            return ()
        key, given = self._path(properties)
        with blame(key):
            return (files.locate(given),)

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        return None

    @staticmethod
    def _content(properties: Mapping[str, Any]) -> str | None:
        content = properties.get("content")
        if content is not None and not isinstance(content, str):
            raise Invalid("must be text", field="properties.content", code="property_type")
        return content

    @staticmethod
    def _path(properties: Mapping[str, Any]) -> tuple[str, str]:
        """The key that names the file, and what it says."""
        for key in PATH_KEYS:
            value = properties.get(key)
            if value is None:
                continue
            if not isinstance(value, str) or not value:
                raise Invalid("must be the path of a file", field=f"properties.{key}", code="property_type")
            return key, value
        raise Invalid(
            "required: the path of the catalog file", field="properties.yamlCatalogPath", code="property_required"
        )
