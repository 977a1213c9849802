"""The sources file is changed by somebody else: only what changed is loaded anew, and a broken file changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.e2e.managed import BASE, MANAGEMENT, Folder, Managed, local
from tests.server import running, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    for name in ("one", "two", "three"):
        made.catalog(f"{name}.yaml", name)
    made.write(local("a", "one.yaml"), local("b", "two.yaml"))
    return made


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def by_rename(file: Path, text: str) -> None:
    beside = file.with_name(".beside")
    beside.write_text(text)
    beside.replace(file)


def refreshed(managed: Managed) -> list[str]:
    return [str(line["source"]) for line in managed.server.logged("source refreshed")]


# Without the watcher only the reconciliation is left to notice.
@pytest.mark.parametrize("watched", ["true", "false"])
@pytest.mark.parametrize("write", [in_place, by_rename])
def test_file_when_another_process_changes_it_then_only_what_changed_is_loaded(
    folder: Folder, write: Callable[[Path, str], None], watched: str
) -> None:
    options = {"CATALOG_WATCH_ENABLED": watched, "CATALOG_RECONCILE_INTERVAL_SECONDS": "1"}
    with folder.server(**options) as managed:
        assert refreshed(managed) == ["a", "b"]
        times = {one: managed.status(one)["lastRefreshTime"] for one in "ab"}
        good = folder.sources.read_text()
        write(folder.sources, good.replace("two.yaml", "three.yaml"))
        managed.expect("one", "three")
        assert refreshed(managed) == ["a", "b", "b"]
        assert managed.status("a")["lastRefreshTime"] == times["a"]

        write(folder.sources, good.replace("two.yaml", "one.yaml").replace("sources:", "surces:"))
        problem = wait_until("the reason", managed.config_error, 10)
        assert "sources.yaml:5" in problem
        assert "surces" in problem
        assert str(folder.root) not in problem
        diagnostics = managed.server.json(f"{MANAGEMENT}/diagnostics")
        assert "surces" in str(diagnostics)
        assert managed.names() == ["one", "three"]
        assert refreshed(managed) == ["a", "b", "b"]
        # Nobody can change by the API what cannot be read, and nothing is overwritten.
        broken = folder.sources.read_bytes()
        refused = managed.apply(local("c", "three.yaml"))
        assert refused.status_code == 409
        assert "surces" in refused.text
        assert str(folder.root) not in refused.text
        assert folder.sources.read_bytes() == broken

        write(folder.sources, good)
        managed.expect("one", "two")
        wait_until("the repair", lambda: not managed.config_error(), 10)
        assert refreshed(managed) == ["a", "b", "b", "b"]


def test_file_when_only_names_and_comments_change_then_nothing_is_loaded(folder: Folder) -> None:
    with folder.server() as managed:
        text = folder.sources.read_text().replace("name: b", "name: Renamed  # for people")
        folder.sources.write_text(text)
        wait_until("the name", lambda: managed.source("b")["name"] == "Renamed", 10)
        assert refreshed(managed) == ["a", "b"]
        managed.applied(local("c", "three.yaml"))
        assert "# for people" in folder.sources.read_text()
        assert refreshed(managed) == ["a", "b", "c"]


def test_file_when_changed_by_hand_and_over_http_in_turn_then_nothing_is_lost(folder: Folder) -> None:
    """The watching thread, the reconciliation and the API take turns as they please."""
    with folder.server(CATALOG_RECONCILE_INTERVAL_SECONDS="1") as managed:
        for number in range(15):
            managed.applied(local(f"http-{number}", "one.yaml"))
            marker = f"# by hand {number}\n"
            folder.sources.write_text(marker + folder.sources.read_text())
        ids = {"a", "b", *(f"http-{number}" for number in range(15))}
        assert set(folder.configured()) == ids
        assert [line for line in folder.sources.read_text().splitlines() if line.startswith("# by hand")] == [
            f"# by hand {number}" for number in reversed(range(15))
        ]
        managed.expect(*["one"] * 16, "two")
        assert {one["id"] for one in managed.server.json(f"{MANAGEMENT}/sources")["sources"]} == ids
        assert managed.config_error() == ""


def test_plugin_that_could_not_load_anything_is_tried_again_while_the_others_serve(tmp_path: Path) -> None:
    """Nobody asks and no file event tells: the volume of its data was slower than the server."""
    agents = write_catalog(tmp_path / "agents.yaml", "agents", named("helper"))
    late = {"id": "late", "path": tmp_path / "late.yaml"}
    sources = write_sources(tmp_path / "s.yaml", {"agents": [{"id": "good", "path": agents}], "skills": [late]})
    options = {"CATALOG_WATCH_ENABLED": "false", "CATALOG_RECONCILE_INTERVAL_SECONDS": "1"}
    with running(tmp_path / "data", sources, wait=False, **options) as server:

        def components() -> Any:
            return server.get("/readyz").json()["components"]

        wait_until("the first load", lambda: components()["initial_load"]["status"] == "complete")
        assert components()["plugins"] == {"status": "degraded", "details": "7 of 8 plugins healthy"}
        assert server.names("/api/agents_catalog/v1alpha1/agents") == ["helper"]
        write_catalog(tmp_path / "late.yaml", "skills", named("one"))
        wait_until("its entity", lambda: server.names(f"{BASE}/skills") == ["one"])
        assert server.get("/readyz").status_code == 200
