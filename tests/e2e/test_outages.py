"""What happens around a server that works: its database goes away, the clock jumps, a proxy pools its connections."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.databases import count_advisory_locks, fetch_value
from tests.e2e.managed import BASE, MANAGEMENT, OPERATOR, QUICK_JOBS, Folder, Managed, local
from tests.pgbouncer import pooling
from tests.proxy import proxy_to
from tests.server import wait_until

AWAY_SECONDS = 20.0
SKILLS = f"{BASE}/skills"
AUDIT = "/api/audit/v1alpha1/events"
ELECTION = {
    "CATALOG_LEADER_ELECTION_ENABLED": "true",
    "CATALOG_LEADER_ELECTION_MODE": "database",
    "CATALOG_LEADER_LEASE_DURATION": "3",
    "CATALOG_LEADER_RENEW_DEADLINE": "2",
    "CATALOG_LEADER_RETRY_PERIOD": "1",
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class Traffic:
    """One reader and one writer, who ask without pause and note what they are answered."""

    def __init__(self, managed: Managed) -> None:
        self._url = managed.server.url
        self._stop = threading.Event()
        self.reads: Counter[int] = Counter()
        self.slowest_read = 0.0
        self.writes: list[tuple[int, str]] = []
        """Status, and the tag that was to be set."""

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    def _read(self) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not self._stop.wait(0.02):
                began = time.monotonic()
                self.reads[client.get(self._url + SKILLS).status_code] += 1
                self.slowest_read = max(self.slowest_read, time.monotonic() - began)

    def _write(self) -> None:
        with httpx.Client(timeout=60, trust_env=False) as client:
            while not self._stop.wait(0.05):
                tag = f"t-{len(self.writes)}"
                body = {"action": "tag", "params": {"tags": [tag]}}
                headers = {**OPERATOR, "X-Correlation-ID": tag}
                answer = client.post(f"{self._url}{MANAGEMENT}/entities/a:action", headers=headers, json=body)
                self.writes.append((answer.status_code, tag))

    def since(self, start: int) -> set[int]:
        return {status for status, _ in self.writes[start:]}


@pytest.mark.external_service
def test_postgresql_away_for_20_seconds_under_load(postgres_database: str, folder: Folder) -> None:
    """Reads go on, writes are refused, and everything recovers without a restart; nothing answered is lost."""
    folder.catalog("one.yaml", "a", "b")
    folder.write(local("one", "one.yaml"))
    parts = urlsplit(postgres_database)
    with proxy_to(parts.hostname or "", parts.port or 5432) as proxy:
        proxy.open()
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()
        with folder.server(DATABASE_DSN=through, **ELECTION, **QUICK_JOBS) as managed:
            managed.expect("a", "b")
            traffic = Traffic(managed)
            with traffic.running():
                wait_until("writes", lambda: len(traffic.writes) > 5)
                proxy.cut()
                wait_until("readiness to notice", lambda: managed.server.readiness()[0] == 503, 6)
                start = len(traffic.writes)
                away_since = time.monotonic()
                assert managed.post(f"{MANAGEMENT}/refresh/one").status_code == 503
                wait_until("20 s", lambda: time.monotonic() - away_since > AWAY_SECONDS, AWAY_SECONDS + 5)
                assert traffic.since(start) == {503}
                proxy.open()
                managed.server.wait_for_ready(30)
                back = len(traffic.writes)
                wait_until("writes again", lambda: 200 in traffic.since(back), 30)
                wait_until("the lead", lambda: leads(managed), 30)
                managed.wait_for_job(managed.refresh("one"), "succeeded", seconds=30)
            assert set(traffic.reads) == {200}
            assert traffic.slowest_read < 5
            assert {status for status, _ in traffic.writes} <= {200, 503}
            answered = [tag for status, tag in traffic.writes if status == 200]
            entity = managed.server.json(f"{SKILLS}/a")
            assert entity["overlay"]["tags"] == [answered[-1]]
            recorded = {
                tag: managed.server.get(AUDIT, params={"correlationId": tag}, headers=OPERATOR).json()["totalSize"]
                for _, tag in traffic.writes
            }
            assert set(recorded.values()) == {1}, "one event for each, done or refused"


def leads(managed: Managed) -> bool:
    return bool(managed.server.readiness()[1]["components"]["leader_election"]["status"] == "leader")


@pytest.mark.external_service
def test_pgbouncer_before_two_servers(postgres_database: str, folder: Folder, tmp_path: Path) -> None:
    """Where transactions are pooled nobody can be told of news; looking each second is enough."""
    folder.catalog("one.yaml", "a")
    folder.write(local("one", "one.yaml"))
    tmp_path.chmod(0o755)
    with pooling(postgres_database, tmp_path) as dsn, ExitStack() as stack:
        options = {"DATABASE_DSN": dsn, **ELECTION, **QUICK_JOBS}
        first, second = (stack.enter_context(folder.server(name, POD_NAME=name, **options)) for name in "xy")
        leader = wait_until("a leader", lambda: next((one for one in (first, second) if leads(one)), None), 20)
        assert leader is not None
        follower = second if leader is first else first
        for number in range(3):
            body = {"action": "tag", "params": {"tags": [f"n-{number}"]}}
            assert leader.post(f"{MANAGEMENT}/entities/a:action", body).status_code == 200
            for one in (leader, follower):
                wait_until("the tag", lambda one=one, n=number: tags(one) == [f"n-{n}"], 4)
        folder.catalog("one.yaml", "a", "b")
        for one in (first, second):
            one.expect("a", "b")
        follower.wait_for_job(follower.refresh("one"), "succeeded", seconds=20)
        leader.server.kill()
        wait_until("the next leader", lambda: leads(follower), 20)
        folder.catalog("one.yaml", "c")
        follower.expect("c", seconds=20)
        assert count_advisory_locks(postgres_database) == 0


def tags(managed: Managed) -> list[str]:
    found: list[str] = managed.server.json(f"{SKILLS}/a").get("overlay", {}).get("tags", [])
    return found


def clock_library() -> Path:
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1")]
    if not found:
        assert os.environ.get("CATALOG_TEST_REQUIRE_SERVICES") != "1", "libfaketime is missing: services.py installs it"
        pytest.skip("libfaketime is not installed; Debian has it in the package faketime")
    return found[0]


class Jumping:
    """The wall clock of servers started with `variables`; the steady clocks go on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.to("+0")
        self.variables = {
            "LD_PRELOAD": str(clock_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Seconds between looks into the file. With one for each look at the clock a server does little else.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def to(self, offset: str) -> None:
        other = self._file.with_suffix(".new")
        other.write_text(offset + "\n")
        other.rename(self._file)


@pytest.mark.parametrize("jump", ["+1h", "-1h"])
def test_the_clock_jumps_by_an_hour(database: str, folder: Folder, tmp_path: Path, jump: str) -> None:
    """Of one of two replicas. Leases, jobs and schedules go by steady clocks, or put up with it."""
    folder.catalog("one.yaml", "a")
    folder.write(local("one", "one.yaml"))
    clock = Jumping(tmp_path / "clock")
    with ExitStack() as stack:
        options = {"DATABASE_DSN": database, **ELECTION, **QUICK_JOBS}
        leader = stack.enter_context(folder.server("x", POD_NAME="x", **clock.variables, **options))
        assert leads(leader)
        follower = stack.enter_context(folder.server("y", POD_NAME="y", **options))
        before = leader.wait_for_job(leader.refresh("one"), "succeeded", seconds=20)
        clock.to(jump)
        wait_until("the new time", lambda: hours_off(leader) == {"+1h": 1, "-1h": -1}[jump])
        pause(6)  # two lease durations
        assert (leads(leader), leads(follower)) == (True, False)
        assert fetch_value(database, "SELECT max(term) FROM leader_terms") == 1
        folder.catalog("one.yaml", "a", "b")
        for one in (leader, follower):
            one.expect("a", "b")
        after = follower.wait_for_job(follower.refresh("one"), "succeeded", seconds=20)
        assert (before["attemptCount"], after["attemptCount"]) == (1, 1)
        for one in (leader, follower):
            assert one.server.readiness()[0] == 200
            assert one.post(f"{MANAGEMENT}/entities/a:action", {"action": "tag", "params": {"tags": ["t"]}}).is_success
        started = Counter(line["job"] for one in (leader, follower) for line in one.server.logged("job started"))
        assert started == {before["id"]: 1, after["id"]: 1}
        events = leader.server.get(AUDIT, headers=OPERATOR).json()
        assert events["totalSize"] == 6, "two refreshes, the ends of two jobs, two tags"
        clock.to("+0")
        wait_until("the old time", lambda: hours_off(leader) == 0)
        pause(4)
        assert leads(leader)
        assert leader.server.readiness()[0] == 200


def hours_off(managed: Managed) -> int:
    """By how many hours the clock of a server is ahead, as its log tells."""
    managed.server.get(SKILLS)
    last = wait_until("a line", lambda: managed.server.logged("request"))[-1]["timestamp"]
    told = time.mktime(time.strptime(last[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return round((told - time.time()) / 3600)


def pause(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until("time to go by", lambda: time.monotonic() > end, seconds + 5)
