"""The files of a new package. `$name` and so on are filled in by package.py."""

from __future__ import annotations

from typing import Final

PYPROJECT: Final = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "$description"
readme = "README.md"
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = ["catalog-server>=$server"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."catalog_server.plugins"]
$name = "$module:plugin"

[tool.hatch.build.targets.wheel]
only-include = ["$module.py"]
"""

MANIFEST: Final = """\
# What the plugin says of itself to people and tools. The server goes by the declaration in $module.py;
# `catalog-gen validate` finds out when the two differ.
apiVersion: catalog.kubeflow.org/v1alpha1
kind: CatalogPlugin
metadata:
  name: $name
spec:
  displayName: $display
  description: $description
  version: 0.1.0 # raised by `catalog-gen bump-version`
  owners:
    - team: ai-platform
  compatibility:
    catalogServer:
      minVersion: $server
      maxVersion: 1.x
    frameworkApi: v1alpha1
  providers: [yaml, git, http]
  license: Apache-2.0
"""

MODULE: Final = '''\
"""$display: a catalog of its own."""

from __future__ import annotations

from typing import Annotated

from catalog_server.plugin_api import Entity, Kind, Plugin, mark


class $kind(Entity):
    """One entity. Name, description and custom properties come from Entity; rename and add what yours has."""

    owner: Annotated[str, mark(width="md", filter=True, section="Overview", search=True, facet=True, cli=True)] = ""
    stage: Annotated[
        str,
        mark(width="sm", filter=True, options=("draft", "stable"), section="Overview", display="badge", facet=True),
    ] = ""
    tags: Annotated[list[str], mark(section="Overview", display="tags", search=True)] = []
    documentation: Annotated[str, mark(section="Documentation", long_text=True, display="markdown")] = ""


plugin = Plugin(
    name="$name",
    display_name="$display",
    description="$description",
    icon="table",
    kind=Kind(
        name="$kind",
        plural="$plural",
        entity=$kind,
        display_name="$kind",
        noun="$noun",
    ),
)
'''

TEST: Final = '''\
"""The plugin in a real server, with the entities of testdata/."""

from __future__ import annotations

from pathlib import Path

from catalog_server.cli.conformance.runner import run
from catalog_server.cli.conformance.serving import serving
from catalog_server.cli.conformance.subject import Catalog, Expectations, Site

SOURCES = Path(__file__).parent.parent / "testdata" / "sources.yaml"
OPERATOR = {"X-Remote-User": "tester", "X-User-Role": "operator"}


def test_conformance(tmp_path: Path) -> None:
    with serving(SOURCES, tmp_path) as url:
        report = run(Site(url, OPERATOR, expectations=Expectations(["$kind"])), "$name")
    assert [f"{one.name}: {one.message}" for one in report.results if one.status == "failed"] == []


def test_all_samples_are_served(tmp_path: Path) -> None:
    with serving(SOURCES, tmp_path) as url:
        site = Site(url, OPERATOR)
        (entity,) = Catalog(site, next(one for one in site.plugins if one["name"] == "$name")).entities
        assert [item["name"] for item in entity.items()] == ["sample-1", "sample-2", "sample-3"]
        assert [item["name"] for item in entity.items(("filterQuery", "stage='stable'"))] == ["sample-2"]
'''

DATA: Final = """\
$plural:
  - name: sample-1
    description: The first one.
    owner: Platform team
    stage: draft
    tags: [sample]
  - name: sample-2
    description: The second one.
    owner: Data team
    stage: stable
    documentation: |
      # Sample 2
      What people should know of it.
  - name: sample-3
    customProperties: {cost-centre: "42"}
"""

SOURCES: Final = """\
apiVersion: catalog/v1alpha1
kind: CatalogSources
catalogs:
  $name:
    sources:
      - id: $name-samples
        name: $display
        type: yaml
        properties:
          yamlCatalogPath: $plural.yaml
"""

README: Final = """\
# $distribution

$description: a plugin of catalog-server. Installed beside it, it is there after the next start, at
`/api/${name}_catalog/v1alpha1/$plural`.

    pip install -e '.[test]'
    pytest
    catalog-gen validate --governance
    catalog-server --listen 127.0.0.1:8080 --sources testdata/sources.yaml

| File | What it is |
| --- | --- |
| `$module.py` | the declaration: fields, and what each is for |
| `plugin.yaml` | owners, versions, licence |
| `testdata/` | samples, and the sources file that loads them |
| `tests/` | conformance with the catalog API |

Fields are written in snake case in Python and in camel case in files and answers.
"""
