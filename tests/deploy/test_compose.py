"""docker-compose.catalog.yaml: valid, platform.md 10.2 to the letter, about settings and files that exist."""

from __future__ import annotations

import json
from typing import Any

import yaml
from jsonschema import Draft201909Validator

from tests.deploy.manifests import ROOT, SCHEMAS
from tests.deploy.settings import unknown_flags

PLUGINS = {path.name for path in (ROOT / "catalog/plugins").iterdir()}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.catalog.yaml").read_text()))


def test_compose_then_valid() -> None:
    validator = Draft201909Validator(json.loads((SCHEMAS / "compose.json").read_text()))
    assert [error.message for error in validator.iter_errors(compose())] == []
    assert list(validator.iter_errors({"services": {"a": {"imagee": "x"}}})), "the schema finds no fault at all"


def test_postgres_then_as_specified() -> None:
    assert compose()["services"]["postgres"] == {
        "image": "postgres:16",
        "container_name": "catalog-postgres",
        "environment": {"POSTGRES_DB": "catalog", "POSTGRES_USER": "catalog", "POSTGRES_PASSWORD": "catalog"},
        "ports": ["5432:5432"],
        "healthcheck": {
            "test": ["CMD-SHELL", "pg_isready -U catalog -d catalog"],
            "interval": "5s",
            "timeout": "5s",
            "retries": 5,
        },
    }


def test_catalog_server_then_as_specified() -> None:
    server = compose()["services"]["catalog-server"]
    volumes = server.pop("volumes")
    assert server == {
        "build": {"context": ".", "dockerfile": "Dockerfile.catalog-server"},
        "container_name": "catalog-server",
        "command": [
            "--listen=:8080",
            "--sources=/config/sources.yaml",
            "--db-type=postgres",
            "--db-dsn=postgres://catalog:catalog@postgres:5432/catalog?sslmode=disable",
        ],
        "depends_on": {"postgres": {"condition": "service_healthy"}},
        "ports": ["8080:8080"],
        "healthcheck": {
            "test": ["CMD", "/usr/local/bin/healthcheck", "http://localhost:8080/readyz"],
            "interval": "10s",
            "timeout": "5s",
            "retries": 5,
            "start_period": "30s",
        },
    }
    data = {f"./catalog/plugins/{one}/data:/plugins/{one}/data:{'rw' if one == 'mcp' else 'ro'}" for one in PLUGINS}
    repository = "./catalog/sample-repos/agents-repo:/sample-repos/agents-repo:ro"
    assert set(volumes) == {"./catalog/config:/config:ro", repository, *data}
    assert len(PLUGINS) == 8


def test_flags_then_known() -> None:
    assert unknown_flags(compose()["services"]["catalog-server"]["command"]) == set()


def test_mounted_folders_then_exist() -> None:
    sources = [one.partition(":")[0] for one in compose()["services"]["catalog-server"]["volumes"]]
    made_by_make_sample = "./catalog/sample-repos/agents-repo"
    assert all((ROOT / source).is_dir() for source in sources if source != made_by_make_sample)
