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
test = ["catalog-server[conformance]", "pytest"]

[project.entry-points."catalog_server.plugins"]
$name = "$module:plugin"

[tool.hatch.build.targets.wheel]
only-include = ["$module.py"]
"""

MANIFEST: Final = """\
# What the plugin says of itself to people and tools. The server goes by the declaration in $module.py;
# `catalog-gen validate` finds out when the two differ, and `catalog-gen schema` prints what may stand here.
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

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from catalog_server.cli.conformance.serving import serving

ROOT = Path(__file__).parent.parent
NAME, KIND = "$name", "$kind"
LIST = f"/api/{NAME}_catalog/v1alpha1/$plural"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(ROOT / "testdata" / "sources.yaml", tmp_path_factory.mktemp("server")) as address:
        yield address


def run(command: str, *words: str) -> tuple[int, str]:
    call = [sys.executable, "-m", f"catalog_server.cli.{command}.main", *words]
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def names(address: str) -> list[str]:
    with urlopen(address) as answer:
        return [one["name"] for one in json.load(answer)["items"]]


def test_samples_are_served(url: str) -> None:
    assert names(url + LIST) == ["sample-1", "sample-2", "sample-3"]
    wanted = quote("stage = 'stable'")
    assert names(f"{url}{LIST}?filterQuery={wanted}") == ["sample-2"]


def test_catalog_api_is_kept(url: str) -> None:
    status, report = run("conformance", "--server", url, "--plugin", NAME, "--expect-kind", KIND, "--writes")
    assert status == 0, report


def test_package_is_complete() -> None:
    status, report = run("gen", "validate", "--governance", str(ROOT))
    assert status == 0, report
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
