"""The http provider against real servers on loopback: documents, conditions, limits, time, failures of all sorts."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from catalog_server.errors import RateLimited, TooLarge, Unavailable
from catalog_server.schema.yaml_reader import iter_items
from tests.contract.providers.http_bench import HOST, YAML, HTTPBench, ScriptedServer, Seen, answer

SECRET = "t0ken-8f2a9c-secret"
LONG_AGO = "Mon, 06 Jul 2020 10:00:00 GMT"


def chunked(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


class TestDocuments:
    def test_yaml_then_its_bytes_and_our_request(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        assert http_bench.fetch(f"{web.url}/a/agents.yaml?ref=main") == YAML
        (seen,) = web.seen
        assert seen.path == "/a/agents.yaml?ref=main"
        assert seen.headers["host"] == f"{HOST}:{web.port}"
        assert seen.headers["accept-encoding"] == "gzip, deflate"
        assert seen.headers["user-agent"].startswith("catalog-server/")
        assert "authorization" not in seen.headers

    def test_properties_then_no_files_and_an_interval(self, http_bench: HTTPBench) -> None:
        provider = http_bench.provider
        assert provider.watched({}, http_bench.files) == ()
        assert provider.sync_interval({}) == timedelta(hours=1)
        assert provider.sync_interval({"refreshInterval": "5m"}) == timedelta(minutes=5)
        provider.check({"url": "https://example.com/a.yaml"}, http_bench.files)

    def test_json_with_escapes_then_readable(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        """The reader knows JSON by a name that ends in .json, which an address need not have."""
        web.then(answer(body=b'{"agents": [{"name":\t"\\ud83d\\ude00\\/"}]}', Content_Type="application/json"))
        data = http_bench.fetch(f"{web.url}/api/agents")
        (item,) = iter_items(data, file="x", keys=["agents"])
        assert item.value == {"name": "😀/"}

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (chunked(YAML[:5], YAML[5:]), YAML),
            (b"HTTP/1.0 200 OK\r\n\r\n" + YAML, YAML),
            (answer(body=b"\xef\xbb\xbf" + YAML, Content_Type="text/plain; charset=UTF-8"), YAML),
            (answer(body=gzip.compress(YAML), Content_Encoding="gzip"), YAML),
            (answer(body=zlib.compress(YAML), Content_Encoding="deflate"), YAML),
            (answer(body=b""), b""),
        ],
        ids=["chunked", "until the end", "byte order mark", "gzip", "deflate", "empty"],
    )
    def test_ways_to_send_then_same_document(
        self, http_bench: HTTPBench, web: ScriptedServer, raw: bytes, expected: bytes
    ) -> None:
        web.then(raw)
        assert http_bench.fetch(f"{web.url}/a") == expected

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (answer(Content_Type="text/plain; charset=iso-8859-1"), "charset_unsupported"),
            (answer(body=YAML.decode().encode("utf-16")), "charset_unsupported"),
            (answer(Content_Encoding="br"), "coding_unsupported"),
            (answer(Content_Encoding="gzip"), "coding_damaged"),
            (answer(status=204, body=b""), "status_unexpected"),
            (answer(status=206), "status_unexpected"),
            (answer(status=304, body=b""), "status_unexpected"),
            (answer(status=400), "status_unexpected"),
            (answer(status=404), "not_found"),
            (answer(status=410), "not_found"),
            (answer(status=401), "auth_failed"),
            (answer(status=403), "auth_failed"),
        ],
        ids=["latin-1", "utf-16", "brotli", "no gzip", "204", "206", "304", "400", "404", "410", "401", "403"],
    )
    def test_answer_that_stays_wrong_then_invalid_at_once(
        self, http_bench: HTTPBench, web: ScriptedServer, raw: bytes, code: str
    ) -> None:
        web.then(raw)
        error = http_bench.refused(f"{web.url}/a?key={SECRET}", headers={"X-Key": SECRET})
        assert error.code == code
        assert SECRET not in error.message
        assert len(web.seen) == 1
        assert http_bench.kept() == []


class TestConditions:
    def test_etag_then_304_and_the_same_bytes(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(ETag='W/"1"'), answer(304, b""))
        url = f"{web.url}/a.yaml"
        assert http_bench.fetch(url) == http_bench.fetch(url) == http_bench.fetch(url, http_bench.build()) == YAML
        assert [seen.headers.get("if-none-match") for seen in web.seen] == [None, 'W/"1"', 'W/"1"']

    def test_last_modified_then_304_unless_it_is_too_fresh(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        now = format_datetime(datetime.now(UTC), usegmt=True)
        web.then(answer(Last_Modified=LONG_AGO, Date=now), answer(304, b""), answer(Last_Modified=now, Date=now))
        for _ in range(5):
            assert http_bench.fetch(f"{web.url}/a") == YAML
            if len(web.seen) == 2:
                web.then(answer(Last_Modified=now, Date=now))
        assert [seen.headers.get("if-modified-since") for seen in web.seen] == [None, LONG_AGO, LONG_AGO, None, None]

    def test_new_document_then_that_one_is_kept(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(ETag='"1"'), answer(body=b"new", ETag='"2"'), answer(304, b""))
        assert [http_bench.fetch(f"{web.url}/a") for _ in range(3)] == [YAML, b"new", b"new"]
        assert web.seen[2].headers["if-none-match"] == '"2"'
        assert len(http_bench.kept()) == 1

    @pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "nonsense", "other version"])
    def test_damaged_entry_then_full_fetch(self, http_bench: HTTPBench, web: ScriptedServer, damage: str) -> None:
        web.then(answer(ETag='"1"'))
        http_bench.fetch(f"{web.url}/a")
        (path,) = http_bench.kept()
        data = path.read_bytes()
        flipped = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        path.write_bytes(
            {
                **{"flip": flipped, "truncate": data[:-1], "empty": b"", "nonsense": os.urandom(500)},
                "other version": data.replace(b"[1, ", b"[0, "),
            }[damage]
        )
        assert http_bench.fetch(f"{web.url}/a") == YAML
        assert "if-none-match" not in web.seen[1].headers
        assert path.read_bytes() == data

    def test_other_credentials_or_trust_then_nothing_from_the_cache(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        web.then(answer(ETag='"1"'))
        for given in (
            {"headers": {"X-Key": "a"}},
            {"headers": {"X-Key": "b"}},
            {"auth": {"type": "bearer", "token": "a"}},
            {"tls": {"insecureSkipVerify": True}},
            {},
        ):
            http_bench.fetch(f"{web.url}/a", **given)
        assert not any("if-none-match" in seen.headers for seen in web.seen)
        assert len(http_bench.kept()) == 5

    def test_redirect_elsewhere_then_validators_are_not_shown_there(self, http_bench: HTTPBench) -> None:
        with ScriptedServer(answer(ETag='"1"')) as first, ScriptedServer(answer(body=b"second")) as second:
            http_bench.fetch(f"{first.url}/a")
            first.then(answer(302, b"", Location=f"{second.url}/a"))
            assert http_bench.fetch(f"{first.url}/a") == b"second"
            assert first.seen[1].headers["if-none-match"] == '"1"'
            assert "if-none-match" not in second.seen[0].headers

    def test_secrets_then_in_no_file_of_the_cache(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(302, b"", Location=f"/b?signature={SECRET}"), answer(ETag='"1"'))
        auth = {"type": "basic", "username": "bot", "password": SECRET}
        http_bench.fetch(f"{web.url}/a?key={SECRET}", headers={"X-Key": SECRET}, auth=auth)
        (path,) = http_bench.kept()
        assert SECRET not in path.name
        assert SECRET.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
        assert http_bench.cache.stat().st_mode & 0o777 == 0o700

    def test_cache_full_then_oldest_goes(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        provider = http_bench.build(cache_bytes=2500)
        web.then(answer(body=b"x" * 1000, ETag='"1"'))
        for number in range(4):
            http_bench.fetch(f"{web.url}/{number}", provider)
        assert len(http_bench.kept()) == 2
        for path, expected in (("/3", '"1"'), ("/0", None)):
            http_bench.fetch(web.url + path, provider)
            assert web.seen[-1].headers.get("if-none-match") == expected
        web.then(answer(body=b"x" * 3000, ETag='"1"'))
        http_bench.fetch(f"{web.url}/large", provider)
        assert len(http_bench.kept()) == 2

    def test_cache_cannot_be_written_then_document_all_the_same(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        http_bench.cache.write_text("a file")
        web.then(answer(ETag='"1"'))
        assert http_bench.fetch(f"{web.url}/a") == http_bench.fetch(f"{web.url}/a") == YAML

    def test_limit_lowered_then_kept_document_is_refused_too(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(body=b"x" * 20000, ETag='"1"'))
        http_bench.fetch(f"{web.url}/a")
        assert isinstance(http_bench.refused(f"{web.url}/a", maxBytes=100), TooLarge)


class TestLimits:
    def test_long_body_announced_then_not_even_begun(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        assert isinstance(http_bench.refused(f"{web.url}/a"), TooLarge)

    @pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"X: x", b"Content-Encoding: gzip"])
    def test_endless_body_then_ends_early(self, http_bench: HTTPBench, web: ScriptedServer, framing: bytes) -> None:
        sent = 0

        def flood(connection: socket.socket, _: Seen) -> None:
            nonlocal sent
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            portion = b"10000\r\n" + b"x" * 65536 + b"\r\n" if b"chunked" in framing else b"x" * 65536
            if b"gzip" in framing:  # that is one which says almost nothing: empty members, one after the other
                portion = gzip.compress(b"") * 3000
            while sent < 10**9:
                connection.sendall(portion)
                sent += len(portion)

        web.then(flood)
        error = http_bench.refused(f"{web.url}/a", maxBytes=1_000_000)
        assert isinstance(error, TooLarge)
        assert error.message == "the document has more than 1000000 bytes"
        assert sent < 50_000_000

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_bomb_then_too_large(self, http_bench: HTTPBench, web: ScriptedServer, coding: str) -> None:
        zeros = bytes(100_000_000)
        web.then(answer(body=(gzip.compress if coding == "gzip" else zlib.compress)(zeros, 1), Content_Encoding=coding))
        assert isinstance(http_bench.refused(f"{web.url}/a", maxBytes=1_000_000), TooLarge)

    def test_endless_head_then_refused(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        def flood(connection: socket.socket, _: Seen) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for _number in range(1_000_000):
                connection.sendall(b"X: x\r\n" * 1000)

        web.then(flood)
        assert isinstance(http_bench.fails(f"{web.url}/a", http_bench.build(retries=0)), Unavailable)


class TestTime:
    def check_ends_in_time(self, http_bench: HTTPBench, url: str) -> None:
        error = http_bench.fails(url, timeout="1s")
        assert isinstance(error, Unavailable)
        assert "within 1 s" in error.message

    def test_slow_head_then_ends_at_the_deadline(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(lambda connection, _: web.send_slowly(connection, [b"H", b"T", b"T", b"P", *[b"/"] * 1000]))
        self.check_ends_in_time(http_bench, f"{web.url}/a")

    def test_slow_body_then_ends_at_the_deadline(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        web.then(lambda connection, _: web.send_slowly(connection, [head, *[b"x"] * 1000]))
        self.check_ends_in_time(http_bench, f"{web.url}/a")

    def test_silence_then_ends_at_the_deadline(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(lambda connection, _: (web.stopped.wait(), None)[1])
        self.check_ends_in_time(http_bench, f"{web.url}/a")

    def test_slow_redirects_then_one_deadline_for_all(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        def redirect(connection: socket.socket, seen: Seen) -> None:
            web.stopped.wait(0.4)
            connection.sendall(answer(302, b"", Location=seen.path + "x"))

        web.then(redirect)
        self.check_ends_in_time(http_bench, f"{web.url}/a")

    def test_slow_handshake_then_ends_at_the_deadline(self, http_bench: HTTPBench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.check_ends_in_time(http_bench, f"https://{HOST}:{listener.getsockname()[1]}/a")

    def test_slow_resolver_then_ends_at_the_deadline(self, http_bench: HTTPBench) -> None:
        released = threading.Event()

        def resolve(host: str, port: int) -> list[str]:
            released.wait()
            return []

        error = http_bench.fails(f"http://{HOST}/a", http_bench.build(resolve=resolve), timeout="1s")
        released.set()
        assert isinstance(error, Unavailable)
        assert "within 1 s" in error.message


class TestRetries:
    def test_errors_then_success(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        def hang_up(connection: socket.socket, _: Seen) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nagen")

        web.then(answer(500), answer(503), hang_up, answer())
        assert http_bench.fetch(f"{web.url}/a") == YAML
        assert len(web.seen) == 4

    @pytest.mark.parametrize(
        "raw",
        [
            answer(502),
            answer(status=408),
            b"nonsense\r\n\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nshort",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
            answer(body=gzip.compress(YAML)[:-9], Content_Encoding="gzip"),
        ],
        ids=["502", "408", "no HTTP", "nothing", "short", "negative chunk", "short chunk", "short gzip"],
    )
    def test_failure_that_may_pass_then_four_attempts(
        self, http_bench: HTTPBench, web: ScriptedServer, raw: bytes
    ) -> None:
        web.then(raw)
        error = http_bench.fails(f"{web.url}/a?key={SECRET}", auth={"type": "bearer", "token": SECRET})
        assert isinstance(error, Unavailable)
        assert HOST in error.message
        assert SECRET not in error.message
        assert len(web.seen) == 4

    def test_short_retry_after_then_waited_for(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(429, b"", Retry_After="1"), answer())
        started = time.monotonic()
        assert http_bench.fetch(f"{web.url}/a") == YAML
        assert time.monotonic() - started >= 1

    def test_long_retry_after_then_told_and_not_waited_for(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(answer(429, b"", Retry_After="120"))
        error = http_bench.fails(f"{web.url}/a")
        assert isinstance(error, RateLimited)
        assert error.retry_after_seconds == 120
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        web.then(answer(503, b"", Retry_After=format_datetime(in_an_hour, usegmt=True)))
        later = http_bench.fails(f"{web.url}/a")
        assert isinstance(later, Unavailable)
        assert 3000 < later.retry_after_seconds <= 3600
        assert later.is_asked
        assert len(web.seen) == 2

    def test_error_without_retry_after_then_the_time_is_only_ours(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        web.then(answer(503, b""))
        error = http_bench.fails(f"{web.url}/a")
        assert isinstance(error, Unavailable)
        assert not error.is_asked

    def test_nobody_there_then_unavailable(self, http_bench: HTTPBench) -> None:
        error = http_bench.fails("http://127.0.0.1:1/a")
        assert isinstance(error, Unavailable)
        assert error.message == "the host '127.0.0.1' cannot be reached: Connection refused"

    def test_unknown_host_then_unavailable(self, http_bench: HTTPBench) -> None:
        asked = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        error = http_bench.fails("http://nowhere.test/a", http_bench.build(resolve=resolve))
        assert isinstance(error, Unavailable)
        assert error.message == "the name of the host 'nowhere.test' cannot be resolved"
        assert len(asked) == 4

    def test_first_address_dead_then_next_one(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        provider = http_bench.build(resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert http_bench.fetch(f"{web.url}/a", provider) == YAML


def test_threads_on_one_source_then_all_served(http_bench: HTTPBench, web: ScriptedServer) -> None:
    web.then(answer(ETag='"1"'))
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(http_bench.fetch, f"{web.url}/a") for _ in range(24)]
    assert {one.result() for one in found} == {YAML}
    assert len(http_bench.kept()) == 1


def test_import_then_no_other_http_library() -> None:
    """What is imported at start is what every command waits for."""
    code = "import sys, catalog_server.providers.http; print([m for m in sys.modules if m in ('httpx', 'requests')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
