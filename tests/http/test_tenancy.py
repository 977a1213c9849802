"""Namespaces (spec platform.md 3): who a request is for, and that nobody sees another tenant's data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_files import write_catalog, write_sources
from tests.http.client import AGENTS, LISTS, MODELS, SKILLS, Client, open_client

NAMESPACES = "/api/tenancy/v1alpha1/namespaces"
EXEMPT = ("/healthz", "/livez", "/readyz", NAMESPACES, "/", "/openapi.json")
TENANTS = ("team-a", "team-b")


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Two tenants with sources of the same ids (in two files, as ids are unique in one) and entities of the same names,
    and a third tenant with nothing.
    """
    folder = tmp_path_factory.mktemp("tenants")
    files = []
    for tenant in TENANTS:
        skills = [
            {"name": name, "description": f"of {tenant}", "author": tenant, "customProperties": {"secret": tenant}}
            for name in ("same", f"only-{tenant}", "third")
        ]
        write_catalog(folder / f"{tenant}-skills.yaml", "skills", skills)
        agent = {"name": "helper", "description": f"of {tenant}", "tools": [{"skillRef": f"only-{tenant}"}]}
        write_catalog(folder / f"{tenant}-agents.yaml", "agents", [agent])
        artifact = {"uri": f"oci://{tenant}/m"}
        write_catalog(folder / f"{tenant}-models.yaml", "models", [{"name": "org/m", "artifacts": [artifact]}])
        files.append(
            write_sources(
                folder / f"{tenant}.yaml",
                {
                    section: [
                        {
                            "id": f"src-{tenant}" if section == "skills" else f"{section}-{tenant}",
                            "path": folder / f"{tenant}-{section}.yaml",
                            "namespace": tenant,
                            "labels": [tenant],
                        }
                    ]
                    for section in ("skills", "agents", "models")
                },
            )
        )
    with open_client(folder / "data", files, CATALOG_TENANCY_MODE="namespace") as client:
        yield client


def test_single_mode_ignores_the_namespace(sample: Client) -> None:
    plain = sample.ok(SKILLS)
    for wanted in ("default", "team-a", "Not A Name", ""):
        assert sample.ok(SKILLS, namespace=wanted) == plain
        assert sample.get(SKILLS, headers={"X-Namespace": wanted}).json() == plain
    assert sample.ok(NAMESPACES) == {"namespaces": ["default"], "mode": "single"}


@pytest.mark.parametrize("path", [*LISTS, f"{SKILLS}/same", f"{SKILLS}/filter_options", "/api/plugins"])
def test_a_namespace_is_required(tenants: Client, path: str) -> None:
    for options in ({}, {"namespace": ""}):
        error = tenants.error(path, **options)
        assert error["error"] == "bad_request"
        assert error["field"] == "namespace"
        assert error["message"].startswith("namespace is required in multi-tenant mode")
        assert "?namespace=" in error["message"]
        assert "X-Namespace" in error["message"]


@pytest.mark.parametrize("path", EXEMPT)
def test_exempt_routes(tenants: Client, path: str) -> None:
    tenants.server.health.database_is(None)  # no thread pings here
    assert tenants.get(path).status_code == 200


def test_unknown_paths_and_methods_need_none(tenants: Client) -> None:
    assert tenants.get("/nowhere").status_code == 404
    assert tenants.request("POST", SKILLS).status_code == 405
    assert tenants.request("OPTIONS", SKILLS).status_code == 204


@pytest.mark.parametrize(
    "name",
    [*("Team", "a_b", "a@b", "-a", "a-", "a" * 64, "a\n", "a b", "ä", "a.b", "\0", "../a", "\u0661"), "team-a,team-b"],
)
def test_malformed_names(tenants: Client, name: str) -> None:
    error = tenants.error(SKILLS, namespace=name)
    assert (error["error"], error["field"]) == ("bad_request", "namespace")
    if name.isascii() and name.isprintable():
        header = tenants.get(SKILLS, headers={"X-Namespace": name})
        assert header.status_code == 400
        assert header.json()["error"] == "bad_request"


@pytest.mark.parametrize("name", ["a", "123", "my-team-ns", "a" * 63])
def test_any_well_formed_namespace_without_a_list(tenants: Client, name: str) -> None:
    assert tenants.ok(SKILLS, namespace=name)["items"] == []
    assert tenants.ok("/api/plugins", namespace=name)["count"] == 8


def test_query_beats_header(tenants: Client) -> None:
    def authors(**options: object) -> set[str]:
        return {item["author"] for item in tenants.get(SKILLS, **options).json()["items"]}  # type: ignore[arg-type]

    assert authors(headers={"X-Namespace": "team-a"}) == {"team-a"}
    assert authors(headers={"X-Namespace": "team-a"}, namespace="team-b") == {"team-b"}
    assert authors(headers={"X-Namespace": "team-a"}, namespace="") == {"team-a"}
    assert authors(namespace=["team-a", "team-b"]) == {"team-a"}
    assert authors(headers=[("X-Namespace", "team-a"), ("X-Namespace", "team-b")]) == {"team-a"}
    assert authors(headers={"X-Namespace": " team-a \t"}) == {"team-a"}, "blanks around are no part of a header"


def test_the_allowed_list(tmp_path: Path) -> None:
    env = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "team-b, team-a"}
    with open_client(tmp_path, **env) as client:
        assert client.ok(NAMESPACES) == {"namespaces": ["team-b", "team-a"], "mode": "namespace"}
        assert client.ok(SKILLS, namespace="team-a")["items"] == []
        error = client.error(SKILLS, 403, namespace="team-c")
        assert error["error"] == "forbidden"
        assert error["field"] == "namespace"
        assert "team-c" in error["message"]
        client.error(SKILLS, 403, namespace="default")
        assert client.error(SKILLS, 400, namespace="Team-A")["error"] == "bad_request"
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("tenant", TENANTS)
def test_lists_are_apart(tenants: Client, tenant: str) -> None:
    other = next(one for one in TENANTS if one != tenant)
    paths = [
        *(f"{SKILLS}{query}" for query in ("?", "?q=of&", "?filterQuery=name='same'&", "?view=asset&", "?orderBy=ID&")),
        *(f"{SKILLS}/filter_options?", f"{SKILLS}/same?", f"{SKILLS}/same?view=asset&"),
        *(f"{AGENTS}?", f"{AGENTS}/helper?", f"{AGENTS}/helper/dependencies?", f"{MODELS}?"),
        *(f"/api/{plugin}_catalog/v1alpha1/sources?" for plugin in ("skills", "agents", "model")),
        f"/api/model_catalog/v1alpha1/sources/models-{tenant}/models/org/m/artifacts?",
    ]
    for path in paths:
        response = tenants.get(f"{path}namespace={tenant}")
        assert response.status_code == 200, response.text
        assert other not in response.text, path
        assert tenant in response.text, path
    tenants.error(f"{SKILLS}/only-{other}", 404, namespace=tenant)
    tenants.error(f"/api/model_catalog/v1alpha1/sources/models-{other}/models/org/m", 404, namespace=tenant)
    assert tenants.ok(SKILLS, namespace=tenant, source=f"src-{other}")["items"] == []
    assert tenants.ok(SKILLS, namespace=tenant, sourceLabel=other)["items"] == []


def test_links_stay_inside_the_namespace(tenants: Client) -> None:
    for tenant in TENANTS:
        document = tenants.ok(f"{AGENTS}/helper/dependencies", namespace=tenant)
        assert [link["name"] for link in document["links"] if link["resolved"]] == [f"only-{tenant}"]


def test_etags_and_tokens_are_not_shared(tenants: Client) -> None:
    first, second = (tenants.get(f"{SKILLS}?pageSize=1", headers={"X-Namespace": tenant}) for tenant in TENANTS)
    assert first.headers["etag"] != second.headers["etag"]
    assert first.json()["items"] != second.json()["items"]
    crossed = tenants.get(
        f"{SKILLS}?pageSize=1", headers={"X-Namespace": "team-b", "If-None-Match": first.headers["etag"]}
    )
    assert crossed.status_code == 200
    token = first.json()["nextPageToken"]
    assert tenants.ok(SKILLS, namespace="team-a", pageSize=1, pageToken=token)["items"]
    assert tenants.error(SKILLS, namespace="team-b", pageSize=1, pageToken=token)["field"] == "pageToken"


def test_the_same_source_id_in_two_namespaces(tmp_path: Path) -> None:
    """One id in the sections of two plugins, which belong to two tenants: each has a state of its own."""
    write_catalog(tmp_path / "skills.yaml", "skills", [{"name": "same", "author": "team-a"}])
    write_catalog(tmp_path / "agents.yaml", "agents", [{"name": "same", "author": "team-b"}])
    sources = write_sources(
        tmp_path / "sources.yaml",
        {
            "skills": [{"id": "shared", "path": tmp_path / "skills.yaml", "namespace": "team-a"}],
            "agents": [{"id": "shared", "path": tmp_path / "agents.yaml", "namespace": "team-b"}],
        },
    )
    with open_client(tmp_path / "data", sources, CATALOG_TENANCY_MODE="namespace") as client:
        for tenant, mine, others in (("team-a", SKILLS, AGENTS), ("team-b", AGENTS, SKILLS)):
            assert [item["author"] for item in client.ok(mine, namespace=tenant)["items"]] == [tenant]
            assert client.ok(others, namespace=tenant)["items"] == []
            assert client.ok(f"{mine.rpartition('/')[0]}/sources", namespace=tenant)["totalSize"] == 1
            assert client.ok(f"{others.rpartition('/')[0]}/sources", namespace=tenant)["totalSize"] == 0
