"""Takes the schema of a ServiceMonitor out of the package cloudcoil-models-prometheus-operator, for tests/deploy.

    uv run --no-project --with cloudcoil-models-prometheus-operator python tools/pick_service_monitor_schema.py

The package has classes made from the operator's definitions; what they say is kept in the checkout as a JSON schema,
closed, so that a misspelled field is a fault as it is for the kinds of Kubernetes itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

PACKAGE = "cloudcoil-models-prometheus-operator"
TARGET = Path(__file__).resolve().parent.parent / "tests/deploy/schemas/service-monitor.json"
ANNOTATIONS = {"title": str, "description": str}
"""What is left out. A property may have such a name too, but its value is a schema."""


def main() -> None:
    model = importlib.import_module("cloudcoil.models.prometheus_operator.v1").ServiceMonitor
    schema = closed(model.model_json_schema(by_alias=True))
    comment = f"ServiceMonitor, prometheus-operator {importlib.metadata.version(PACKAGE)}, Apache License 2.0"
    text = json.dumps({"$comment": comment, **schema}, sort_keys=True, separators=(",", ":"))
    TARGET.write_text(text.replace(',"', ',\n"').replace(':{"', ':{\n"') + "\n")


def closed(node: Any) -> Any:
    """The same without annotations, where an object has no field but those that are named."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: closed(value)
        for key, value in node.items()
        if not isinstance(value, ANNOTATIONS.get(key, ())) and not (key == "default" and value is None)
    }
    return {"additionalProperties": False, **kept} if kept.get("type") == "object" and "properties" in kept else kept


if __name__ == "__main__":
    main()
