"""Listing and applying sources through the whole middleware list (spec http-api.md 1.5, 2.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.control import Caller
from catalog_server.scope import DEFAULT_SCOPE
from tests.http.client import BASES
from tests.http.operator import BASE, MANAGEMENT, MARKER, SOURCES, Operator, operating

SPARE = {"id": "spare", "name": "Spare", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """For what changes nothing."""
    with operating(tmp_path_factory.mktemp("judge")) as found:
        yield found


def version_of(operator: Operator) -> str:
    return hashlib.sha256(operator.file.read_bytes()).hexdigest()


# --- listing ---


def test_sources_are_listed_by_id_and_redacted(judge: Operator) -> None:
    document = judge.ok("GET", f"{MANAGEMENT}/sources")
    assert document["count"] == 2
    assert [one["id"] for one in document["sources"]] == ["main", "other"]
    main = document["sources"][0]
    assert main["properties"]["apiToken"] == MARKER
    assert main["properties"]["nested"] == {"headers": [{"authorization": MARKER}], "limit": 7234567890123456789}
    assert main["excludedItems"] == ["secret-*"]
    assert main["labels"] == ["Core"]
    assert main["status"]["state"] == "available"
    assert main["status"]["entityCount"] == 2
    assert main["status"]["lastRefreshSummary"] == "Loaded 2 entities"
    assert "labels" not in document["sources"][1]


def test_the_text_of_a_catalog_file_is_for_operators(judge: Operator) -> None:
    assert judge.sources()["other"]["properties"]["content"] == (judge.folder / "other.yaml").read_text()
    viewer = judge.client.ok(f"{MANAGEMENT}/sources")["sources"]
    assert all("content" not in one["properties"] for one in viewer)


@pytest.mark.parametrize(("text", "key"), [("x" * (1024 * 1024 + 1), "contentOmitted"), ("\xff", "contentOmitted")])
def test_a_text_that_cannot_be_shown_is_omitted(operator: Operator, text: str, key: str) -> None:
    (operator.folder / "other.yaml").write_bytes(text.encode("latin-1"))
    shown = operator.sources()["other"]
    assert shown[key] is True
    assert "content" not in shown["properties"]


@pytest.mark.parametrize("base", BASES)
def test_every_plugin_manages_its_sources(judge: Operator, base: str) -> None:
    document = judge.ok("GET", f"{base}/management/sources")
    assert isinstance(document["sources"], list)
    assert document["count"] == len(document["sources"])


# --- applying ---


def test_apply_creates_a_source(operator: Operator) -> None:
    done = operator.apply(SPARE)
    assert done["id"] == "spare"
    assert done["enabled"] is True
    assert done["status"]["state"] == "available"
    assert done["status"]["entityCount"] == 2
    assert done["applied"] is True
    assert done["persisted"] is True
    assert done["version"] == version_of(operator)
    assert operator.names() == ["five", "four", "one", "six", "two"]
    assert list(operator.sources()) == ["main", "other", "spare"]
    assert operator.file.read_text() == SOURCES.replace(
        "  agents:\n",
        "      - id: spare\n        name: Spare\n        type: yaml\n        properties:\n"
        "          yamlCatalogPath: spare.yaml\n  agents:\n",
    )


@pytest.mark.parametrize("path", ["apply-source", "sources"])
@pytest.mark.parametrize("base", [MANAGEMENT, BASE])
def test_apply_has_several_paths(operator: Operator, base: str, path: str) -> None:
    assert operator.ok("POST", f"{base}/{path}", SPARE)["applied"] is True


def test_apply_keeps_what_is_not_given_and_comments(operator: Operator) -> None:
    given = {"id": "main", "name": "Main", "type": "yaml"}
    done = operator.apply(given)
    assert done["labels"] == ["Core"]
    assert done["excludedItems"] == ["secret-*"]
    assert done["properties"]["apiToken"] == MARKER
    assert operator.file.read_text() == SOURCES.replace("name: Main skills", "name: Main")
    assert operator.names() == ["four", "one", "two"]


def test_the_marker_keeps_the_stored_secret(operator: Operator) -> None:
    """A client may read a source, change a word and send it back without knowing the secrets."""
    shown = operator.sources()["main"]
    properties = {key: value for key, value in shown["properties"].items() if key != "content"}
    done = operator.apply({"id": "main", "name": "New", "type": "yaml", "properties": properties})
    assert done["properties"]["nested"]["headers"] == [{"authorization": MARKER}]
    text = operator.file.read_text()
    assert MARKER not in text
    assert text == SOURCES.replace("name: Main skills", "name: New")


REMOTE = {"id": "remote", "name": "Remote", "type": "http"}
URL = "https://data.example.com/skills.yaml"


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://evil.example/skills.yaml", "properties.url"),
        ("https://data.example.com:444/skills.yaml", "properties.url"),
        ("https://data.example.com/other.yaml", None),
    ],
)
def test_a_kept_secret_goes_to_no_other_host(operator: Operator, url: str, field: str | None) -> None:
    """With the marker for the secret, which the client has not seen, the URL's host has to stay."""
    headers = {"Authorization": "Bearer stored-secret", "X-Team": "a"}
    operator.apply({**REMOTE, "enabled": False, "properties": {"url": URL, "headers": headers}})
    before = operator.file.read_bytes()
    shown = operator.sources()["remote"]["properties"]
    assert shown["headers"]["Authorization"] == MARKER
    given = {**REMOTE, "enabled": False, "properties": {**shown, "url": url}}
    if field is None:
        operator.apply(given)
        assert f"url: {url}" in operator.file.read_text()
        return
    for path, status in (("apply-source", 422), ("validate-source", 200), ("sources/remote:validate", 200)):
        found = operator.ok("POST", f"{MANAGEMENT}/{path}", given, status=status)
        (error,) = found["errors"]
        assert (error["field"], error["code"]) == (field, "secret_moved")
        assert "stored-secret" not in str(found)
    assert operator.file.read_bytes() == before
    given["properties"] = {"url": url, "headers": {"Authorization": "Bearer new"}}
    operator.apply(given)
    assert "stored-secret" not in operator.file.read_text()


def test_a_disabled_source_is_listed_and_holds_nothing(operator: Operator) -> None:
    done = operator.apply({**SPARE, "enabled": False})
    assert done["status"] == {"state": "disabled", "entityCount": 0, **done["status"]}
    assert operator.names() == ["four", "one", "two"]


def test_content_goes_into_the_file(operator: Operator) -> None:
    text = "# by hand\nskills:\n- {name: seven}\n"
    done = operator.apply(
        {"id": "other", "name": "Other skills", "type": "yaml"}
        | {"properties": {"yamlCatalogPath": "other.yaml", "content": text}}
    )
    assert done["status"]["entityCount"] == 1
    assert "content" not in done["properties"]
    assert (operator.folder / "other.yaml").read_text() == text
    assert operator.file.read_text() == SOURCES, "content is never stored in the configuration"
    assert operator.names() == ["one", "seven", "two"]
    assert not list(operator.folder.glob(".*.tmp*"))


@pytest.mark.parametrize("size", [1024 * 1024 - 30, 1024 * 1024 + 1])
def test_content_has_at_most_a_megabyte(operator: Operator, size: int) -> None:
    text = "skills:\n- {name: seven}\n#".ljust(size, "x")
    properties = {"yamlCatalogPath": "other.yaml", "content": text}
    given = {"id": "other", "name": "Other", "type": "yaml", "properties": properties}
    if size <= 1024 * 1024:
        operator.apply(given)
        return
    found = operator.apply(given, status=422)
    assert found["errors"][0]["code"] == "content_too_large"
    assert operator.names() == ["four", "one", "two"]


@pytest.mark.parametrize("path", ["sources.yaml", ".history/x.yaml", "data/catalog.db", "secrets/db/password"])
def test_no_source_is_made_of_the_servers_own_files(tmp_path: Path, path: str) -> None:
    """They hold the secrets of all sources: nobody reads them, nor writes them, as a catalog."""
    for name in (".history/x.yaml", "secrets/db/password"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("skills: [{name: x}]\n")
    (tmp_path / "data").mkdir()
    with operating(tmp_path, CATALOG_SECRETS_DIR=str(tmp_path / "secrets")) as operator:
        for where in (path, str(tmp_path / path)):
            given = {**SPARE, "properties": {"yamlCatalogPath": where}}
            found = operator.apply(given, status=422)
            assert [one["code"] for one in found["errors"]] == ["path_outside_roots"]


def test_content_does_not_replace_the_file_of_another_plugin(operator: Operator) -> None:
    before = (operator.folder / "agents.yaml").read_bytes()
    properties = {"yamlCatalogPath": "agents.yaml", "content": "skills:\n- {name: seven}\n"}
    found = operator.apply({"id": "other", "name": "O", "type": "yaml", "properties": properties}, status=422)
    assert [one["code"] for one in found["errors"]] == ["content_unexpected"]
    assert (operator.folder / "agents.yaml").read_bytes() == before


def test_apply_refreshes_when_asked(operator: Operator) -> None:
    done = operator.apply({**SPARE, "refreshAfterApply": True})
    assert done["refreshResult"] == {
        "sourceId": "spare",
        "entitiesLoaded": 2,
        "entitiesRemoved": 0,
        "duration": done["refreshResult"]["duration"],
    }
    again = operator.apply({**SPARE, "refreshAfterApply": True})["refreshResult"]
    assert again["error"].startswith("rate limited, retry after"), "the same budget as that of the refresh route"
    assert "refreshAfterApply" not in operator.file.read_text()


def test_a_refresh_that_fails_does_not_undo_the_change(operator: Operator) -> None:
    (operator.folder / "broken.yaml").write_text("skills: [")
    given = {**SPARE, "properties": {"yamlCatalogPath": "broken.yaml"}, "refreshAfterApply": True}
    done = operator.apply(given)
    assert done["status"]["state"] == "error"
    assert "broken.yaml" in done["refreshResult"]["error"]
    assert "spare" in operator.sources()


# --- If-Match ---


@pytest.mark.parametrize("shape", ["{}", '"{}"', 'W/"{}"', "*"])
def test_if_match_of_the_present_version(operator: Operator, shape: str) -> None:
    assert operator.apply(SPARE, headers={"If-Match": shape.format(version_of(operator))})["applied"] is True


def test_two_who_saw_the_same_version(operator: Operator) -> None:
    """The second one is told, and nothing of the first is lost."""
    seen = version_of(operator)
    operator.apply(SPARE, headers={"If-Match": seen})
    text = operator.file.read_text()
    for request in (
        ("POST", f"{MANAGEMENT}/apply-source", {**SPARE, "id": "late"}),
        ("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": False}),
        ("DELETE", f"{MANAGEMENT}/sources/main"),
    ):
        error = operator.error(*request, status=409, headers={"If-Match": f'"{seen}"'})
        assert "config was modified externally, retry the operation" in error["message"]
    assert operator.file.read_text() == text
    assert list(operator.sources()) == ["main", "other", "spare"]


@pytest.mark.parametrize("given", ["a", "zz", '"', "ä"])
def test_if_match_that_is_no_version(operator: Operator, given: str) -> None:
    headers = {"If-Match": given.encode("latin-1")}
    operator.error("POST", f"{MANAGEMENT}/apply-source", SPARE, status=409, headers=headers)


def test_changes_at_the_same_time_are_all_kept(operator: Operator) -> None:
    """The server's own threads take turns; each change is made to what the one before left."""
    control, scope, plugin = _control(operator)
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(control.apply, scope, plugin, {**SPARE, "id": f"s{n}", "name": f"S{n}"}, by=Caller("a"))
            for n in range(8)
        ]
    assert all(one.result().version for one in done)
    assert set(operator.sources()) == {"main", "other", *(f"s{n}" for n in range(8))}


def test_a_change_by_hand_in_between_is_kept(operator: Operator) -> None:
    operator.file.write_text(SOURCES.replace("Other skills", "By hand"))
    operator.apply(SPARE)
    assert operator.sources()["other"]["name"] == "By hand"
    assert operator.file.read_text().startswith("# Sources of the platform team.")


def test_a_file_that_is_broken_by_hand_is_not_changed(operator: Operator) -> None:
    """409, with the place and without the path of this machine."""
    broken = SOURCES + "    surces: []\n"
    operator.file.write_text(broken)
    for request in (
        ("POST", f"{MANAGEMENT}/apply-source", SPARE),
        ("POST", f"{MANAGEMENT}/validate-source", SPARE),
        ("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": False}),
        ("DELETE", f"{MANAGEMENT}/sources/main"),
    ):
        error = operator.error(*request, status=409)
        assert "surces" in error["message"]
        assert "sources.yaml:" in error["message"]
    assert operator.file.read_text() == broken
    assert operator.names() == ["four", "one", "two"]


def _control(operator: Operator) -> Any:
    services = operator.services
    return services.control, DEFAULT_SCOPE, services.registry.plugins["skills"]


def test_names_that_yaml_would_read_as_something_else(operator: Operator) -> None:
    for name in ("yes", "1.0", "null", "a: b # c", "- x", "'\"", "ß✓\U0001f600", "two\nlines", " blank "):
        given = {**SPARE, "name": name, "labels": [name], "properties": {"yamlCatalogPath": "spare.yaml", "x": name}}
        done = operator.apply(given)
        assert (done["name"], done["labels"], done["properties"]["x"]) == (name, [name], name)
        assert operator.sources()["spare"]["name"] == name
