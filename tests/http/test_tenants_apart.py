"""Managing in namespace mode: of another tenant nothing is seen and nothing is changed (spec http-api.md 7.1, 7.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.catalog_files import named, write_catalog
from tests.http.client import BASES
from tests.http.operator import BASE, JOBS, MANAGEMENT, ROLE, SKILLS, Operator, operating

TEXT = """\
# Shared by two teams.
catalogs:
  skills:
    sources:
      # of team a
      - {id: shared, namespace: team-a, name: A, type: yaml, properties: {yamlCatalogPath: a.yaml}}
      # of team b
      - {id: shared, namespace: team-b, name: B, type: yaml, properties: {yamlCatalogPath: b.yaml, token: b-secret}}
      - {id: only-b, namespace: team-b, name: Only B, type: yaml, properties: {yamlCatalogPath: b2.yaml}}
  agents:
    sources:
      - {id: bots, namespace: team-b, name: B bots, type: yaml, properties: {yamlCatalogPath: bots.yaml}}
"""
MINE = {"id": "mine", "name": "Mine", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}


@pytest.fixture
def teams(tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    for name, entities in (
        ("a", named("same", "a-skill")),
        ("b", named("same", "b-skill")),
        ("b2", named("b-other")),
        ("free", named("free")),
    ):
        write_catalog(tmp_path / f"{name}.yaml", "skills", entities)
    write_catalog(tmp_path / "bots.yaml", "agents", named("b-bot"))
    with operating(tmp_path, TEXT, CATALOG_TENANCY_MODE="namespace") as found:
        yield (
            replace(found, headers={**ROLE, "X-Namespace": "team-a", "X-Remote-User": "anna"}),
            replace(found, headers={**ROLE, "X-Namespace": "team-b", "X-Remote-User": "bert"}),
        )


def everything(operator: Operator) -> dict[str, str]:
    """All that a tenant sees, but for times."""
    paths = [SKILLS, f"{MANAGEMENT}/sources", f"{MANAGEMENT}/diagnostics", JOBS, f"{BASE}/sources"]
    paths += [f"{base}/management/sources" for base in BASES]
    return {path: operator.ask("GET", path).text for path in paths}


def test_sources_and_diagnostics(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    assert {key: one["name"] for key, one in anna.sources().items()} == {"shared": "A"}
    assert {key: one["name"] for key, one in bert.sources().items()} == {"only-b": "Only B", "shared": "B"}
    for path, text in everything(anna).items():
        assert "b-skill" not in text, path
        assert "only-b" not in text, path
        assert "b.yaml" not in text, path
        assert "bots" not in text, path
    assert "b-secret" not in str(everything(bert))
    diagnosed = anna.ok("GET", f"{MANAGEMENT}/diagnostics")["sources"]
    assert [one["id"] for one in diagnosed] == ["shared"]


def test_apply_goes_into_the_callers_namespace(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    before = bert.names()
    anna.apply(MINE)
    anna.apply({"id": "only-b", "name": "A's own", "type": "yaml", "properties": {"yamlCatalogPath": "free.yaml"}})
    assert anna.names() == ["a-skill", "five", "free", "same", "six"]
    assert bert.names() == before
    assert bert.sources()["only-b"]["name"] == "Only B"
    text = anna.file.read_text()
    assert text.startswith(TEXT[: TEXT.index("  agents:")])
    assert text.count("namespace: team-a") == 3
    found = anna.apply({**MINE, "namespace": "team-b"}, status=422)
    assert found["errors"][0]["code"] == "unknown_field"


def test_changes_of_a_shared_id(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    before = everything(bert)
    anna.ok("POST", f"{MANAGEMENT}/sources/shared/enable", {"enabled": False})
    assert anna.names() == []
    anna.ok("DELETE", f"{MANAGEMENT}/sources/shared")
    for request in (
        ("DELETE", f"{MANAGEMENT}/sources/only-b"),
        ("POST", f"{MANAGEMENT}/sources/only-b/enable", {"enabled": False}),
        ("POST", f"{MANAGEMENT}/refresh/only-b"),
        ("POST", f"{MANAGEMENT}/sources/only-b:action", {"action": "refresh"}),
        ("DELETE", "/api/agents_catalog/v1alpha1/management/sources/bots"),
    ):
        anna.error(*request, status=404)
    after = everything(bert)
    for path in (SKILLS, f"{BASE}/sources", JOBS):
        assert after[path] == before[path]
    assert bert.names() == ["b-other", "b-skill", "same"]


@pytest.mark.parametrize("file", ["b.yaml", "b2.yaml", "bots.yaml", "./b.yaml", "sub/../b.yaml", "link.yaml"])
def test_the_files_of_others_are_out_of_reach(teams: tuple[Operator, Operator], file: str) -> None:
    """Not read through a source of one's own, not written with content, and not told from what is not there at all."""
    anna, _ = teams
    (anna.folder / "sub").mkdir()
    (anna.folder / "link.yaml").symlink_to(anna.folder / "b.yaml")
    before = (anna.folder / "b.yaml").read_bytes()
    for given in (
        {**MINE, "properties": {"yamlCatalogPath": file}},
        {**MINE, "id": "shared", "properties": {"yamlCatalogPath": file}},
        {**MINE, "id": "shared", "properties": {"yamlCatalogPath": file, "content": "skills: [{name: x}]\n"}},
    ):
        found = anna.apply(given, status=422)
        missing = {**given, "properties": {**given["properties"], "yamlCatalogPath": "nowhere.yaml"}}  # type: ignore[dict-item]
        assert str(found).replace(file, "nowhere.yaml") == str(anna.apply(missing, status=422))
    assert (anna.folder / "b.yaml").read_bytes() == before
    assert anna.names() == ["a-skill", "same"]


def test_a_file_that_was_shared_by_hand(tmp_path: Path) -> None:
    """Who writes the configuration may share a file; its sources can still be changed, but not its content."""
    write_catalog(tmp_path / "both.yaml", "skills", named("one"))
    text = "catalogs:\n  skills:\n    sources:\n" + "".join(
        f"      - {{id: s, namespace: {team}, name: S, type: yaml, properties: {{yamlCatalogPath: both.yaml}}}}\n"
        for team in ("team-a", "team-b")
    )
    with operating(tmp_path, text, headers={"X-Namespace": "team-a"}, CATALOG_TENANCY_MODE="namespace") as anna:
        given = {"id": "s", "name": "New", "type": "yaml", "properties": {"yamlCatalogPath": "both.yaml"}}
        assert anna.apply(given)["name"] == "New"
        given["properties"] = {"yamlCatalogPath": "both.yaml", "content": "skills: []\n"}
        assert anna.apply(given, status=422)["valid"] is False


def test_jobs(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    job_id = bert.refresh("shared")
    own = anna.refresh("shared")
    assert own != job_id
    anna.error("GET", f"{JOBS}/{job_id}", status=404)
    anna.error("POST", f"{JOBS}/{job_id}:cancel", status=404)
    for filters in ({}, {"namespace": "team-a"}, {"plugin": "skills"}, {"requestedBy": "bert"}, {"sourceId": "shared"}):
        page = anna.ok("GET", JOBS, params=filters)
        assert job_id not in [one["id"] for one in page["jobs"]]
        assert page["totalSize"] == (0 if filters.get("requestedBy") == "bert" else 1)
    job = bert.finished(job_id)
    assert (job["state"], job["namespace"], job["entitiesLoaded"]) == ("succeeded", "team-b", 2)
    everywhere = anna.finished(anna.ok("POST", f"{MANAGEMENT}/refresh", status=202)["jobId"])
    assert everywhere["entitiesLoaded"] == 2, "all sources of the plugin means all of the caller's"


def test_the_budget_is_each_tenants_own(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    anna.ok("POST", f"{MANAGEMENT}/sources/shared:action", {"action": "refresh"})
    anna.error("POST", f"{MANAGEMENT}/sources/shared:action", {"action": "refresh"}, status=429)
    bert.ok("POST", f"{MANAGEMENT}/sources/shared:action", {"action": "refresh"})


def test_actions_and_entities(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    etag = bert.ask("GET", SKILLS).headers["etag"]
    body = {"action": "tag", "params": {"tags": ["of-a"]}}
    anna.ok("POST", f"{MANAGEMENT}/entities/same:action", body)
    assert "of-a" in anna.ask("GET", SKILLS).text
    for path in (SKILLS, f"{SKILLS}/same", f"{MANAGEMENT}/entities/same", f"{SKILLS}?view=asset"):
        assert "of-a" not in bert.ask("GET", path).text
    assert bert.ask("GET", SKILLS).headers["etag"] == etag
    anna.error("POST", f"{MANAGEMENT}/entities/b-skill:action", body, status=404)
    anna.error("GET", f"{MANAGEMENT}/entities/b-skill", status=404)
    assert bert.ok("GET", f"{MANAGEMENT}/entities/b-skill")["provenance"]["file"] == "b.yaml"


def test_revisions_hide_who_and_why(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    bert.apply({"id": "b-plan", "name": "Plan", "type": "yaml", "properties": {"yamlCatalogPath": "b2.yaml"}})
    document = anna.ok("GET", f"{MANAGEMENT}/revisions")
    assert document["count"] == 2
    assert all(set(one) == {"version", "hash", "timestamp", "size", "current"} for one in document["revisions"])


def test_rollback_is_of_the_callers_sources_only(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    start = anna.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["version"]
    anna.apply(MINE)
    anna.ok("DELETE", f"{MANAGEMENT}/sources/shared")
    bert.apply({"id": "b-plan", "name": "Plan", "type": "yaml", "properties": {"yamlCatalogPath": "b2.yaml"}})
    bert.ok("POST", "/api/agents_catalog/v1alpha1/management/sources/bots/enable", {"enabled": False})
    before = everything(bert)
    done = anna.ok("POST", f"{MANAGEMENT}/rollback", {"version": start})
    assert done["status"] == "rolled_back"
    assert done["reinitialized"] == ["skills"]
    assert anna.names() == ["a-skill", "same"]
    assert list(anna.sources()) == ["shared"]
    after = everything(bert)
    for path in set(before) - {f"{MANAGEMENT}/diagnostics"}:
        assert after[path] == before[path], path
    text = anna.file.read_text()
    assert "b-plan" in text
    assert text.startswith("# Shared by two teams.")
    assert bert.ok("POST", f"{MANAGEMENT}/rollback", {"version": start})["reinitialized"] == ["agents", "skills"]
    assert list(bert.sources()) == ["only-b", "shared"]
    assert anna.names() == ["a-skill", "same"]


def test_a_broken_file_tells_nothing_of_others(teams: tuple[Operator, Operator]) -> None:
    anna, _ = teams
    anna.file.write_text(TEXT.replace("id: only-b", "id: Secret Project"))
    anna.client.refresh()
    for path, text in everything(anna).items():
        assert "Secret Project" not in text, path
    assert anna.ok("GET", f"{MANAGEMENT}/sources")["configError"]
    assert anna.ok("GET", f"{MANAGEMENT}/diagnostics")["lastReconcile"]["result"] == "refused"
    for request in (
        ("POST", f"{MANAGEMENT}/apply-source", MINE),
        ("POST", f"{MANAGEMENT}/validate-source", MINE),
        ("POST", f"{MANAGEMENT}/sources/shared/enable", {"enabled": False}),
    ):
        assert "Secret Project" not in str(anna.error(*request, status=409))
    assert anna.names() == ["a-skill", "same"]


def test_without_a_namespace(teams: tuple[Operator, Operator]) -> None:
    anna, _ = teams
    for method, path in (
        ("GET", f"{MANAGEMENT}/sources"),
        ("POST", f"{MANAGEMENT}/apply-source"),
        ("GET", f"{MANAGEMENT}/revisions"),
        ("POST", f"{MANAGEMENT}/refresh"),
        ("GET", JOBS),
        ("POST", f"{JOBS}/x:cancel"),
    ):
        error = anna.error(method, path, status=400, headers={"X-Namespace": ""})
        assert error["error"] in ("bad_request", error["message"])


def test_a_rollback_does_not_bring_back_what_is_another_tenants_by_now(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    anna.apply(MINE)
    version = anna.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["version"]
    anna.ok("DELETE", f"{MANAGEMENT}/sources/mine")
    bert.apply({"id": "b-spare", "name": "Spare", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}})
    before = anna.file.read_bytes()
    error = anna.error("POST", f"{MANAGEMENT}/rollback", {"version": version}, status=409)
    assert 'source "mine" names a file that is not there' in error["message"]
    assert anna.file.read_bytes() == before


@pytest.mark.parametrize("file", ["repo", "./repo/", "file://FOLDER/repo"])
def test_the_repositories_of_others_are_out_of_reach(teams: tuple[Operator, Operator], file: str) -> None:
    """Those that lie in the data roots, and the files in them."""
    anna, bert = teams
    for part in ("objects", "refs", "HEAD"):
        (anna.folder / "repo" / part).mkdir(parents=True)
    write_catalog(anna.folder / "repo" / "skills.yaml", "skills", named("of-b"))
    anna.apply({"id": "git", "name": "Git", "type": "git", "properties": {"repoUrl": "repo"}})
    anna.ok("DELETE", f"{MANAGEMENT}/sources/git")
    bert.apply({"id": "git", "name": "Git", "type": "git", "properties": {"repoUrl": "repo"}})
    for kind, properties in (
        ("git", {"repoUrl": file.replace("FOLDER", str(anna.folder))}),
        ("yaml", {"yamlCatalogPath": "repo/skills.yaml"}),
    ):
        found = anna.apply({"id": "g", "name": "G", "type": kind, "properties": properties}, status=422)
        assert found["errors"][0]["code"] == "path_missing"
    assert list(anna.sources()) == ["shared"]


def test_each_tenant_has_secrets_of_its_own(tmp_path: Path) -> None:
    """`<folder>/<namespace>/<name>/<key>`: a reference cannot reach another tenant's."""
    for team in ("team-a", "team-b"):
        (tmp_path / "secrets" / team / "git").mkdir(parents=True)
    (tmp_path / "secrets/team-b/git/token").write_text("b-secret")
    (tmp_path / "secrets/team-a/git/linked").symlink_to(tmp_path / "secrets/team-b/git/token")
    write_catalog(tmp_path / "b.yaml", "skills", named("one"))
    env = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_SECRETS_DIR": str(tmp_path / "secrets")}
    with operating(tmp_path, headers={"X-Namespace": "team-a"}, **env) as anna:
        bert = replace(anna, headers={**ROLE, "X-Namespace": "team-b"})
        ref = {"name": "git", "key": "token"}
        for reference in (ref, {**ref, "key": "linked"}, {**ref, "namespace": "team-b"}):
            given = {**MINE, "properties": {"yamlCatalogPath": "spare.yaml", "token": reference}}
            (error,) = anna.apply(given, status=422)["errors"]
            assert error["code"] == "secret_unresolved"
        bert.apply({**MINE, "properties": {"yamlCatalogPath": "b.yaml", "token": ref}})


def test_labels_and_named_queries(tmp_path: Path) -> None:
    """Those without a namespace are everybody's; the others are as if they were not there."""
    write_catalog(tmp_path / "a.yaml", "skills", named("one"))
    text = """\
catalogs:
  skills:
    sources: [{id: s, namespace: team-a, name: S, type: yaml, properties: {yamlCatalogPath: a.yaml}}]
    labels: [{name: all}, {name: own, namespace: team-a}, {name: own, namespace: team-b, text: b-secret}]
    namedQueries:
      for-all: {name: {operator: "=", value: one}}
      of-a: {namespace: team-a, name: {operator: "=", value: one}}
      of-b: {namespace: team-b, name: {operator: "=", value: b-secret}}
"""
    with operating(tmp_path, text, headers={"X-Namespace": "team-a"}, CATALOG_TENANCY_MODE="namespace") as anna:
        assert anna.ok("GET", f"{BASE}/labels")["items"] == [{"name": "all"}, {"name": "own"}]
        assert list(anna.ok("GET", f"{SKILLS}/filter_options")["namedQueries"]) == ["for-all", "of-a"]
        for name in ("for-all", "of-a"):
            assert anna.names(f"{SKILLS}?namedQuery={name}") == ["one"]
        error = anna.error("GET", f"{SKILLS}?namedQuery=of-b", status=400)
        assert error["message"] == "namedQuery: unknown named query 'of-b'; known: for-all, of-a"


def test_a_change_of_one_tenant_shows_in_no_etag_of_another(teams: tuple[Operator, Operator]) -> None:
    anna, bert = teams
    paths = (SKILLS, f"{SKILLS}/filter_options", f"{SKILLS}/same", "/api/plugins", "/api/plugins/skills/capabilities")
    before = {path: bert.ask("GET", path) for path in paths}
    anna.apply(MINE)
    anna.ok("POST", f"{MANAGEMENT}/sources/shared/enable", {"enabled": False})
    for path in paths:
        after = bert.ask("GET", path)
        assert after.headers["etag"] == before[path].headers["etag"], path
        assert after.content == before[path].content, path
        assert after.headers.get("x-cache", "HIT") == "HIT", path
