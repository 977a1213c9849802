"""References to secrets: resolved when they are used, and shown nowhere (spec http-api.md 2.9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.yaml import YAMLProvider
from tests.http.operator import JOBS, MANAGEMENT, Operator, operating

SECRET = "s3cr3t-value"
REF = {"name": "git", "key": "token"}
GIVEN = {
    "id": "spare",
    "name": "Spare",
    "type": "yaml",
    "properties": {"yamlCatalogPath": "spare.yaml", "deep": [{"auth": REF}]},
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    (folder / "git").mkdir(parents=True)
    (folder / "git/token").write_text(SECRET + "\n")
    return folder


def test_the_reference_is_kept_and_the_value_is_used(
    tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []
    fetch = YAMLProvider.fetch

    def watch(provider: YAMLProvider, properties: Any, files: Any) -> Any:
        seen.append(properties.get("deep"))
        if seen[-1] is not None and len(seen) > 4:
            raise Invalid(f"the host said: no entry for {SECRET}")
        return fetch(provider, properties, files)

    monkeypatch.setattr(YAMLProvider, "fetch", watch)
    with operating(tmp_path, CATALOG_SECRETS_DIR=str(secrets)) as operator:
        shown = operator.apply(GIVEN)
        assert shown["properties"]["deep"] == [{"auth": REF}]
        assert seen[-1] == [{"auth": SECRET}]
        assert SECRET not in operator.file.read_text()
        job = operator.finished(operator.refresh("spare"))
        assert job["state"] == "failed"
        assert "the host said: no entry for ***REDACTED***" in job["lastError"]
        assert_hidden(operator)
    assert SECRET not in capsys.readouterr().out


def assert_hidden(operator: Operator) -> None:
    paths = (f"{MANAGEMENT}/sources", f"{MANAGEMENT}/diagnostics", f"{MANAGEMENT}/revisions", JOBS)
    for path in paths:
        assert SECRET not in operator.ask("GET", path).text, path


@pytest.mark.parametrize(
    "ref", [{"name": "git", "key": "nothing"}, {"name": "..", "key": "x"}, {**REF, "namespace": "b"}]
)
def test_a_reference_that_leads_nowhere(tmp_path: Path, secrets: Path, ref: dict[str, str]) -> None:
    """422 with the reference, and the plugin is not touched."""
    with operating(tmp_path, CATALOG_SECRETS_DIR=str(secrets)) as operator:
        given = {**GIVEN, "properties": {"yamlCatalogPath": "spare.yaml", "token": ref}}
        found = operator.apply(given, status=422)
        assert [one["code"] for one in found["errors"]] == ["secret_unresolved"]
        assert found["errors"][0]["field"] == "properties.token"
        assert str(tmp_path) not in str(found)
        assert list(operator.sources()) == ["main", "other"]


def test_a_secret_that_is_gone_is_an_error_of_the_source(tmp_path: Path, secrets: Path) -> None:
    with operating(tmp_path, CATALOG_SECRETS_DIR=str(secrets)) as operator:
        operator.apply(GIVEN)
        (secrets / "git/token").unlink()
        job = operator.finished(operator.refresh("spare"))
        assert job["state"] == "failed"
        status = operator.sources()["spare"]["status"]
        assert (status["state"], status["entityCount"], status["errorCode"]) == ("error", 2, "secret_unresolved")
