"""Many change the configuration at once: nobody's change is lost, and who names a version is told when it is old."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.e2e.managed import MANAGEMENT, Folder, Managed, local
from tests.server import wait_until


def shown_ids(managed: Managed) -> set[str]:
    return {one["id"] for one in managed.server.json(f"{MANAGEMENT}/sources")["sources"]}


def test_apply_when_two_name_the_same_version_then_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.catalog("one.yaml", "one")
    folder.write(local("s", "one.yaml"))
    with folder.server() as managed, ThreadPoolExecutor(2) as pool:
        for number in range(5):
            version = managed.server.json(f"{MANAGEMENT}/revisions")["revisions"][0]["version"]
            sources = [local(f"{name}{number}", "one.yaml") for name in "ab"]
            answers = list(pool.map(lambda one, version=version: managed.apply(one, **{"If-Match": version}), sources))
            assert sorted(one.status_code for one in answers) == [200, 409]
            won, lost = sorted(answers, key=lambda one: one.status_code)
            assert "modified" in lost.json()["message"]
            assert won.json()["id"] in folder.configured()
        assert len(folder.configured()) == 6
        assert shown_ids(managed) == set(folder.configured())


def test_apply_when_two_processes_share_the_file_then_every_change_is_in_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.catalog("one.yaml", "one")
    folder.write(local("s", "one.yaml"))
    ids = [f"s{number}" for number in range(20)]
    dsn = f"sqlite:///{tmp_path / 'catalog.db'}"
    with (
        folder.server("a", DATABASE_DSN=dsn) as first,
        folder.server("b", DATABASE_DSN=dsn) as second,
        ThreadPoolExecutor(len(ids)) as pool,
    ):
        servers = [first, second] * 10

        def apply(pair: tuple[Managed, str]) -> httpx.Response:
            return pair[0].apply(local(pair[1], "one.yaml"))

        answers = list(pool.map(apply, zip(servers, ids, strict=True)))
        assert [one.status_code for one in answers] == [200] * 20, [one.text for one in answers]
        assert set(folder.configured()) == {"s", *ids}
        assert folder.leftovers() == []
        for managed in (first, second):
            wait_until("all sources", lambda managed=managed: len(shown_ids(managed)) == 21, 20)
            wait_until("all entities", lambda managed=managed: len(managed.names()) == 21, 20)
