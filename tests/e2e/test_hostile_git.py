"""Git repositories that mean no good, or are gone: each is an error of its own source, in time, and nobody else's."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.managed import JOBS, QUICK_JOBS, Folder, Managed, git, local, skills
from tests.repositories import LINK, Repository, Special
from tests.server import wait_until

TIMEOUT = "2s"
ONCE = {**QUICK_JOBS, "CATALOG_JOB_MAX_RETRIES": "1"}


@contextmanager
def silent_server() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that takes connections and never says a word, and who has called."""
    callers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    callers.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], callers
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in callers:
                one.close()


@contextmanager
def readers(managed: Managed, *names: str) -> Iterator[None]:
    """Meanwhile these entities are read again and again: each answer must be good and hold them."""
    stop = threading.Event()

    def read() -> int:
        count = 0
        while not stop.wait(0.01):
            assert set(names) <= set(managed.names())
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            yield
        finally:
            stop.set()
        assert reading.result() > 0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.catalog("local.yaml", "local")
    return made


@pytest.mark.parametrize("scheme", ["https", "ssh"])
def test_repository_when_its_host_hangs_then_error_at_the_deadline(folder: Folder, scheme: str) -> None:
    with silent_server() as (port, callers):
        url = f"{scheme}://127.0.0.1:{port}/repository.git"
        folder.write(
            local("l", "local.yaml"),
            git("h", url, timeout=TIMEOUT),
            {**git("off", url, timeout=TIMEOUT), "enabled": False},
        )
        with folder.server(**ONCE) as managed, readers(managed, "local"):
            status = managed.expect_state("h", "error", 15)
            assert "2 s" in status["error"]
            assert managed.status("off")["state"] == "disabled"
            assert managed.names() == ["local"]
            assert managed.server.readiness()[0] == 200
            assert len(callers) == 1  # the disabled one was never called
            # To switch it off while it hangs again takes no time, and nothing else is held up.
            job_id = managed.refresh("h")
            wait_until("the call", lambda: len(callers) == 2)
            managed.enable("h", False)
            assert managed.status("h")["state"] == "disabled"
            managed.applied(local("m", "local.yaml", labels=["late"]))
            assert managed.job(job_id)["state"] == "running"
            managed.wait_for_job(job_id)
            assert managed.status("h")["state"] == "disabled"
            assert "error" not in managed.status("h")


def test_repository_when_a_link_in_it_leads_outside_then_nothing_outside_is_read(folder: Folder) -> None:
    outside = folder.root / "outside.yaml"
    outside.write_text(skills("stolen"))
    repository = Repository.create(folder.root / "config/repository", {"skills.yaml": skills("one")})
    folder.write(local("l", "local.yaml"), git("g", repository))
    with folder.server(**ONCE) as managed, readers(managed, "local"):
        managed.expect("local", "one")
        repository.commit({"skills.yaml": skills("one"), "more.yaml": Special(LINK, str(outside))})
        job = managed.wait_for_job(managed.refresh("g"))
        assert job["state"] == "failed"
        status = managed.status("g")
        assert status["state"] == "error"
        assert "more.yaml" in status["error"]
        assert "link" in status["error"]
        assert str(folder.root) not in status["error"] + job["lastError"]
        assert managed.names() == ["local", "one"]


def test_repository_when_it_is_huge_then_error_and_the_disk_is_not_filled(folder: Folder) -> None:
    """The repositories of tests store without compression, so that what they hold does not matter."""
    huge = Repository.create(folder.root / "config/huge", {"skills.yaml": skills("two"), "big": bytes(200 << 20)})
    folder.write(local("l", "local.yaml"), git("g", folder.repository("repository", "one")), git("h", huge))
    with folder.server(**ONCE) as managed, readers(managed, "local"):
        assert "bytes on disk" in managed.expect_state("h", "error", 60)["error"]
        managed.expect("local", "one")
        mirrors = folder.root / "data/git"
        assert sum(path.stat().st_size for path in mirrors.rglob("*") if path.is_file()) < 10 << 20


def test_repository_when_it_is_deleted_between_two_syncs_then_error_and_back_when_it_is_back(folder: Folder) -> None:
    repository = folder.repository("repository", "one")
    folder.write(local("l", "local.yaml"), git("g", repository, syncInterval="1s"))
    with folder.server(**ONCE) as managed:
        managed.expect("local", "one")
        with readers(managed, "local", "one"):
            shutil.move(repository.path, folder.root / "away")
            status = managed.expect_state("g", "error", 15)
        assert status["error"]
        assert status["entityCount"] == 1
        shutil.move(folder.root / "away", repository.path)
        repository.commit({"skills.yaml": skills("one", "two")})
        managed.expect_state("g", "available", 15)
        managed.expect("local", "one", "two")


def test_sources_when_disabled_then_they_cost_nothing(folder: Folder) -> None:
    """No process, no mirror, no job, and no fault for what would be wrong with them."""
    off = [git(f"off-{number}", f"file:///nowhere/{number}", syncInterval="1s") for number in range(20)]
    on = git("on", folder.repository("repository", "one"), syncInterval="1s")
    folder.write(local("l", "local.yaml"), on, *({**one, "enabled": False} for one in off))
    with folder.server(**ONCE) as managed:
        wait_until("three rounds of the schedule", lambda: managed.server.json(JOBS)["totalSize"] >= 3, 20)
        assert {managed.status(one["id"])["state"] for one in off} == {"disabled"}
        assert {one["sourceId"] for one in managed.server.json(JOBS)["jobs"]} == {"on"}
        assert len(list((folder.root / "data").glob("git/*"))) == 1
        assert managed.names() == ["local", "one"]
