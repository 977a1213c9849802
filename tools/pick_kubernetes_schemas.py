"""Takes the schemas that our manifests need out of the package kubernetes-validate, for tests/deploy.

    python tools/pick_kubernetes_schemas.py UNPACKED_WHEEL

The package has the schemas of every version and weighs 108 MB; what a dozen kinds need is kept in the checkout instead,
without the descriptions. Run it again for a newer version of Kubernetes, or for a kind more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests/deploy/schemas/kubernetes.json"
VERSION = "1.37.0"
KINDS = (
    "api.apps.v1.Deployment",
    "api.batch.v1.Job",
    "api.core.v1.ConfigMap",
    "api.core.v1.Namespace",
    "api.core.v1.Secret",
    "api.core.v1.Service",
    "api.core.v1.ServiceAccount",
    "api.networking.v1.NetworkPolicy",
    "api.policy.v1.PodDisruptionBudget",
    "api.rbac.v1.ClusterRole",
    "api.rbac.v1.ClusterRoleBinding",
    "api.rbac.v1.Role",
    "api.rbac.v1.RoleBinding",
)


def main(package: Path) -> None:
    schemas = package / "kubernetes_validate/kubernetes-json-schema" / f"v{VERSION}-local-strict"
    found = json.loads((schemas / "_definitions.json").read_text())["$defs"]
    picked: dict[str, Any] = {}
    for kind in KINDS:
        pick(f"io.k8s.{kind}", found, picked)
    document = {"$comment": f"Kubernetes {VERSION}, Apache License 2.0", "$defs": picked}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    TARGET.write_text(text.replace('"io.k8s.', '\n"io.k8s.') + "\n")


def pick(name: str, found: dict[str, Any], picked: dict[str, Any]) -> None:
    """Copy a definition and all that it refers to."""
    if name not in picked:
        picked[name] = without_descriptions(found[name])
        for reference in references(picked[name]):
            pick(reference, found, picked)


def without_descriptions(node: Any) -> Any:
    if isinstance(node, list):
        return [without_descriptions(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_descriptions(value) for key, value in node.items() if not is_description(key, value)}
    if "$ref" in kept:
        kept["$ref"] = "#/$defs/" + kept["$ref"].rpartition("/")[2]
    return kept


def is_description(key: str, value: Any) -> bool:
    """A property may be called `description` too, but its value is a schema."""
    return key == "description" and isinstance(value, str)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
