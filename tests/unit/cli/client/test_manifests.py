"""Files of sources in all their shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode, Failure, Usage
from catalog_server.cli.client.manifests import Manifest, read_manifests

PLUGINS = [
    Plugin({"name": "model", "basePath": "/m", "capabilitiesV2": {"entities": [{"plural": "models"}]}}),
    Plugin({"name": "skills", "basePath": "/s", "capabilitiesV2": {"entities": [{"plural": "skills"}]}}),
]


def read(folder: Path, text: str, plugin: str = "", namespace: str = "") -> list[Manifest]:
    (folder / "file.yaml").write_text(text)
    return read_manifests([str(folder / "file.yaml")], PLUGINS, plugin, namespace)


def keys(found: list[Manifest]) -> list[str]:
    return [str(one) for one in found]


def test_file_when_it_is_a_sources_file_then_sections_are_plugins(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "apiVersion: catalog/v1alpha1\nkind: CatalogSources\ncatalogs:\n"
        "  models: {labels: [], sources: [{id: a, name: A, includedModels: ['x*']}]}\n  skills: {sources: [{id: b}]}\n",
    )
    assert keys(found) == ["model/a", "skills/b"]
    assert found[0].fields == {"id": "a", "name": "A", "includedItems": ["x*"]}


def test_file_when_it_holds_documents_and_lists_then_all_of_them(tmp_path: Path) -> None:
    text = (
        "---\nplugin: skills\nid: a\nlabels: [no, on]\n---\n- {plugin: skills, id: b}\n- {plugin: model, id: c}\n---\n"
    )
    found = read(tmp_path, text)
    assert keys(found) == ["skills/a", "skills/b", "model/c"]
    assert found[0].fields["labels"] == ["no", "on"]


def test_file_when_it_is_what_get_prints_then_the_state_is_left_out(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path, '{"plugin": "skills", "id": "a", "enabled": true, "status": {"state": "x"}, "labels": null}'
    )
    assert found.fields == {"id": "a", "enabled": True}


def test_file_when_it_is_what_list_prints_then_all_sources(tmp_path: Path) -> None:
    assert keys(read(tmp_path, "sources: [{plugin: skills, id: a}]\ncount: 1\n")) == ["skills/a"]


def test_file_when_it_names_no_plugin_then_the_flag_does(tmp_path: Path) -> None:
    assert keys(read(tmp_path, "id: a", plugin="model")) == ["model/a"]


def test_folder_then_its_files_by_name(tmp_path: Path) -> None:
    for name, source in (("b.yaml", "b"), ("a.json", "a"), ("c.yml", "c"), ("d.txt", "d")):
        (tmp_path / name).write_text(f'{{"plugin": "skills", "id": "{source}"}}')
    assert keys(read_manifests([str(tmp_path)], PLUGINS)) == ["skills/a", "skills/b", "skills/c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: a", "names no `plugin`"),
        ("{plugin: nope, id: a}", "no plugin 'nope'"),
        ("{plugin: skills}", "without an `id`"),
        ("{plugin: skills, id: 7}", "without an `id`"),
        ("just text", "neither a source"),
        ("catalogs: [1]", "no mapping"),
        ("catalogs: {skills: {sources: [1]}}", "without an `id`"),
        ("{plugin: skills, id: a}\n---\n{plugin: skills, id: a}", "is in .* already"),
        ("a: [", r"file\.yaml:\d"),
    ],
)
def test_file_when_wrong_then_a_failure_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Failure, match=words) as caught:
        read(tmp_path, text)
    assert caught.value.code == ExitCode.INVALID
    assert "file.yaml" in caught.value.message


@pytest.mark.parametrize("text", ["", "---\n", "[]", "catalogs: {}", "catalogs: {skills: {labels: []}}"])
def test_file_when_it_holds_no_source_then_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(Failure, match="no source in"):
        read(tmp_path, text)


def test_source_when_of_another_namespace_then_it_is_not_applied_here(tmp_path: Path) -> None:
    text = "{plugin: skills, id: a, namespace: red}"
    assert read(tmp_path, text, namespace="red")[0].fields == {"id": "a"}
    with pytest.raises(Usage, match="-n red"):
        read(tmp_path, text, namespace="blue")


def test_file_when_it_cannot_be_read_then_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"id: \xff")
    (tmp_path / "empty").mkdir()
    for name in ("missing.yaml", "latin.yaml", "empty"):
        with pytest.raises(Usage, match=name):
            read_manifests([str(tmp_path / name)], PLUGINS)
