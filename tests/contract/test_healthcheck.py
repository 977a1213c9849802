"""healthcheck against real sockets on loopback: the contract of spec cli-and-ui.md 1.1."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalog_server import healthcheck
from catalog_server.healthcheck import main


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.seen.append(f"{self.command} {self.path} {self.headers['Host']}")
        kind, _, value = self.path.strip("/").partition("/")
        if kind == "to":
            status, _, location = value.partition("/")
            self.answer(int(status), location=location.replace("HERE", self.server_url()))
        elif kind == "loop":
            self.answer(302, location="/loop")
        else:
            self.answer(int(kind.partition("?")[0]))

    def server_url(self) -> str:
        assert isinstance(self.server, _Server)
        return self.server.url

    def answer(self, status: int, location: str = "") -> None:
        body = b'{"status":"ready"}' * 1000 if status == 200 else b""
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the probe does not wait for the body
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@contextlib.contextmanager
def raw_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that speaks whatever `talk` sends; the event tells it to stop."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    talk(connection, stop)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/readyz"
        stop.set()
        thread.join()


def sending(*chunks: bytes, pause: float = 0.0, hold: bool = False) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        for chunk in chunks:
            connection.sendall(chunk)
            if stop.wait(pause):
                return
        if hold:
            stop.wait(10)

    return talk


def dripping(connection: socket.socket, stop: threading.Event) -> None:
    """A byte every 20 ms, for ever: each read succeeds, the whole never does."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not stop.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_silent_success(server: _Server, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/{status}"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
def test_other_status_fails(server: _Server, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/{status}"]) == 1
    assert capsys.readouterr() == ("", f"healthcheck failed: status {status}\n")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["HERE/204", "/204", "../../204"])
def test_redirects_are_followed(server: _Server, status: int, location: str) -> None:
    assert main([f"{server.url}/to/{status}/{location}"]) == 0
    assert server.seen[-1].startswith("GET /204 ")


def test_redirect_to_a_failure_fails(server: _Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/to/302//503"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: status 503\n"


def test_redirect_without_a_target_fails(server: _Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/to/302/"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: status 302\n"


def test_redirect_loop_ends(server: _Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/loop"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: stopped after 10 redirects\n"
    assert len(server.seen) == 11


def test_redirect_to_another_scheme_fails(server: _Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{server.url}/to/302/file:///etc/passwd"]) == 1
    assert "is not a URL that starts with http:// or https://" in capsys.readouterr().err


def test_request_is_one_get_with_host_and_query(server: _Server) -> None:
    assert main([f"{server.url}/200?namespace=a#fragment"]) == 0
    assert server.seen == [f"GET /200?namespace=a 127.0.0.1:{server.server_address[1]}"]


def test_localhost_reaches_a_server_on_ipv4_only(server: _Server) -> None:
    assert main([f"http://localhost:{server.server_address[1]}/200"]) == 0


def test_ipv6(server: _Server) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")

    class V6(_Server):
        address_family = socket.AF_INET6

        def __init__(self) -> None:
            ThreadingHTTPServer.__init__(self, ("::1", 0), _Handler)
            self.seen: list[str] = []

    try:
        running = V6()
    except OSError:
        pytest.skip("no IPv6 loopback")
    with running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = running.server_address[1]
        assert main([f"http://[::1]:{port}/200"]) == 0
        assert running.seen == [f"GET /200 [::1]:{port}"]
        running.shutdown()
        thread.join()


def test_a_dripping_server_does_not_stretch_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    with raw_server(dripping) as url:
        assert main(["--timeout", "0.4", url]) == 1
    assert capsys.readouterr().err == "healthcheck failed: timed out after 0.4 s\n"


def test_a_silent_server_times_out(capsys: pytest.CaptureFixture[str]) -> None:
    with raw_server(sending(hold=True)) as url:
        assert main([url, "--timeout=0.2"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: timed out after 0.2 s\n"


def test_five_seconds_are_the_default() -> None:
    assert healthcheck.DEFAULT_TIMEOUT_SECONDS == 5.0


def test_the_body_is_not_waited_for() -> None:
    with raw_server(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", hold=True)) as url:
        assert main([url, "--timeout", "3"]) == 0


def test_a_head_in_pieces_and_interim_answers() -> None:
    chunks = (b"HTTP/1.1 103 Early", b" Hints\r\nLink: x\r\n\r", b"\nHTTP/1.0 204 \n\n")
    with raw_server(sending(*chunks, pause=0.02)) as url:
        assert main([url]) == 0


@pytest.mark.parametrize(
    "banner", [b"220 mail.example.com ESMTP\r\n", b"\x00\x01\n", b"HTTP/2 200\r\n", b"HTTP/1.1 OK\n"]
)
def test_another_protocol_fails_at_once(banner: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with raw_server(sending(banner, hold=True)) as url:
        assert main([url]) == 1
    assert capsys.readouterr().err == "healthcheck failed: the answer is not HTTP\n"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n"])
def test_a_cut_answer_fails(sent: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with raw_server(sending(sent)) as url:
        assert main([url]) == 1
    assert capsys.readouterr().err == "healthcheck failed: connection closed before a complete HTTP answer\n"


def test_an_endless_head_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def flood(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.is_set():
            connection.sendall(b"X: " + b"x" * 60_000)

    with raw_server(flood) as url:
        assert main([url]) == 1
    assert capsys.readouterr().err == "healthcheck failed: the head of the answer is too long\n"


def test_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}/"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: connection refused\n"


def test_unknown_host_fails_with_a_reason(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert main(["http://catalog.invalid/"]) == 1
    assert capsys.readouterr().err == "healthcheck failed: name or service not known\n"


def test_a_hanging_name_server_does_not_stretch_the_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10) and [])
    assert main(["--timeout", "0.1", "http://catalog.invalid/"]) == 1
    release.set()
    assert capsys.readouterr().err == "healthcheck failed: timed out after 0.1 s\n"


def test_tls_is_verified(capsys: pytest.CaptureFixture[str], server: _Server) -> None:
    assert main([f"https://127.0.0.1:{server.server_address[1]}/200"]) == 1
    assert capsys.readouterr().err.startswith("healthcheck failed: ")


def test_tls_asks_for_the_host_name(monkeypatch: pytest.MonkeyPatch, server: _Server) -> None:
    class Context:
        def wrap_socket(self, connection: socket.socket, server_hostname: str) -> socket.socket:
            assert server_hostname == "127.0.0.1"
            return connection

    monkeypatch.setattr(ssl, "create_default_context", Context)
    assert main([f"https://127.0.0.1:{server.server_address[1]}/204"]) == 0


@pytest.mark.parametrize("argv", [[], ["--timeout", "3"], ["--timeout=3"], ["--help"], ["--timeout"]])
def test_without_a_url_usage_is_shown(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 1
    assert capsys.readouterr() == ("", "usage: healthcheck <url>\n")


def test_further_arguments_are_ignored(server: _Server) -> None:
    assert main([f"{server.url}/200", "http://127.0.0.1:1/", "--bogus", "x"]) == 0


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "nan", "inf", "9999"])
def test_a_bad_timeout_fails(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1/", f"--timeout={text}"]) == 1
    assert capsys.readouterr().err.startswith(f"healthcheck failed: --timeout: {text!r} is not allowed; use a number")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080/readyz",
        "ftp://localhost/",
        "http://",
        "http:///path",
        "http://h:x/",
        "http://h:0/",
        "http://h:99999/",
        "http://[::1/",
        "http://[::1]x/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://hóst/",
    ],
)
def test_a_bad_url_fails_in_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url, "--timeout", "0.5"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("healthcheck failed: ")


def run_module(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "catalog_server.healthcheck", *argv],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environ},
    )


def test_as_a_process_proxies_are_not_used(server: _Server) -> None:
    done = run_module(f"{server.url}/200", http_proxy="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_as_a_process_failure_and_usage(server: _Server) -> None:
    failed, usage = run_module(f"{server.url}/503"), run_module()
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "healthcheck failed: status 503\n")
    assert (usage.returncode, usage.stdout, usage.stderr) == (1, "", "usage: healthcheck <url>\n")


def test_only_light_modules_are_imported(server: _Server) -> None:
    """The probe runs every few seconds: its start-up time is mostly what it imports."""
    code = (
        "import sys\nfrom catalog_server.healthcheck import main\n"
        f"assert main(['{server.url}/200']) == 0\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    loaded = set(done.stdout.split())
    heavy = {"http", "urllib", "ssl", "email", "typing", "asyncio", "threading", "dataclasses", "encodings.idna"}
    assert not loaded & heavy
    assert {name for name in loaded if name.startswith("catalog_server")} == {
        "catalog_server",
        "catalog_server.healthcheck",
    }
