"""What no client may do over a socket: hold connections, send endless heads, or break HTTP (platform.md 12 D19).

A test waits for the end of a connection and does not look at the clock: a server that does not end it fails it by the
timeout of the socket.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from catalog_server.http.connections import MAX_FIELDS, MAX_HEAD_BYTES, MAX_URL_BYTES
from tests.catalog_files import named, write_catalog, write_sources
from tests.server import COMMAND, RunningServer, running

LIMIT = 12
SKILLS = "/api/skills_catalog/v1alpha1/skills"
APPLY = "/api/skills_catalog/v1alpha1/management/apply-source"
OPERATOR = b"X-User-Role: operator\r\n"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One that loses patience soon; its list of 1,000 long entities is a few megabytes."""
    folder = tmp_path_factory.mktemp("connections")
    write_catalog(
        folder / "skills.yaml", "skills", named(*(f"s{n}" for n in range(1000)), description="long text " * 400)
    )
    sources = write_sources(folder / "s.yaml", {"skills": [{"id": "s", "path": folder / "skills.yaml"}]})
    with running(
        folder / "data",
        sources,
        CATALOG_MAX_CONNECTIONS=str(LIMIT),
        CATALOG_HEAD_TIMEOUT_SECONDS="1",
        CATALOG_STALLED_TIMEOUT_SECONDS="2",
        CATALOG_IDLE_TIMEOUT_SECONDS="1",
    ) as found:
        yield found


@contextlib.contextmanager
def connected(server: RunningServer, receive_buffer: int = 0) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.socket() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect((address.hostname, address.port))
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    reply = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            reply += chunk
    return reply


def check_refusal(reply: bytes, status: int) -> None:
    """One answer in our envelope, with nothing behind it."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), reply[:500]
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    document = json.loads(body)
    assert document["error"]
    assert document["message"]


def serves(server: RunningServer) -> bool:
    """Others, on connections of their own."""
    paths = ("/livez", f"{SKILLS}/s1")
    return all(httpx.get(server.url + path, timeout=PATIENCE_SECONDS, trust_env=False).is_success for path in paths)


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    """One answer, which may come in several parts."""
    reply = b""
    while not reply.endswith(end):
        part = connection.recv(65536)
        assert part, reply
        reply += part
    return reply


def drip(connection: socket.socket, data: bytes, over: threading.Event) -> None:
    """Send one byte after the other, for as long as the connection takes them."""
    with contextlib.suppress(OSError):
        for byte in data:
            if over.wait(0.2):
                return
            connection.sendall(bytes([byte]))


def test_a_connection_that_says_nothing_ends(server: RunningServer) -> None:
    with connected(server) as connection:
        assert read_to_end(connection) == b""
    assert serves(server)


@pytest.mark.parametrize("before", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["at once", "after a request"])
def test_a_head_that_never_ends_is_ended(server: RunningServer, before: bytes) -> None:
    """One header line after the other, forever (Slowloris); others are served meanwhile."""
    over = threading.Event()
    with connected(server) as connection:
        connection.sendall(before + b"GET /livez HTTP/1.1\r\n")
        if before:
            receive_until(connection, b"}\n")
        thread = threading.Thread(target=drip, args=(connection, b"X-A: b\r\n" * 200, over))
        thread.start()
        assert serves(server)
        check_refusal(read_to_end(connection), 408)
        over.set()
        thread.join()


def test_blank_lines_do_not_keep_a_connection(server: RunningServer) -> None:
    over = threading.Event()
    with connected(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        receive_until(connection, b"}\n")
        thread = threading.Thread(target=drip, args=(connection, b"\r\n" * 200, over))
        thread.start()
        read_to_end(connection)
        over.set()
        thread.join()
    assert serves(server)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_body_that_never_ends_is_ended(server: RunningServer, framing: bytes) -> None:
    over = threading.Event()
    with connected(server) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n\r\n" % (APPLY.encode(), OPERATOR, framing))
        thread = threading.Thread(target=drip, args=(connection, b"1\r\n{\r\n" * 100, over))
        thread.start()
        assert serves(server)
        read_to_end(connection)
        over.set()
        thread.join()
    assert serves(server)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_body_that_nobody_wants_is_not_read_for_ever(server: RunningServer, method: bytes) -> None:
    """A GET may have one, and one that is refused goes on; the answer comes before its end."""
    over = threading.Event()
    path = SKILLS if method == b"GET" else APPLY
    with connected(server) as connection:
        head = b"%s %s/s1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" % (method, path.encode())
        connection.sendall(head)
        thread = threading.Thread(target=drip, args=(connection, b"x" * 1000, over))
        thread.start()
        reply = read_to_end(connection)
        over.set()
        thread.join()
    assert reply.startswith(b"HTTP/1.1 200 " if method == b"GET" else b"HTTP/1.1 404 ")
    assert serves(server)


def test_a_body_without_length_is_bounded(server: RunningServer) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (APPLY.encode(), OPERATOR)
        )
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 413 ")
    assert serves(server)


def test_a_client_that_takes_no_answer_is_ended(server: RunningServer) -> None:
    """It asks for megabytes, again and again, and reads none of them."""
    with connected(server, receive_buffer=4096) as connection:
        request = b"GET %s?pageSize=1000 HTTP/1.1\r\nHost: x\r\n\r\n" % SKILLS.encode()
        connection.sendall(request * 3)
        wait_for_reset(connection)
    assert serves(server)


def wait_for_reset(connection: socket.socket) -> None:
    """Until the server has given the connection up, without reading from it."""
    done = threading.Event()
    for _ in range(PATIENCE_SECONDS * 5):
        done.wait(0.2)
        try:
            connection.send(b"\r\n")
        except OSError:
            return
    raise AssertionError("the connection is still open")


def test_idle_connections_make_room(server: RunningServer) -> None:
    """As many as are allowed say nothing; those who ask are served all the same."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(LIMIT * 3)]
        assert serves(server)
        for connection in silent:
            assert read_to_end(connection) == b""


def test_too_many_at_work_then_503(server: RunningServer) -> None:
    """Connections whose request is being answered are left alone."""
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connected(server)) for _ in range(LIMIT)]
        for connection in busy:
            connection.sendall(
                b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
                % (APPLY.encode(), OPERATOR)
            )
            assert b" 100 " in receive_until(connection, b"\r\n\r\n")
        with connected(server) as late:
            check_refusal(read_to_end(late), 503)
        for connection in busy:
            connection.sendall(b'{"id": 1}')
            assert receive_until(connection, b"}\n").startswith(b"HTTP/1.1 422 ")
    assert serves(server)


HUGE = 1024 * 1024
HEADS = {
    "URL": (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * MAX_URL_BYTES), 414),
    "query": (b"GET /livez?q=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * MAX_URL_BYTES), 414),
    "endless URL": (b"GET /" + b"a" * HUGE, 414),
    "header": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n" % (b"a" * MAX_HEAD_BYTES), 431),
    "endless header": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * HUGE, 431),
    "endless name": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-" + b"a" * HUGE, 431),
    "headers": (b"GET /livez HTTP/1.1\r\n%s\r\n" % (b"X-A: b\r\n" * (MAX_FIELDS + 1)), 431),
    "endless headers": (b"GET /livez HTTP/1.1\r\n" + b"X-A: b\r\n" * (HUGE // 8), 431),
    "no HTTP": (b"hello there\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "two lengths": (b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "both framings": (
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bytes in the path": (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("part_bytes", [HUGE * 2, 1000], ids=["at once", "in parts"])
def test_heads_that_are_refused(server: RunningServer, name: str, part_bytes: int) -> None:
    data, status = HEADS[name]
    with connected(server) as connection:
        with contextlib.suppress(OSError):
            for start in range(0, len(data), part_bytes):
                connection.sendall(data[start : start + part_bytes])
        check_refusal(read_to_end(connection), status)
    assert serves(server)


def test_heads_within_the_limits_are_read(server: RunningServer) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 600) for n in range(MAX_FIELDS - 2))
    with connected(server) as connection:
        for _ in range(3):  # each head starts to count anew
            query = b"a" * (MAX_URL_BYTES - 100)
            connection.sendall(b"GET /livez?%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (query, fields))
            assert receive_until(connection, b"}\n").startswith(b"HTTP/1.1 200 ")


def test_more_open_files_are_asked_for(tmp_path: Path) -> None:
    """Each connection is one; where even the hard limit is too low, that is said and kept to."""
    for limits, is_enough in (("ulimit -S -n 256", True), ("ulimit -n 256", False)):
        command = ("sh", "-c", f'{limits} && exec "$0" "$@"', *COMMAND)
        with running(tmp_path / limits.replace(" ", ""), command=command) as server:
            assert server.get("/livez").status_code == 200
            warnings = server.logged(
                "fewer connections than CATALOG_MAX_CONNECTIONS: too few open files are allowed", files=256
            )
            assert len(warnings) == (not is_enough)
