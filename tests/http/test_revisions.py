"""Switching sources on and off, deleting them, and going back to an older configuration (spec http-api.md 1.5.5-8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_files import named, write_catalog
from tests.http.operator import BASE, MANAGEMENT, MARKER, SOURCES, Operator, operating

AGENTS = "/api/agents_catalog/v1alpha1"
SPARE = {"id": "spare", "name": "Spare", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


def revisions(operator: Operator, path: str = "revisions") -> list[dict[str, Any]]:
    document = operator.ok("GET", f"{MANAGEMENT}/{path}")
    assert document["count"] == len(document["revisions"])
    found: list[dict[str, Any]] = document["revisions"]
    return found


# --- enable, delete ---


@pytest.mark.parametrize("base", [MANAGEMENT, BASE])
def test_disable_and_enable(operator: Operator, base: str) -> None:
    """Entities vanish and come back with the answer; the file says so in one line."""
    done = operator.ok("POST", f"{base}/sources/main/enable", {"enabled": False})
    assert (done["id"], done["enabled"]) == ("main", False)
    assert done["status"] == {"state": "disabled", "entityCount": 0}
    assert done["properties"]["apiToken"] == MARKER
    assert done["version"] == hashlib.sha256(operator.file.read_bytes()).hexdigest()
    assert operator.names() == ["four"]
    text = operator.file.read_text()
    assert text.replace("        enabled: false\n", "") == SOURCES
    again = operator.ok("POST", f"{base}/sources/main/enable", {"enabled": False})
    assert again["version"] == done["version"], "what is so already is not saved again"
    back = operator.ok("POST", f"{base}/sources/main/enable", {"enabled": True})
    assert (back["status"]["state"], back["status"]["entityCount"]) == ("available", 2)
    assert operator.names() == ["four", "one", "two"]


@pytest.mark.parametrize("base", [MANAGEMENT, BASE])
def test_delete(operator: Operator, base: str) -> None:
    assert operator.ok("DELETE", f"{base}/sources/main") == {"status": "deleted"}
    assert list(operator.sources()) == ["other"]
    assert operator.names() == ["four"]
    assert "# what everybody uses" in operator.file.read_text()
    diagnosed = operator.ok("GET", f"{MANAGEMENT}/diagnostics")["sources"]
    assert [one["id"] for one in diagnosed] == ["other"]
    operator.error("DELETE", f"{base}/sources/main", status=404)


def test_the_last_source_of_a_section(operator: Operator) -> None:
    operator.ok("DELETE", f"{AGENTS}/management/sources/helpers")
    document = operator.ok("GET", f"{AGENTS}/management/sources")
    assert document == {"sources": [], "count": 0}
    given = {"id": "new", "name": "New", "type": "yaml", "properties": {"yamlCatalogPath": "agents.yaml"}}
    operator.ok("POST", f"{AGENTS}/management/apply-source", given)
    assert operator.names(f"{AGENTS}/agents") == ["helper"]


def test_a_section_that_is_not_there_yet(operator: Operator) -> None:
    write_catalog(operator.folder / "policies.yaml", "policies", named("p"))
    base = "/api/policies_catalog/v1alpha1"
    assert operator.ok("GET", f"{base}/management/sources") == {"sources": [], "count": 0}
    given = {"id": "new", "name": "New", "type": "yaml", "properties": {"yamlCatalogPath": "policies.yaml"}}
    operator.ok("POST", f"{base}/management/apply-source", given)
    assert operator.names(f"{base}/policies") == ["p"]


@pytest.mark.parametrize("source", ["nobody", "MAIN", "main%00", "a%2Fb", "helpers"])
def test_a_source_that_is_not_there(operator: Operator, source: str) -> None:
    for request in (
        ("POST", f"{MANAGEMENT}/sources/{source}/enable", {"enabled": True}),
        ("DELETE", f"{MANAGEMENT}/sources/{source}"),
    ):
        operator.error(*request, status=404)
    assert operator.file.read_text() == SOURCES


# --- revisions ---


def test_the_present_state_is_a_revision(operator: Operator) -> None:
    (only,) = revisions(operator)
    data = operator.file.read_bytes()
    assert only["hash"] == hashlib.sha256(data).hexdigest()
    assert only["version"] == only["hash"][:8]
    assert (only["size"], only["current"]) == (len(data), True)
    assert only["timestamp"].endswith("Z")
    assert not {"author", "reason"} & set(only)


def test_revisions_say_who_and_why(operator: Operator) -> None:
    operator.apply(SPARE)
    operator.ok(
        *("POST", f"{MANAGEMENT}/sources/spare/enable", {"enabled": False}), headers={"X-Remote-User": " oscar "}
    )
    operator.ok("DELETE", f"{MANAGEMENT}/sources/spare", headers={"X-Remote-User": ""})
    found = revisions(operator)
    assert [one.get("reason") for one in found] == [
        "delete skills/spare",
        "disable skills/spare",
        "apply skills/spare",
        None,
    ]
    assert [one.get("author") for one in found] == ["anonymous", "oscar", "olivia", None]
    assert [one["current"] for one in found] == [True, False, False, False]
    assert found[0]["hash"] == found[3]["hash"], "without the source the file is what it was"
    assert revisions(operator, "sources/whatever/revisions") == found
    assert operator.ok("GET", f"{BASE}/revisions")["revisions"] == found
    assert operator.client.ok(f"{MANAGEMENT}/revisions")["count"] == 4


def test_twenty_revisions_are_kept(operator: Operator) -> None:
    for number in range(25):
        operator.apply({**SPARE, "name": f"Spare {number}"})
    assert len(revisions(operator)) == 21


# --- rollback ---


@pytest.mark.parametrize("path", ["rollback", "sources/main:rollback"])
@pytest.mark.parametrize("digits", [8, 64])
def test_rollback_is_exact_to_the_byte(operator: Operator, path: str, digits: int) -> None:
    (first,) = revisions(operator)
    operator.apply(SPARE)
    operator.ok("POST", f"{AGENTS}/management/sources/helpers/enable", {"enabled": False})
    operator.ok("DELETE", f"{MANAGEMENT}/sources/main")
    done = operator.ok("POST", f"{MANAGEMENT}/{path}", {"version": first["hash"][:digits].upper()})
    assert done == {"status": "rolled_back", "version": first["hash"], "reinitialized": ["agents", "skills"]}
    assert operator.file.read_text() == SOURCES
    assert operator.names() == ["four", "one", "two"]
    assert operator.names(f"{AGENTS}/agents") == ["helper"]
    newest = revisions(operator)[0]
    assert newest["current"] is True
    assert newest["hash"] == first["hash"]
    assert newest["reason"].startswith("rollback ")


def test_rollback_names_the_plugins_whose_section_changed(operator: Operator) -> None:
    (first,) = revisions(operator)
    operator.ok("POST", f"{AGENTS}/management/sources/helpers/enable", {"enabled": False})
    done = operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": first["version"]})
    assert done["reinitialized"] == ["agents"]
    again = operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": first["version"]})
    assert again["reinitialized"] == []


def test_rollback_tells_what_cannot_be_loaded_any_more(operator: Operator) -> None:
    (first,) = revisions(operator)
    operator.ok("DELETE", f"{MANAGEMENT}/sources/main")
    (operator.folder / "main.yaml").unlink()
    done = operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": first["version"]})
    assert done["reinitErrors"]["skills"].startswith("main: the path 'main.yaml': No such file")
    assert str(operator.folder) not in str(done)


def test_rollback_to_what_was_never_there(operator: Operator) -> None:
    for version in ("0" * 8, "f" * 64):
        error = operator.error("POST", f"{MANAGEMENT}/rollback", {"version": version}, status=404)
        assert "there is no revision" in error["message"]
    assert operator.file.read_text() == SOURCES


def test_rollback_mends_a_file_that_was_broken_by_hand(operator: Operator) -> None:
    operator.apply(SPARE)
    good = operator.file.read_text()
    operator.file.write_text("catalogs: [")
    operator.client.refresh()
    version = next(one["version"] for one in revisions(operator) if one.get("reason") is None and not one["current"])
    operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": version})
    assert operator.file.read_text() == SOURCES != good
    assert "configError" not in operator.ok("GET", f"{MANAGEMENT}/sources")


def test_rollback_to_a_state_that_is_not_valid(operator: Operator) -> None:
    broken = SOURCES + "    surces: []\n"
    operator.apply(SPARE)
    (snapshot,) = (operator.folder / ".history").glob("*.yaml")
    old, version = (hashlib.sha256(text.encode()).hexdigest()[:8] for text in (SOURCES, broken))
    snapshot.rename(snapshot.with_name(snapshot.name.replace(old, version))).write_text(broken)
    before = operator.file.read_bytes()
    error = operator.error("POST", f"{MANAGEMENT}/rollback", {"version": version}, status=409)
    assert "would not be valid" in error["message"]
    assert operator.file.read_bytes() == before
