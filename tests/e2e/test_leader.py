"""Several servers on one database, of which one leads: deaths, sleep, and what the others see of a change."""

from __future__ import annotations

import fcntl
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.databases import connect, execute, fetch_value
from tests.e2e.managed import MANAGEMENT, OPERATOR, QUICK_JOBS, Folder, Managed, git, local
from tests.fake_kubernetes import Cluster, serve_cluster
from tests.server import wait_until

LEASE_API = "apis/coordination.k8s.io/v1"
LEASE = {
    "CATALOG_LEADER_ELECTION_ENABLED": "true",
    "CATALOG_LEADER_LEASE_DURATION": "3",
    "CATALOG_LEADER_RENEW_DEADLINE": "2",
    "CATALOG_LEADER_RETRY_PERIOD": "1",
}
TAKE_OVER_SECONDS = 20.0
"""Lease duration plus retry is 4.2 s; the rest is for a busy machine."""
AUDIT = "/api/audit/v1alpha1/events"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@contextmanager
def by_lease() -> Iterator[tuple[Cluster, dict[str, str]]]:
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")  # a client by URL has no token
        yield cluster, {**LEASE, "CATALOG_KUBERNETES_URL": url}


def role(managed: Managed) -> str:
    return str(managed.server.readiness()[1]["components"]["leader_election"]["status"])


def leader_of(servers: list[Managed], seconds: float = TAKE_OVER_SECONDS) -> Managed:
    """The one that leads. That there is never a second one is for the caller to look at."""
    return wait_until("a leader", lambda: next((one for one in servers if role(one) == "leader"), None), seconds)  # type: ignore[return-value]


def start(stack: ExitStack, folder: Folder, names: str, **options: str) -> list[Managed]:
    return [stack.enter_context(folder.server(name, POD_NAME=f"pod-{name}", **options)) for name in names]


def test_election_then_one_leads_and_the_others_serve_what_it_loads(database: str, folder: Folder) -> None:
    """By the database, where there is no Kubernetes. Each follower says so, and is ready."""
    folder.catalog("one.yaml", "a", "b")
    folder.write(local("one", "one.yaml"))
    options = {**LEASE, "CATALOG_LEADER_ELECTION_MODE": "database", "DATABASE_DSN": database}
    with ExitStack() as stack:
        servers = start(stack, folder, "xyz", **options)
        assert Counter(map(role, servers)) == {"leader": 1, "follower": 2}
        for one in servers:
            one.expect("a", "b")
        loads = [len(one.server.logged("source refreshed", source="one")) for one in servers]
        assert sorted(loads) == [0, 0, 1], "only the leader loads"
        assert fetch_value(database, "SELECT COUNT(*) FROM leader_terms") == 1
        leader = leader_of(servers)
        folder.catalog("one.yaml", "a", "c")
        for one in servers:
            one.expect("a", "c")
        leader.server.stop()  # gives the lease back
        rest = [one for one in servers if one is not leader]
        wait_until("the next", lambda: "leader" in map(role, rest), TAKE_OVER_SECONDS)
        assert leader.server.logged("lease given back")
        folder.catalog("one.yaml", "d")
        for one in rest:
            one.expect("d")
        leader.server.is_killed = True  # it is stopped already


@pytest.mark.external_service
def test_leader_when_killed_under_load_then_the_next_leads_and_nothing_is_lost(
    postgres_database: str, folder: Folder
) -> None:
    """No job is lost or done twice, no audit event of an answered request is missing."""
    count = 40
    for number in range(count):
        folder.catalog(f"{number}.yaml", f"e-{number}")
    folder.write(*(local(f"s-{number}", f"{number}.yaml") for number in range(count)))
    with by_lease() as (_, options), ExitStack() as stack:
        servers = start(stack, folder, "abc", **options, **QUICK_JOBS, DATABASE_DSN=postgres_database)
        leader = leader_of(servers)
        rest = [one for one in servers if one is not leader]
        load = Load(servers, count)
        with load.running():
            wait_until("some jobs", lambda: len(load.jobs) > 20, 20)
            leader.server.kill()
            new = leader_of(rest)
            wait_until("more jobs", lambda: len(load.jobs) > 60, 30)
        assert [role(one) for one in rest].count("leader") == 1
        ends = {job: new.wait_for_job(job, seconds=60) for job in load.jobs}
        assert {one["state"] for one in ends.values()} == {"succeeded"}
        started = Counter(line["job"] for one in servers for line in one.server.logged("job started"))
        assert {job: started[job] for job in ends} == {job: one["attemptCount"] for job, one in ends.items()}
        done = Counter(line["job"] for one in rest for line in one.server.logged("job done"))
        assert max(done.values()) == 1
        recorded = {
            fetch
            for correlation in load.answered
            for fetch in [new.server.json(AUDIT, correlationId=correlation)["totalSize"] and correlation]
        }
        assert recorded == load.answered
        assert not load.failures, load.failures[:3]


class Load:
    """Asks any server that lives for refreshes, as fast as they answer."""

    def __init__(self, servers: list[Managed], sources: int) -> None:
        self._servers = servers
        self._sources = sources
        self.jobs: set[str] = set()
        self.answered: set[str] = set()
        self.failures: list[str] = []
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        asks = [(server, source) for server in range(len(self._servers)) for source in range(self._sources)]
        random.Random(1).shuffle(asks)
        for server, source in asks:
            if self._stop.wait(0.05):
                return
            self._ask(self._servers[server], source)

    def _ask(self, managed: Managed, source: int) -> None:
        name = f"load-{len(self.answered)}-{source}"
        if managed.server.is_killed:
            return
        try:
            answer = httpx.post(
                f"{managed.server.url}{MANAGEMENT}/refresh/s-{source}",
                headers={**OPERATOR, "X-Request-Id": name},
                timeout=30,
                trust_env=False,
            )
        except httpx.TransportError as error:
            if not managed.server.is_killed:
                self.failures.append(repr(error))
            return
        if answer.status_code != 202:
            self.failures.append(f"{answer.status_code} {answer.text}")
            return
        self.jobs.add(answer.json()["jobId"])
        self.answered.add(answer.json().get("correlationId", name))


@contextmanager
def writes_recorded(dsn: str) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """(application name of the connection, table) of each row written to the tables of the leader's work since then."""
    execute(dsn, "CREATE TABLE written (at timestamptz DEFAULT clock_timestamp(), who text, what text)")
    execute(
        dsn,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO written (who, what) VALUES (current_setting('application_name'), TG_TABLE_NAME);"
        " RETURN NULL; END $$",
    )
    for table in ("entities", "generations", "refresh_jobs", "catalog_refresh_status"):
        execute(
            dsn, f"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
        )

    def read() -> list[tuple[str, str]]:
        with closing(connect(dsn)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT who, what FROM written ORDER BY at")
            return list(cursor.fetchall())

    yield read


@pytest.mark.external_service
def test_leader_when_asleep_past_its_lease_then_it_writes_nothing_more(postgres_database: str, folder: Folder) -> None:
    """It sleeps in the middle of a job, and awakes when the next leader has done it."""
    repository = folder.repository("repository", "one")
    folder.catalog("x.yaml", "x")
    folder.write(git("g", repository))
    with by_lease() as (_, options), ExitStack() as stack:
        servers = {
            name: start(
                stack,
                folder,
                name,
                **options,
                **QUICK_JOBS,
                DATABASE_DSN=named(postgres_database, name),
            )[0]
            for name in "ab"
        }
        asleep = leader_of(list(servers.values()))
        name = next(key for key, one in servers.items() if one is asleep)
        other = next(one for one in servers.values() if one is not asleep)
        for one in servers.values():
            one.expect_state("g", "available")
            one.expect("one")
        repository.commit({"skills.yaml": "skills:\n- {name: two, description: x}\n"})
        with ExitStack() as locks:
            for lock in (folder.root / name / "git").glob("*/lock"):
                fcntl.flock(locks.enter_context(lock.open("ab")), fcntl.LOCK_EX)
            job = other.refresh("g")
            wait_until("the fetch", lambda: "fetching" in other.job(job).get("progress", ""), 10)
            asleep.server.process.send_signal(signal.SIGSTOP)
            try:
                assert leader_of([other]) is other
                done = other.wait_for_job(job, seconds=30)
                assert (done["state"], done["attemptCount"]) == ("succeeded", 2)
                other.expect("two")
                with writes_recorded(postgres_database) as read:
                    locks.close()  # what its fetch waits for
                    asleep.server.process.send_signal(signal.SIGCONT)
                    wait_until("the end of the old term", lambda: asleep.server.logged("leads no more"), 20)
                    wait_until("its job to end", lambda: not_running(asleep, job), 20)
                    asleep.expect("two")
                    other.applied(local("x", "x.yaml"))
                    asleep.expect("two", "x")
                    assert {who for who, _ in read()} == {key for key in servers if key != name}
            finally:
                asleep.server.process.send_signal(signal.SIGCONT)
        assert role(asleep) == "follower"
        assert fetch_value(postgres_database, "SELECT term FROM leader_terms") == 2


def named(dsn: str, name: str) -> str:
    """The DSN of connections that tell the database this name."""
    return f"{dsn}{'&' if '?' in dsn else '?'}application_name={name}"


def not_running(managed: Managed, job: str) -> bool:
    """Whether the server has said how its attempt ended."""
    ends = (
        "job stopped",
        "job done",
        "job attempt failed",
        "job result ignored",
        "job result ignored: the claim was lost",
    )
    return any(managed.server.logged(event, job=job) for event in ends)


def test_changes_when_three_servers_make_them_then_all_show_them_in_time(database: str, folder: Folder) -> None:
    """Read-your-writes on the server that was asked, within a second on the others where the database can tell them,
    two elsewhere; also of changes of the configuration, which none but the one that was asked has seen saved."""
    bound = 1.0 if database.startswith("postgres") else 2.0
    for number in range(4):
        folder.catalog(f"{number}.yaml", f"e-{number}")
    folder.write(*(local(f"s-{number}", f"{number}.yaml") for number in range(4)))
    with by_lease() as (_, options), ExitStack() as stack:
        servers = start(
            stack,
            folder,
            "abc",
            **options,
            DATABASE_DSN=database,
            CATALOG_CONFIG_STORE_MODE="k8s",
            CATALOG_RECONCILE_INTERVAL_SECONDS="3600",
        )
        late: list[float] = []
        enabled = dict.fromkeys(range(4), True)
        for step in range(24):
            asked, number = servers[step % 3], step % 4
            enabled[number] = not enabled[number]
            asked.enable(f"s-{number}", enabled[number])
            answered = time.monotonic()
            wanted = [f"e-{one}" for one in range(4) if enabled[one]]
            assert asked.names() == wanted, "read your writes"
            for other in servers:
                wait_until(f"step {step}", lambda other=other, wanted=wanted: other.names() == wanted, 10)
            late.append(time.monotonic() - answered)
        assert sorted(late)[len(late) // 2] < bound, late
        assert max(late) < bound + 1, late  # a busy machine may be late once; never is an answer old for long


def test_follower_when_it_missed_changes_that_are_forgotten_then_it_builds_anew(database: str, folder: Folder) -> None:
    folder.catalog("one.yaml", *(f"e-{number}" for number in range(30)))
    folder.write(local("one", "one.yaml"))
    options = {**LEASE, "CATALOG_LEADER_ELECTION_MODE": "database", "DATABASE_DSN": database}
    with ExitStack() as stack:
        servers = start(stack, folder, "ab", **options)
        leader = leader_of(servers)
        follower = next(one for one in servers if one is not leader)
        follower.server.process.send_signal(signal.SIGSTOP)
        try:
            folder.catalog("one.yaml", *(f"e-{number}" for number in range(29)), "new")
            leader.expect(*(f"e-{number}" for number in range(29)), "new")
            execute(database, "DELETE FROM changes")
            execute(database, "UPDATE generations SET pruned_to = generation")
        finally:
            follower.server.process.send_signal(signal.SIGCONT)
        follower.expect(*(f"e-{number}" for number in range(29)), "new")
        assert len(follower.server.logged("index built", plugin="skills")) == 2


def test_election_when_no_lease_can_be_had_then_data_are_served_and_the_reason_logged(
    postgres_database: str, folder: Folder
) -> None:
    """A replica that starts while the API server refuses serves what others have loaded."""
    folder.catalog("one.yaml", "a")
    folder.write(local("one", "one.yaml"))
    with by_lease() as (cluster, options), ExitStack() as stack:
        first = start(stack, folder, "a", **options, DATABASE_DSN=postgres_database)[0]
        leader_of([first])
        cluster.forbidden = {(method, "leases") for method in ("GET", "PUT", "POST")}
        second = start(stack, folder, "b", **options, DATABASE_DSN=postgres_database)[0]
        second.expect("a")
        wait_until("the reason", lambda: second.server.logged("cannot campaign to lead"), 10)
        wait_until("the loss", lambda: role(first) == "follower", TAKE_OVER_SECONDS)
        first.expect("a")
        cluster.forbidden = set()
        leader_of([first, second])
