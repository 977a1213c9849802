"""Names of assets."""

from __future__ import annotations

import pytest

from catalog_server.errors import Invalid
from catalog_server.governance.asset import AssetRef


@pytest.mark.parametrize("name", ["github", "org/model:7b", "ünal_x-y", "a\u202eb", "x" * 512])
def test_what_names_an_asset(name: str) -> None:
    assert AssetRef("mcp", "mcpserver", name).uid == f"mcp:mcpserver:{name}"


@pytest.mark.parametrize(
    ("plugin", "kind", "name", "field"),
    [
        ("m:cp", "k", "n", "plugin"),
        ("", "k", "n", "plugin"),
        ("p", "-k", "n", "kind"),
        ("p", "k" * 64, "n", "kind"),
        ("p\n", "k", "n", "plugin"),
        ("p", "k", "", "name"),
        ("p", "k", " ", "name"),
        ("p", "k", "x" * 513, "name"),
        ("p", "k", "a\0b", "name"),
        ("p", "k", " a", "name"),
        ("p", "k", "a\u00a0", "name"),
        ("p", "k", "a\n", "name"),
        ("p", "k", "a\x85b", "name"),
    ],
)
def test_what_names_none(plugin: str, kind: str, name: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        AssetRef(plugin, kind, name)
    assert caught.value.field == field
