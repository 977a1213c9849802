"""A fetch that is given up, because its job was canceled or the server stops, ends at once and leaves nothing."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from catalog_server.catalog.configuration import Files
from catalog_server.providers.deadline import LOOK_SECONDS, Deadline
from catalog_server.providers.git_mirror import lock_folder
from catalog_server.providers.hf_source import HubPolicy
from catalog_server.providers.huggingface import HuggingFaceProvider
from tests.contract.providers.git_bench import GitBench
from tests.contract.providers.http_bench import HOST, YAML, Authority, HTTPBench, ScriptedServer, Seen, answer
from tests.fake_huggingface import Fault, Hub, serve_hub
from tests.repositories import GitServer, processes_with
from tests.server import FOREVER_SECONDS, wait_until

HUB_POLICY = HubPolicy(http_hosts=frozenset({"127.0.0.1"}), allowed_networks=(ip_network("127.0.0.0/8"),))


class GivenUp(BaseException):
    """Like JobCanceled no Exception, so that nobody on the way takes it for a failure of the source."""


class Watch:
    """Starts to raise a little after a fetch has begun."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self.looks = 0
        self.raised = 0

    def __call__(self) -> None:
        self.looks += 1
        if self._is_over.is_set():
            self.raised += 1
            raise GivenUp

    def check(self, files: Files, fetch: Callable[[Files], Any], after: float = 0.5) -> None:
        """The fetch looks up all the time, and the first look that says so ends it."""
        timer = threading.Timer(after, self._is_over.set)
        timer.start()
        with pytest.raises(GivenUp):
            fetch(replace(files, check=self))
        timer.join()
        assert self.looks > 1
        assert self.raised == 1
        assert LOOK_SECONDS < 1  # so that it ends within a second


@pytest.fixture
def watch() -> Watch:
    return Watch()


class TestGit:
    def test_server_hangs_then_no_process_no_work_folder_and_no_lock_is_left(
        self, bench: GitBench, server: GitServer, watch: Watch
    ) -> None:
        repository = bench.repository()
        server.delay_seconds = FOREVER_SECONDS
        given = {"repoUrl": f"{server.url}/r.git", "authToken": "t0ken"}
        watch.check(bench.files, lambda files: bench.provider.fetch(given, files))
        wait_until("the git processes to be gone", lambda: not processes_with(server.url), 2)
        assert [path.name for folder in bench.mirrors.iterdir() for path in folder.glob("work*")] == []
        server.delay_seconds = 0
        assert bench.fetch(f"{server.url}/r.git").commit_sha == repository.heads["main"]

    def test_pack_trickles_in_then_no_unfinished_pack_is_left(
        self, bench: GitBench, server: GitServer, watch: Watch
    ) -> None:
        bench.repository({"a.yaml": bytes(range(256)) * 20, "b.yaml": os.urandom(3_000_000)})
        server.chunk_pause_seconds = 0.3
        given = {"repoUrl": f"{server.url}/r.git"}
        watch.check(bench.files, lambda files: bench.provider.fetch(given, files), after=2)
        wait_until("the git processes to be gone", lambda: not processes_with(server.url), 2)
        assert list(bench.mirrors.rglob("tmp_*")) == []
        assert list(bench.mirrors.rglob("*.pack")) == []

    def test_another_fetch_holds_the_mirror_then_not_waited_for(self, bench: GitBench, watch: Watch) -> None:
        repository = bench.repository()
        bench.fetch(repository.url)
        with lock_folder(bench.mirror().parent, Deadline.after(5)):
            watch.check(bench.files, lambda files: bench.provider.fetch({"repoUrl": repository.url}, files))
        assert bench.fetch(repository.url).files


class TestHTTP:
    def check(self, http_bench: HTTPBench, watch: Watch, url: str, **settings: Any) -> None:
        provider = http_bench.build(timeout_seconds=60.0, **settings)
        watch.check(http_bench.files, lambda files: provider.fetch({"url": url}, files))
        assert http_bench.kept() == []

    def test_server_hangs_then_the_connection_is_closed(
        self, http_bench: HTTPBench, web: ScriptedServer, watch: Watch
    ) -> None:
        hung_up = threading.Event()

        def hang(connection: socket.socket, _: Seen) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nagents:")
            if connection.recv(1) == b"":
                hung_up.set()

        web.then(hang)
        self.check(http_bench, watch, f"{web.url}/a")
        assert hung_up.wait(1)
        assert len(web.seen) == 1

    def test_slow_body_then_between_two_bytes(self, http_bench: HTTPBench, web: ScriptedServer, watch: Watch) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        web.then(lambda connection, _: web.send_slowly(connection, [head, *[b"x"] * 1000]))
        self.check(http_bench, watch, f"{web.url}/a")

    def test_handshake_hangs_then_given_up(self, http_bench: HTTPBench, watch: Watch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            self.check(http_bench, watch, f"https://{HOST}:{mute.getsockname()[1]}/a")

    def test_no_answer_to_the_connection_then_given_up(self, http_bench: HTTPBench, watch: Watch) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            place = full.getsockname()
            waiting = [socket.socket() for _ in range(4)]  # more than the listener takes
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(place)
            self.check(http_bench, watch, f"http://{HOST}:{place[1]}/a")
            for one in waiting:
                one.close()

    def test_pause_between_tries_then_cut_short(self, http_bench: HTTPBench, web: ScriptedServer, watch: Watch) -> None:
        web.then(answer(503, b"", Retry_After="20"))
        self.check(http_bench, watch, f"{web.url}/a")
        assert len(web.seen) == 1

    def test_resolver_hangs_then_given_up(self, http_bench: HTTPBench, watch: Watch) -> None:
        released = threading.Event()

        def resolve(host: str, port: int) -> list[str]:
            released.wait()
            return []

        self.check(http_bench, watch, f"http://{HOST}/a", resolve=resolve)
        released.set()


class TestHub:
    @pytest.fixture
    def hub(self) -> Iterator[Hub]:
        with serve_hub() as hub:
            hub.add("acme/a", readme="# a")
            yield hub

    @pytest.mark.parametrize(
        ("path", "fault"),
        [
            ("/api/models/acme/a", Fault(200, body=b" " * 100, delay_seconds=2.0)),
            ("/acme/a/raw/main/README.md", Fault(200, body=b" " * 100, delay_seconds=0.3)),
            ("/api/models/acme/a", Fault(503, {"Retry-After": "20"})),
        ],
        ids=["silence", "slow body", "pause"],
    )
    def test_hub_hangs_then_given_up_and_not_taken_for_missed(
        self, http_bench: HTTPBench, hub: Hub, watch: Watch, path: str, fault: Fault
    ) -> None:
        hub.faults[path] = fault
        provider = HuggingFaceProvider(max_bytes=10**6, policy=HUB_POLICY)
        given = {"url": hub.url, "includedModels": ["acme/a"]}
        watch.check(http_bench.files, lambda files: provider.fetch(given, files))
        assert hub.paths().count(path) == 1


def test_slices_then_a_slow_server_is_read_to_its_end(http_bench: HTTPBench, authority: Authority) -> None:
    """Looking up breaks no wait: neither a handshake, nor a head, nor a body that comes in pieces, through TLS."""

    class Late(ssl.SSLContext):
        def wrap_socket(self, *arguments: Any, **given: Any) -> Any:
            time.sleep(0.7)
            return authority.context.wrap_socket(*arguments, **given)

    (http_bench.root / "ca.pem").write_bytes(authority.certificate.read_bytes())
    with ScriptedServer(tls=Late(ssl.PROTOCOL_TLS_SERVER)) as server:
        whole = answer()
        pieces = [whole[:10], whole[10:-5], whole[-5:]]
        server.then(lambda connection, _: server.send_slowly(connection, pieces, 0.7))
        assert http_bench.fetch(f"{server.url}/a", tls={"caFile": "ca.pem"}) == YAML
