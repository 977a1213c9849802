"""Files edited while the server runs: seen within seconds, and a mistake never takes data away."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_files import catalog_text, named, write_catalog, write_many, write_sources
from tests.server import RunningServer, running, wait_until

BASE = "/api/skills_catalog/v1alpha1"
SECONDS = 5.0


class Site:
    """A server, its sources file and the folder of its data."""

    def __init__(self, folder: Path, server: RunningServer, sources: Path) -> None:
        self.folder, self.server, self.sources = folder, server, sources

    def names(self) -> list[str]:
        return self.server.names(f"{BASE}/skills")

    def expect(self, *names: str) -> None:
        wait_until(f"entities {names}", lambda: self.names() == sorted(names), SECONDS)

    def source(self, source_id: str = "s") -> dict[str, Any]:
        found = self.server.json(f"{BASE}/sources", pageSize="100")["sources"]
        return next((one for one in found if one["id"] == source_id), {})

    def expect_state(self, state: str, source_id: str = "s") -> dict[str, Any]:
        def status() -> dict[str, Any] | None:
            found = self.source(source_id).get("status", {})
            return found if found.get("state") == state else None

        found = wait_until(f"state {state}", status, SECONDS)
        assert found is not None
        return found

    def config_error(self) -> str:
        return str(self.server.json(f"{BASE}/sources").get("configError", ""))


def catalog(*names: str) -> str:
    return catalog_text("skills", named(*names))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    write_catalog(tmp_path / "config/skills.yaml", "skills", named("one"))
    sources = write_sources(tmp_path / "config/s.yaml", {"skills": [{"id": "s", "path": "skills.yaml"}]})
    with running(tmp_path / "data", sources) as server:
        yield Site(tmp_path / "config", server, sources)


def truncate_and_write(file: Path, text: str) -> None:
    file.write_text(text)


def write_in_pieces(file: Path, text: str) -> None:
    with file.open("w") as stream:
        for character in text:
            stream.write(character)
            stream.flush()


def rename_over(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.swp")
    beside.write_text(text)
    beside.replace(file)


def remove_and_create(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


WAYS = [truncate_and_write, write_in_pieces, rename_over, remove_and_create]


@pytest.mark.parametrize("write", WAYS)
def test_data_file(site: Site, write: Callable[[Path, str], None]) -> None:
    file = site.folder / "skills.yaml"
    write(file, catalog("one", "two"))
    site.expect("one", "two")
    # The same size, and perhaps the same second.
    write(file, catalog("one", "six"))
    site.expect("one", "six")
    assert site.source()["status"]["entityCount"] == 2


def test_configmap(tmp_path: Path) -> None:
    """Kubernetes swaps the link `..data`; the files themselves are links through it, and none of them changes."""
    mount = tmp_path / "config"

    def publish(version: str, *names: str, source_name: str = "s") -> None:
        folder = mount / f"..{version}"
        write_catalog(folder / "skills.yaml", "skills", named(*names))
        write_sources(folder / "s.yaml", {"skills": [{"id": "s", "path": "skills.yaml", "name": source_name}]})
        (mount / "..data_tmp").symlink_to(folder.name)
        (mount / "..data_tmp").replace(mount / "..data")
        for old in mount.glob("..2*"):
            if old != folder:
                for file in old.iterdir():
                    file.unlink()
                old.rmdir()

    mount.mkdir()
    publish("2031_01", "one")
    for name in ("skills.yaml", "s.yaml"):
        (mount / name).symlink_to(f"..data/{name}")
    with running(tmp_path / "data", mount / "s.yaml") as server:
        site = Site(mount, server, mount / "s.yaml")
        site.expect("one")
        publish("2031_02", "one", "two")
        site.expect("one", "two")
        publish("2031_03", "three", source_name="Renamed")
        site.expect("three")
        wait_until("the new name", lambda: site.source()["name"] == "Renamed", SECONDS)
        assert site.source()["status"]["state"] == "available"


def test_broken_data_keeps_the_last_good_set(site: Site) -> None:
    file = site.folder / "skills.yaml"
    before = site.server.get(f"{BASE}/skills")
    file.write_text("skills:\n  - name: one\n  - name: [two\n")
    status = site.expect_state("error")
    assert re.search(r"skills\.yaml:\d+", status["error"])
    assert status["entityCount"] == 1
    assert status["lastRefreshStatus"] == "error"
    assert site.server.get(f"{BASE}/skills").content == before.content
    assert site.server.readiness()[0] == 200
    file.write_text(catalog("one", "two"))
    status = site.expect_state("available")
    assert "error" not in status
    site.expect("one", "two")


def test_a_file_that_goes_away_and_comes_back(site: Site) -> None:
    file = site.folder / "skills.yaml"
    file.unlink()
    assert "skills.yaml" in site.expect_state("error")["error"]
    assert site.names() == ["one"]
    file.write_text(catalog("back"))
    site.expect_state("available")
    site.expect("back")


def test_a_bad_item_is_told_and_the_others_are_served(site: Site) -> None:
    (site.folder / "skills.yaml").write_text(catalog("one", "two") + "- name: three\n  timeoutSeconds: soon\n")
    site.expect("one", "two")
    (problem,) = site.expect_state("available")["problems"]
    assert problem["field"] == "timeoutSeconds"
    assert (problem["file"], problem["line"]) == ("skills.yaml", 5)


def test_sources_file(site: Site) -> None:
    write_catalog(site.folder / "more.yaml", "skills", named("more"))
    first, second = {"id": "s", "path": "skills.yaml"}, {"id": "t", "path": "more.yaml"}
    write_sources(site.sources, {"skills": [first, second]})  # add
    site.expect("one", "more")
    write_sources(site.sources, {"skills": [first, {**second, "enabled": False}]})  # disable
    site.expect("one")
    site.expect_state("disabled", "t")
    write_sources(site.sources, {"skills": [first, second]})  # enable
    site.expect("one", "more")
    site.expect_state("available", "t")
    write_sources(site.sources, {"skills": [second]})  # remove
    site.expect("more")
    wait_until("the source to go", lambda: site.source("s") == {}, SECONDS)
    write_catalog(site.folder / "more.yaml", "skills", named("newer"))  # a file of a source that came later
    site.expect("newer")


def test_a_file_that_appears_after_its_source(site: Site) -> None:
    paths = ({"id": "s", "path": "skills.yaml"}, {"id": "t", "path": "later/more.yaml"})
    write_sources(site.sources, {"skills": list(paths)})
    site.expect_state("error", "t")
    write_catalog(site.folder / "later/more.yaml", "skills", named("more"))
    site.expect("one", "more")
    site.expect_state("available", "t")


@pytest.mark.parametrize("write", [truncate_and_write, rename_over])
def test_broken_sources_file(site: Site, write: Callable[[Path, str], None]) -> None:
    good = site.sources.read_text()
    write(site.sources, good.replace("sources:", "surces:"))
    error = wait_until("the reason", site.config_error, SECONDS)
    assert re.search(r"s\.yaml:\d+", error)
    assert "surces" in error
    assert str(site.folder) not in error
    assert site.names() == ["one"]
    assert site.source()["status"]["state"] == "available"
    assert site.server.readiness()[0] == 200
    # Data go on being followed under the old configuration.
    (site.folder / "skills.yaml").write_text(catalog("one", "two"))
    site.expect("one", "two")
    write(site.sources, good)
    wait_until("the repair", lambda: not site.config_error(), SECONDS)
    assert site.names() == ["one", "two"]


def test_a_sources_file_that_goes_away_keeps_everything(site: Site) -> None:
    good = site.sources.read_text()
    site.sources.unlink()
    assert "s.yaml" in wait_until("the reason", site.config_error, SECONDS)
    assert site.names() == ["one"]
    site.sources.write_text(good)
    wait_until("the repair", lambda: not site.config_error(), SECONDS)


def test_an_edit_during_the_start_is_not_lost(tmp_path: Path) -> None:
    """`a` is read first; while `b` keeps the server busy, `a` changes."""
    small = write_catalog(tmp_path / "a.yaml", "agents", named("one"))
    big = write_many(tmp_path / "b.yaml", "skills", 5000)
    sources = write_sources(
        tmp_path / "s.yaml", {"skills": [{"id": "z", "path": big}], "agents": [{"id": "a", "path": small}]}
    )
    agents = "/api/agents_catalog/v1alpha1/agents"
    with running(tmp_path / "data", sources, wait=False) as server:
        wait_until("the first source", lambda: server.alive() and server.logged("source refreshed", source="a"), 60)
        write_catalog(small, "agents", named("two"))
        assert server.readiness()[0] == 503
        server.wait_for_ready()
        wait_until("the edit", lambda: server.names(agents) == ["two"], SECONDS)


def test_watching_can_be_off(tmp_path: Path) -> None:
    file = write_catalog(tmp_path / "skills.yaml", "skills", named("one"))
    sources = write_sources(tmp_path / "s.yaml", {"skills": [{"id": "s", "path": file}]})
    with running(tmp_path / "data", sources, CATALOG_WATCH_ENABLED="false") as server:  # type: ignore[arg-type]
        file.write_text(catalog("two"))
        os.utime(file)
        assert server.names(f"{BASE}/skills") == ["one"]
    with running(tmp_path / "data", sources) as server:  # a start takes the change, in the same database
        assert server.names(f"{BASE}/skills") == ["two"]
