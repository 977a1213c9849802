"""SIGKILL at each step of an apply and of a refresh: what is there afterwards is whole, old or new, and goes on."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalog_server.sources.stores.file import STEPS
from tests.databases import execute, fetch_value
from tests.e2e.managed import JOBS, QUICK_JOBS, Folder, Killer, Managed, git, local, skills
from tests.server import wait_until

SAVED_FROM = STEPS.index("renamed")
# (step, what was saved when it is reached): a few for each walk, for each costs a start.
BEFORE_WRITING = [("validated", False), *((step, False) for step in STEPS[:3])]
WHILE_WRITING = [(step, False) for step in STEPS[3:SAVED_FROM]]
AFTER_WRITING = [*((step, True) for step in STEPS[SAVED_FROM:]), ("in-force", True)]
REFRESH_STEPS = [("job-claimed", False), ("fetched", False), ("read", False), ("written", False), ("job-done", True)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    return Killer(tmp_path)


@pytest.mark.parametrize("steps", [BEFORE_WRITING, WHILE_WRITING, AFTER_WRITING])
def test_apply_when_killed_then_the_old_or_the_new_configuration(
    folder: Folder, killer: Killer, steps: list[tuple[str, bool]]
) -> None:
    """The change is one that brings entities and takes others away; never is half of it served."""
    current, other = "one", "two"
    for name in (current, other):
        folder.catalog(f"{name}.yaml", name)
    folder.write(local("s", "one.yaml"), local("t", "one.yaml", enabled=False))
    for step, is_saved in steps:
        before = folder.sources.read_bytes()
        with folder.server(command=killer.command) as managed:
            assert managed.names() == [current], step
            killer.during(managed, step, partial(managed.apply, local("s", f"{other}.yaml")))
        if is_saved:
            current, other = other, current
        assert folder.configured()["s"]["properties"] == {"yamlCatalogPath": f"{current}.yaml"}, step
        assert folder.configured()["t"]["enabled"] is False
        assert (folder.sources.read_bytes() == before) is not is_saved
    with folder.server() as managed:
        assert managed.names() == [current]
        managed.applied(local("s", f"{other}.yaml"))
        assert managed.names() == [other]
        managed.applied(local("u", f"{current}.yaml"))
        assert managed.names() == ["one", "two"]
        assert folder.leftovers() == []


def test_apply_of_content_when_killed_then_the_catalog_file_is_whole(folder: Folder, killer: Killer) -> None:
    file = folder.catalog("one.yaml", "one")
    folder.write(local("s", "one.yaml"))
    served, name = "one", "s"
    for step, is_saved, is_new in (
        ("content-staged", False, False),
        ("renamed", True, False),
        ("content-in-place", True, True),
        ("in-force", True, True),
    ):
        given: dict[str, Any] = {**local("s", "one.yaml"), "name": step}
        given["properties"] = {**given["properties"], "content": skills(f"of-{step}")}
        with folder.server(command=killer.command) as managed:
            assert managed.names() == [served]
            killer.during(managed, step, partial(managed.apply, given))
        served, name = f"of-{step}" if is_new else served, step if is_saved else name
        assert file.read_text() == skills(served), step
        assert folder.configured()["s"]["name"] == name
    for leftover in folder.leftovers():
        os.utime(folder.root / leftover, (0, 0))  # long ago: nobody can be writing it any more
    with folder.server() as managed:
        assert managed.names() == [served]
        given["properties"]["content"] = skills("new", "newer")
        managed.applied(given)
        assert managed.names() == ["new", "newer"]
        assert folder.leftovers() == []


class JobSite:
    """A git source `g` beside a local one, over a database of any kind."""

    def __init__(self, folder: Folder, killer: Killer, dsn: str) -> None:
        self.folder, self.killer, self.dsn = folder, killer, dsn
        self.repository = folder.repository("repository", "one", "two")
        folder.catalog("local.yaml", "local")
        folder.write(git("g", self.repository), local("l", "local.yaml"))
        # Without the watcher, whose first round loads the local source and may reach a step before the job does.
        self.options: dict[str, Any] = {"DATABASE_DSN": dsn, "CATALOG_WATCH_ENABLED": "false", **QUICK_JOBS}

    def kill_during_refresh(self, managed: Managed, step: str, *names: str) -> str:
        """Change the repository and refresh it; the id of the job that was on its way when the server died."""
        self.repository.commit({"skills.yaml": skills(*names)})
        self.killer.during(managed, step, partial(managed.refresh, "g"))
        # The server can die before it has answered, so that the queue alone knows the id.
        return str(fetch_value(self.dsn, "SELECT id FROM refresh_jobs WHERE state = 'running'"))

    def let_claims_expire(self) -> None:
        """As if the worker had been silent for long: the shortest time that can be set is a minute."""
        execute(self.dsn, "UPDATE refresh_jobs SET heartbeat_at = heartbeat_at - 3600000 WHERE state = 'running'")

    def expect_first_sync(self, managed: Managed) -> None:
        managed.expect("local", "one", "two")
        wait_until("the job to end", lambda: not managed.server.json(JOBS, state="running")["jobs"])


@pytest.mark.parametrize("steps", [REFRESH_STEPS[:3], REFRESH_STEPS[3:]])
def test_refresh_when_killed_then_the_last_good_set_is_served_and_the_job_is_done_by_the_next(
    database: str, folder: Folder, killer: Killer, steps: list[tuple[str, bool]]
) -> None:
    site = JobSite(folder, killer, database)
    served = ["one", "two"]
    wanted: tuple[str, ...] = ()
    job_id = ""
    for step, is_stored in [*steps, ("", False)]:
        with folder.server(command=killer.command, **site.options) as managed:
            if not job_id:
                site.expect_first_sync(managed)
            else:
                assert managed.names() == ["local", *served], step
                assert managed.status("g")["state"] == "available"
                assert managed.job(job_id)["state"] == "running"
                assert managed.refresh("g") == job_id  # there is one live job, whoever ran it
                site.let_claims_expire()
                ended = managed.wait_for_job(job_id)
                assert (ended["state"], ended["attemptCount"], ended["entitiesLoaded"]) == ("succeeded", 2, 2)
                served = sorted(wanted)
                assert managed.names() == ["local", *served]
            if step:
                wanted = ("two", f"of-{step}")
                job_id = site.kill_during_refresh(managed, step, *wanted)
                served = sorted(wanted) if is_stored else served


def test_refresh_when_killed_in_its_last_attempt_then_the_job_fails_with_the_reason(
    tmp_path: Path, folder: Folder, killer: Killer
) -> None:
    site = JobSite(folder, killer, f"sqlite:///{tmp_path / 'catalog.db'}")
    options = {**site.options, "CATALOG_JOB_MAX_RETRIES": "1"}
    with folder.server(command=killer.command, **options) as managed:
        site.expect_first_sync(managed)
        job_id = site.kill_during_refresh(managed, "fetched", "three")
    with folder.server(**options) as managed:
        site.let_claims_expire()
        ended = managed.wait_for_job(job_id)
        assert ended["state"] == "failed"
        assert "stuck job recovered" in ended["lastError"]
        assert managed.names() == ["local", "one", "two"]
        again = managed.wait_for_job(managed.refresh("g"))
        assert again["state"] == "succeeded"
        assert managed.names() == ["local", "three"]
