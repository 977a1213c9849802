"""Actions, overlays, and the getter of any entity (spec http-api.md 1.7, 1.8, 4.7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.catalog_files import named, write_catalog
from tests.http.client import BASES
from tests.http.operator import BASE, MANAGEMENT, SKILLS, Operator, operating

ODD = ["a:b", "x:action", "50%", "ü ✓", "a?b#c", "a.b;c", "%2F", "'\""]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


def act(operator: Operator, action: str, params: Any, *, name: str = "one", **body: Any) -> Any:
    return operator.ok("POST", f"{MANAGEMENT}/entities/{name}:action", {"action": action, "params": params, **body})


def overlay(operator: Operator, name: str = "one") -> Any:
    return operator.ok("GET", f"{SKILLS}/{name}").get("overlay")


# --- the list of actions ---


@pytest.mark.parametrize("base", BASES)
def test_actions_are_listed_by_scope(operator: Operator, base: str) -> None:
    for prefix in (f"{base}/management", base):
        source = operator.client.ok(f"{prefix}/actions/source")
        assert [one["id"] for one in source["actions"]] == ["refresh"]
        assert source["count"] == 1
        asset = operator.client.ok(f"{prefix}/actions/asset")
        assert [one["id"] for one in asset["actions"]] == ["tag", "annotate", "deprecate"]
        assert all(one["supportsDryRun"] and one["idempotent"] for one in asset["actions"])
        assert {one["scope"] for one in asset["actions"]} == {"asset"}


def test_discovery_names_the_same_actions(operator: Operator) -> None:
    for plugin in operator.client.ok("/api/plugins")["plugins"]:
        listed = {
            one["id"]
            for scope in ("source", "asset")
            for one in operator.client.ok(f"{plugin['basePath']}/management/actions/{scope}")["actions"]
        }
        assert {one["id"] for one in plugin["capabilitiesV2"]["actions"]} == listed
        (kind,) = plugin["capabilitiesV2"]["entities"]
        assert set(kind["actions"]) == listed - {"refresh"}
        assert plugin["management"] == dict.fromkeys(("sourceManager", "refresh", "diagnostics", "actions"), True)


# --- tag ---


def test_tag(operator: Operator) -> None:
    done = act(operator, "tag", {"tags": ["prod", " beta ", "prod"]})
    assert done == {
        "action": "tag",
        "status": "completed",
        "message": "set 2 tags on one",
        "data": {"tags": ["prod", "beta"]},
    }
    assert overlay(operator) == {"tags": ["prod", "beta"]}
    assert act(operator, "tag", {"tags": ["new", "beta"], "mode": "add"})["data"]["tags"] == ["prod", "beta", "new"]
    assert act(operator, "tag", {"tags": ["prod", "none"], "mode": "remove"})["data"]["tags"] == ["beta", "new"]
    assert act(operator, "tag", {"tags": ["x"], "mode": "replace"})["data"]["tags"] == ["x"]
    assert act(operator, "tag", {"tags": []})["data"]["tags"] == []
    assert overlay(operator) is None


@pytest.mark.parametrize("path", [f"{BASE}/entities/one:action", f"{SKILLS}/one:action"])
def test_an_action_has_several_paths(operator: Operator, path: str) -> None:
    body = {"action": "tag", "params": {"tags": ["a"]}}
    assert operator.ok("POST", path, body)["status"] == "completed"
    assert overlay(operator) == {"tags": ["a"]}


# --- annotate, deprecate ---


def test_annotate(operator: Operator) -> None:
    first = act(operator, "annotate", {"annotations": {"owner": "ops", "tier": "1"}})
    assert first["data"] == {"annotations": {"owner": "ops", "tier": "1"}}
    second = act(operator, "annotate", {"annotations": {"tier": None, "note": "", "none": None}})
    assert second["message"] == "set 3 annotations on one"
    assert second["data"] == {"annotations": {"owner": "ops", "note": ""}}
    assert overlay(operator) == {"annotations": {"owner": "ops", "note": ""}}


def test_deprecate(operator: Operator) -> None:
    done = act(operator, "deprecate", {})
    assert (done["message"], done["data"]) == ('set lifecycle of one to "deprecated"', {"lifecycle": "deprecated"})
    assert overlay(operator) == {"lifecyclePhase": "deprecated"}
    asset = operator.ok("GET", f"{SKILLS}/one?view=asset")
    assert asset["status"]["lifecycle"] == "deprecated"
    assert act(operator, "deprecate", {"phase": "active"})["data"] == {"lifecycle": "active"}
    assert operator.ok("GET", f"{SKILLS}/one?view=asset")["status"]["lifecycle"] == "active"


# --- what is refused ---


@pytest.mark.parametrize(
    ("action", "params", "field"),
    [
        ("tag", {}, "params.tags"),
        ("tag", None, "params.tags"),
        ("tag", {"tags": "x"}, "params.tags"),
        ("tag", {"tags": [1]}, "params.tags"),
        ("tag", {"tags": [" "]}, "params.tags"),
        ("tag", {"tags": ["x"], "mode": "set"}, "params.mode"),
        ("tag", {"tags": ["x"], "mode": ["add"]}, "params.mode"),
        ("tag", {"tags": ["x"], "color": "red"}, "params.color"),
        ("tag", {"tags": [f"t{n}" for n in range(65)]}, "params.tags"),
        ("tag", {"tags": ["x" * 129]}, "params.tags"),
        ("tag", {"tags": ["x"] * 65}, "params.tags"),
        ("tag", {"tags": ["x" * 129], "mode": "remove"}, "params.tags"),
        ("annotate", {}, "params.annotations"),
        ("annotate", {"annotations": ["x"]}, "params.annotations"),
        ("annotate", {"annotations": {"a": 1}}, "params.annotations"),
        ("annotate", {"annotations": {"": "x"}}, "params.annotations"),
        ("annotate", {"annotations": {f"k{n}": "" for n in range(65)}}, "params.annotations"),
        ("annotate", {"annotations": {f"k{n}": None for n in range(65)}}, "params.annotations"),
        ("annotate", {"annotations": {"a": "x" * 16 * 1024}}, "params.annotations"),
        ("annotate", {"tags": []}, "params.tags"),
        ("deprecate", {"phase": "gone"}, "params.phase"),
        ("deprecate", {"phase": None}, "params.phase"),
        ("deprecate", {"phase": ["active"]}, "params.phase"),
        ("approve", {}, "action"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_wrong_parameters_are_named(module: Operator, dry_run: bool, action: str, params: Any, field: str) -> None:
    """Also by a dry run: it says what would happen."""
    body = {"action": action, "params": params, "dryRun": dry_run}
    error = module.error("POST", f"{MANAGEMENT}/entities/two:action", body, status=400)
    assert error["field"] == field
    assert overlay(module, "two") is None


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """For what changes nothing that another test looks at."""
    with operating(tmp_path_factory.mktemp("actions")) as found:
        yield found


def test_limits_count_for_all_of_an_overlay(operator: Operator) -> None:
    act(operator, "tag", {"tags": [f"t{n}" for n in range(64)]})
    for dry_run in (True, False):
        body = {"action": "tag", "params": {"tags": ["more"], "mode": "add"}, "dryRun": dry_run}
        operator.error("POST", f"{MANAGEMENT}/entities/one:action", body, status=400)
    assert len(overlay(operator)["tags"]) == 64


@pytest.mark.parametrize("name", ["ghost", "secret-three", "ONE", "a" * 600])
def test_no_overlay_for_a_ghost(module: Operator, name: str) -> None:
    for dry_run in (True, False):
        body = {"action": "tag", "params": {"tags": ["x"]}, "dryRun": dry_run}
        error = module.error("POST", f"{MANAGEMENT}/entities/{name}:action", body, status=404)
        assert error["message"] == f'entity "{name[:200]}" not found'
    module.error("GET", f"{MANAGEMENT}/entities/{name}", status=404)


def test_the_suffix_is_needed(module: Operator) -> None:
    body = {"action": "tag", "params": {"tags": ["x"]}}
    response = module.ask("POST", f"{MANAGEMENT}/entities/one", body)
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]


def test_a_dry_run_changes_nothing(module: Operator) -> None:
    etag = module.ask("GET", f"{SKILLS}/one").headers["etag"]
    for action, params, message, data in (
        ("tag", {"tags": ["a"]}, "would set 1 tags on one", {"tags": ["a"]}),
        ("annotate", {"annotations": {"a": "b"}}, "would set 1 annotations on one", {"annotations": {"a": "b"}}),
        ("deprecate", {}, 'would set lifecycle of one to "deprecated"', {"lifecycle": "deprecated"}),
    ):
        done = act(module, action, params, dryRun=True)
        assert done == {"action": action, "status": "dry-run", "message": message, "data": data}
    assert module.ask("GET", f"{SKILLS}/one").headers["etag"] == etag


# --- where an overlay is seen ---


def test_an_overlay_is_seen_everywhere(operator: Operator) -> None:
    before = {path: operator.ask("GET", path).headers["etag"] for path in (SKILLS, f"{SKILLS}/one")}
    act(operator, "tag", {"tags": ["prod"]})
    act(operator, "annotate", {"annotations": {"owner": "ops"}})
    act(operator, "deprecate", {"phase": "retired"})
    wanted = {"tags": ["prod"], "annotations": {"owner": "ops"}, "lifecyclePhase": "retired"}
    assert overlay(operator) == wanted
    item = next(one for one in operator.ok("GET", SKILLS)["items"] if one["name"] == "one")
    assert item["overlay"] == wanted
    assert operator.ok("GET", f"{MANAGEMENT}/entities/one")["overlay"] == wanted
    for path in (f"{SKILLS}/one?view=asset", f"{MANAGEMENT}/entities/one?view=asset"):
        asset = operator.ok("GET", path)
        assert (asset["metadata"]["tags"], asset["metadata"]["annotations"]) == (["prod"], {"owner": "ops"})
        assert asset["status"]["lifecycle"] == "retired"
        assert "overlay" not in asset["spec"]
    listed = operator.ok("GET", f"{SKILLS}?view=asset")["items"]
    assert next(one for one in listed if one["metadata"]["name"] == "one")["metadata"]["tags"] == ["prod"]
    for path, etag in before.items():
        response = operator.ask("GET", path, headers={"If-None-Match": etag})
        assert response.status_code == 200
        assert response.headers["etag"] != etag


def test_an_overlay_outlives_refresh_and_absence(operator: Operator) -> None:
    """Source data is never modified, and an entity that comes back has its tags."""
    before = (operator.folder / "main.yaml").read_bytes()
    act(operator, "tag", {"tags": ["prod"]})
    assert (operator.folder / "main.yaml").read_bytes() == before
    write_catalog(operator.folder / "main.yaml", "skills", named("one", "two", description="new"))
    operator.finished(operator.refresh())
    shown = operator.ok("GET", f"{SKILLS}/one")
    assert (shown["description"], shown["overlay"]) == ("new", {"tags": ["prod"]})
    for enabled in (False, True):
        operator.ok("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": enabled})
    assert overlay(operator) == {"tags": ["prod"]}
    source = {"id": "main", "name": "M", "type": "yaml", "properties": {"yamlCatalogPath": "main.yaml"}}
    operator.ok("DELETE", f"{MANAGEMENT}/sources/main")
    operator.apply(source)
    assert overlay(operator) == {"tags": ["prod"]}


def test_an_entity_of_the_same_name_in_another_source_has_its_own(operator: Operator) -> None:
    write_catalog(operator.folder / "other.yaml", "skills", named("one"))
    operator.client.refresh()
    for source in ("main", "other"):
        path = f"{MANAGEMENT}/entities/one:action"
        body = {"action": "tag", "params": {"tags": [source]}}
        operator.ok("POST", path, body, params={"sourceId": source})
    found = {one["sourceId"]: one["overlay"] for one in operator.ok("GET", SKILLS)["items"] if one["name"] == "one"}
    assert found == {"main": {"tags": ["main"]}, "other": {"tags": ["other"]}}
    shown = operator.ok("GET", f"{MANAGEMENT}/entities/one", params={"sourceId": "other"})
    assert shown["provenance"]["sourceId"] == "other"
    operator.error("GET", f"{MANAGEMENT}/entities/one", status=404, params={"sourceId": "nowhere"})


# --- names, provenance ---


@pytest.mark.parametrize("name", ODD)
def test_odd_names(odd: Operator, name: str) -> None:
    """Slashes, colons and what has to be encoded; of `:action` only the last one counts."""
    path = f"{MANAGEMENT}/entities/{quote(name, safe='/:')}"
    if name == "%2F":  # some clients encode twice, so a name is decoded twice
        path = f"{MANAGEMENT}/entities/%25252F"
    assert odd.ok("GET", path)["name"] == name
    done = odd.ok("POST", f"{path}:action", {"action": "tag", "params": {"tags": ["t"]}})
    assert done["message"] == f"set 1 tags on {name}"
    assert odd.ok("GET", path)["overlay"] == {"tags": ["t"]}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(tmp_path_factory.mktemp("odd")) as found:
        write_catalog(found.folder / "main.yaml", "skills", named(*ODD))
        found.client.refresh()
        yield found


def test_slashes_in_the_names_of_models(tmp_path: Path) -> None:
    base = "/api/model_catalog/v1alpha1"
    write_catalog(tmp_path / "models.yaml", "models", named("org/m:7b"))
    text = "catalogs: {models: {sources: [{id: m, name: M, type: yaml, properties: {yamlCatalogPath: models.yaml}}]}}"
    with operating(tmp_path, text) as operator:
        for path in (f"{base}/management/entities/org/m:7b", f"{base}/management/entities/org%2Fm%3A7b"):
            assert operator.ok("GET", path)["name"] == "org/m:7b"
        for path in (f"{base}/management/entities/org/m:7b:action", f"{base}/models/org/m:7b:action"):
            assert operator.ok("POST", path, {"action": "tag", "params": {"tags": ["t"]}})["status"] == "completed"


def test_provenance(operator: Operator) -> None:
    """Where an entity comes from: source, file, line, and the job that brought it."""
    shown = operator.client.ok(f"{MANAGEMENT}/entities/two")
    assert shown["provenance"] == {"sourceId": "main", "file": "main.yaml", "line": 3}
    write_catalog(operator.folder / "main.yaml", "skills", named("zero", "one", "two", description="new"))
    job_id = operator.refresh()
    operator.finished(job_id)
    shown = operator.client.ok(f"{BASE}/entities/two")
    assert shown["description"] == "new"
    assert shown["provenance"] == {"sourceId": "main", "file": "main.yaml", "line": 6, "jobId": job_id}
    assert operator.client.ok(f"{MANAGEMENT}/entities/two?view=asset")["provenance"]["jobId"] == job_id
