"""plugin.yaml: what is wrong with it is said with file, line and field; its schema says the same."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from catalog_server.cli.gen.manifest import faults_of, open_document, read_manifest, schema
from catalog_server.errors import Invalid

GOOD = """\
apiVersion: catalog.kubeflow.org/v1alpha1
kind: CatalogPlugin
metadata: {name: datasets}
spec:
  displayName: Datasets
  description: All of them
  version: 1.2.3
  owners: [{team: data, contact: data@example.com}]
  compatibility: {catalogServer: {minVersion: 0.9.0, maxVersion: 1.x}, frameworkApi: v1alpha1}
  providers: [yaml]
  license: Apache-2.0
  repository: https://example.com/datasets
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plugin.yaml"
    path.write_text(text)
    return path


def test_a_good_one_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, GOOD))
    assert manifest.metadata.name == "datasets"
    assert manifest.spec.owners[0].contact == "data@example.com"
    jsonschema.validate(yaml.safe_load(GOOD), schema())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: CatalogPlugin", "kind: Catalog", ["plugin.yaml:2:", "kind", "Catalog"]),
        ("displayName: Datasets", "dispalyName: Datasets", [":5:", "spec.dispalyName", 'did you mean "displayName"']),
        ("team: data", "tema: data", [":8:", "spec.owners[0].tema", 'did you mean "team"']),
        ("version: 1.2.3", "version: 1.2", [":7:", "spec.version"]),
        ("version: 1.2.3", "version: 1.2.3-rc1", [":7:", "spec.version"]),
        ("version: 1.2.3", "version: 12", [":7:", "spec.version"]),
        ("owners: [{team: data, contact: data@example.com}]", "owners: []", [":8:", "spec.owners"]),
        ("frameworkApi: v1alpha1", "x: 1", [":9:", "spec.compatibility"]),
        ("providers: [yaml]", "providers: []", [":10:", "spec.providers"]),
        ("providers: [yaml]", "providers: yaml", [":10:", "spec.providers"]),
        ("  description: All of them\n", "", ["spec", "description"]),
        ("name: datasets", "name: Data Sets", [":3:", "metadata.name"]),
        ("minVersion: 0.9.0", "minVersion: soon", [":9:", "minVersion"]),
        ("maxVersion: 1.x", "maxVersion: 1.x.3", [":9:", "maxVersion"]),
        ("description: All of them", "description:", [":6:", "spec.description", "must not be empty"]),
        ("displayName: Datasets", "displayName: 5", [":5:", "spec.displayName", "must be text, not 5"]),
        (GOOD, "- a\n", ["plugin.yaml:1:1"]),
        (GOOD, "", ["plugin.yaml:1:1: must be a mapping with the keys apiVersion, kind"]),
    ],
)
def test_a_fault_is_said_with_its_place(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    with pytest.raises(Invalid) as caught:
        read_manifest(write(tmp_path, text))
    for word in words:
        assert word in caught.value.message
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), schema())


@pytest.mark.parametrize(
    ("least", "most"), [("0.9.0", "0.8.0"), ("2.x", "1.x"), ("2.0.1", "2.0.0"), ("1.10.0", "1.9.x")]
)
def test_bounds_must_not_cross(tmp_path: Path, least: str, most: str) -> None:
    text = GOOD.replace("minVersion: 0.9.0", f"minVersion: {least}").replace("maxVersion: 1.x", f"maxVersion: {most}")
    with pytest.raises(Invalid, match=r":9:.*maxVersion: is below minVersion"):
        read_manifest(write(tmp_path, text))


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("kind: CatalogPlugin", "kind: Other").replace("license", "licence").replace("team", "tema")
    found = [
        (one.field, one.location.line, one.location.column) for one in faults_of(open_document(write(tmp_path, text)))
    ]
    assert sorted(found) == [
        ("kind", 2, 1),
        ("spec.licence", 11, 3),
        ("spec.owners[0].team", 8, 12),
        ("spec.owners[0].tema", 8, 13),
    ]


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "a: !!python/object:os.system x"])
def test_what_is_no_yaml_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match=r"plugin\.yaml"):
        read_manifest(write(tmp_path, text))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_manifest(tmp_path / "plugin.yaml")
