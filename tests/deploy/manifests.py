"""Reads the manifests in deploy/, and puts the overlays together with kubectl."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
BASE = "catalog-server"
OVERLAYS = sorted(f"overlays/{path.name}" for path in (DEPLOY / "overlays").iterdir())
Manifest = dict[str, Any]


def read(path: str) -> list[Manifest]:
    """The documents of one file, named from deploy/."""
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


def read_one(path: str) -> Manifest:
    (document,) = read(path)
    return document


@cache
def built(folder: str) -> tuple[Manifest, ...]:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: kustomizations are not put together")
    made = subprocess.run(["kubectl", "kustomize", DEPLOY / folder], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return tuple(yaml.safe_load_all(made.stdout))


def pick(manifests: list[Manifest] | tuple[Manifest, ...], kind: str, name: str = "catalog-server") -> Manifest:
    (found,) = (one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def container_of(manifest: Manifest) -> dict[str, Any]:
    """The only container of a Deployment or Job."""
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environ_of(manifest: Manifest) -> dict[str, Any]:
    """Variable -> its text, or where it comes from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container_of(manifest).get("env", ())}


def faults_of(manifest: Manifest) -> list[str]:
    """What the schema of its kind says against it; none knows a field that is not named there."""
    validator = Draft202012Validator(_schema_of(manifest))
    return [f"{manifest['kind']} {one.json_path}: {one.message}" for one in validator.iter_errors(manifest)]


def _schema_of(manifest: Manifest) -> dict[str, Any]:
    group, _, version = manifest["apiVersion"].rpartition("/")
    if group == "monitoring.coreos.com":
        return _schemas("service-monitor.json")
    wanted = {"group": group, "kind": manifest["kind"], "version": version}
    schemas = _schemas("kubernetes.json")
    (name,) = (
        name for name, one in schemas["$defs"].items() if wanted in one.get("x-kubernetes-group-version-kind", ())
    )
    return {"$ref": f"#/$defs/{name}", **schemas}


@cache
def _schemas(file: str) -> dict[str, Any]:
    return dict(json.loads((SCHEMAS / file).read_text()))
