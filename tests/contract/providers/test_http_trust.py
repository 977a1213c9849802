"""The http provider among hosts that mean no good: who sees credentials, where it may connect, whom it believes."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import Invalid, Unavailable
from tests.contract.providers.http_bench import (
    HOST,
    LOOPBACK,
    YAML,
    Authority,
    HTTPBench,
    ScriptedServer,
    answer,
    make_authority,
)

SECRET = "t0ken-8f2a9c-secret"


class Resolver:
    """Gives the answers one after the other, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class TestCredentials:
    @pytest.mark.parametrize(
        ("auth", "name", "value"),
        [
            ({"type": "bearer", "token": f"{SECRET}\n"}, "authorization", f"Bearer {SECRET}"),
            (
                {"type": "basic", "username": "bot", "password": SECRET},
                "authorization",
                "Basic " + base64.b64encode(f"bot:{SECRET}".encode()).decode(),
            ),
            ({"type": "api-key", "token": SECRET}, "x-api-key", SECRET),
            ({"type": "api-key", "headerName": "Private-Token", "token": SECRET}, "private-token", SECRET),
        ],
    )
    def test_auth_then_its_header(
        self, http_bench: HTTPBench, web: ScriptedServer, auth: dict[str, str], name: str, value: str
    ) -> None:
        assert http_bench.fetch(f"{web.url}/a", auth=auth, headers={"X-Team": "a"}) == YAML
        assert (web.seen[0].headers[name], web.seen[0].headers["x-team"]) == (value, "a")

    def test_redirect_within_the_origin_then_credentials_go_along(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        web.then(answer(301, b"", Location="b?x=1#part"), answer())
        http_bench.fetch(f"{web.url}/v1/a", auth={"type": "bearer", "token": SECRET})
        assert web.seen[1].path == "/v1/b?x=1"
        assert web.seen[1].headers["authorization"] == f"Bearer {SECRET}"

    def test_redirect_to_another_origin_then_no_credentials_ever_again(self, http_bench: HTTPBench) -> None:
        with ScriptedServer() as first, ScriptedServer() as second:
            first.then(answer(302, b"", Location=f"{second.url}/b"), answer())
            second.then(answer(302, b"", Location=f"{first.url}/c"))
            given: dict[str, Any] = {"auth": {"type": "bearer", "token": SECRET}, "headers": {"X-Key": SECRET}}
            assert http_bench.fetch(f"{first.url}/a", **given) == YAML
            assert first.seen[0].headers["x-key"] == SECRET
            for seen in (second.seen[0], first.seen[1]):
                assert SECRET not in str(seen)
            first.then(answer(302, b"", Location=f"{second.url}/b"))
            second.then(answer(401))
            error = http_bench.refused(f"{first.url}/a", **given)
            assert error.code == "auth_failed"
            assert "not sent on to another origin" in error.message


class TestRedirects:
    @pytest.mark.parametrize(
        ("location", "problem"),
        [
            ("/a?key=t0ken", "in a circle"),
            ("", "it is missing"),
            ("ftp://example.com/a", "must begin with https"),
            ("http://user:pa55@example.com/a", "must not hold a user"),
            ("http://exa mple.com/a", "must have the form"),
            ("https:\\\\example.com", "must have the form"),
            ("http://0x7f.1/", "odd form"),
            ("http://[::1/", "is no URL"),
        ],
    )
    def test_redirect_to_nowhere_good_then_refused(
        self, http_bench: HTTPBench, web: ScriptedServer, location: str, problem: str
    ) -> None:
        web.then(answer(302, b"", Location=location))
        error = http_bench.refused(f"{web.url}/a?key=t0ken")
        assert error.code == "redirect_refused"
        assert problem in error.message
        assert "t0ken" not in error.message
        assert "pa55" not in error.message

    def test_redirects_without_end_then_refused(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then(*(answer(307, b"", Location=f"/{number}") for number in range(5)), answer())
        assert http_bench.fetch(f"{web.url}/a") == YAML
        web.then(*(answer(307, b"", Location=f"/{number}") for number in range(20)))
        assert "more than 5 times" in http_bench.refused(f"{web.url}/a").message
        assert len(web.seen) == 6 + 6

    def test_redirect_with_raw_characters_then_quoted(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        web.then("HTTP/1.1 302 X\r\nLocation: /ä b%20c\r\n\r\n".encode(), answer())
        http_bench.fetch(f"{web.url}/a")
        assert web.seen[1].path == "/%C3%A4%20b%20c"


class TestAddresses:
    @pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"])
    def test_private_address_in_the_url_then_refused_by_the_check(self, http_bench: HTTPBench, host: str) -> None:
        provider = http_bench.build(allowed=())
        with pytest.raises(Invalid) as caught:
            provider.check({"url": f"http://{host}/a"}, http_bench.files)
        assert (caught.value.field, caught.value.code) == ("properties.url", "address_refused")

    def test_name_with_a_private_address_then_refused_without_a_connection(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]):
            provider = http_bench.build(allowed=(), resolve=Resolver(addresses))
            error = http_bench.refused(f"{web.url}/a", provider)
            assert error.code == "address_refused", addresses
            assert "127.0.0.1" not in error.message
        assert web.seen == []

    def test_redirect_to_a_private_address_then_refused(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        for location in ("http://169.254.169.254/latest/meta-data", "http://inside.test/", "http://[::1]/"):
            web.then(answer(302, b"", Location=location))
            provider = http_bench.build(resolve=lambda host, port: ["127.0.0.1" if host == HOST else "10.1.2.3"])
            assert http_bench.refused(f"{web.url}/a", provider).code == "address_refused", location

    def test_name_that_changes_its_mind_then_connected_to_what_was_checked(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        """127.0.0.1 stands for the public address here: the server listens there, and only there."""
        resolver = Resolver(["127.0.0.1"], ["10.1.2.3"])
        assert http_bench.fetch(f"{web.url}/a", http_bench.build(resolve=resolver)) == YAML
        assert resolver.asked == [HOST]

    def test_name_that_changes_its_mind_between_attempts_then_refused(
        self, http_bench: HTTPBench, web: ScriptedServer
    ) -> None:
        web.then(answer(500))
        resolver = Resolver(["127.0.0.1"], ["10.1.2.3"])
        error = http_bench.refused(f"{web.url}/a", http_bench.build(resolve=resolver))
        assert error.code == "address_refused"
        assert len(web.seen) == 1

    def test_allowed_network_then_only_that_one(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        provider = http_bench.build(allowed=(ip_network("127.0.0.1/32"),))
        assert http_bench.fetch(f"{web.url}/a", provider) == YAML
        assert http_bench.refused("http://127.0.0.2/a", provider).code == "address_refused"

    def test_proxy_in_the_environment_then_not_used(
        self, http_bench: HTTPBench, web: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")
        assert http_bench.fetch(f"{web.url}/a") == YAML


class TestTLS:
    @pytest.fixture
    def secure(self, authority: Authority) -> Any:
        with ScriptedServer(tls=authority.context) as server:
            yield server

    def trusted(self, http_bench: HTTPBench, authority: Authority) -> dict[str, Any]:
        (http_bench.root / "ca.pem").write_bytes(authority.certificate.read_bytes())
        return {"tls": {"caFile": "ca.pem"}}

    def test_own_authority_then_trusted(
        self, http_bench: HTTPBench, secure: ScriptedServer, authority: Authority
    ) -> None:
        assert http_bench.fetch(f"{secure.url}/a", **self.trusted(http_bench, authority)) == YAML
        assert secure.seen[0].headers["host"] == f"{HOST}:{secure.port}"

    def test_unknown_authority_then_invalid_at_once(
        self, http_bench: HTTPBench, secure: ScriptedServer, tmp_path: Path
    ) -> None:
        other = make_authority(tmp_path / "other")
        for given in ({}, self.trusted(http_bench, other)):
            error = http_bench.refused(f"{secure.url}/a", **given)
            assert error.code == "certificate_refused"
            assert HOST in error.message
        assert secure.seen == []

    def test_certificate_for_another_name_then_invalid(
        self, http_bench: HTTPBench, secure: ScriptedServer, authority: Authority
    ) -> None:
        """The name in the URL counts, not the address that we connect to."""
        given = self.trusted(http_bench, authority)
        error = http_bench.refused(f"https://other.test:{secure.port}/a", **given)
        assert error.code == "certificate_refused"
        assert http_bench.refused(f"https://127.0.0.1:{secure.port}/a", **given).code == "certificate_refused"

    def test_verification_switched_off_then_fetched(self, http_bench: HTTPBench, secure: ScriptedServer) -> None:
        assert http_bench.fetch(f"{secure.url}/a", tls={"insecureSkipVerify": True}) == YAML

    def test_redirect_down_to_http_then_refused(
        self, http_bench: HTTPBench, secure: ScriptedServer, authority: Authority, web: ScriptedServer
    ) -> None:
        secure.then(answer(302, b"", Location=f"{web.url}/a"))
        error = http_bench.refused(f"{secure.url}/a", **self.trusted(http_bench, authority))
        assert "from https to http" in error.message
        assert web.seen == []

    def test_body_of_unknown_length_cut_off_then_not_taken_for_whole(
        self, http_bench: HTTPBench, secure: ScriptedServer, authority: Authority
    ) -> None:
        """Half a document would read as the deletion of the other half."""
        secure.then(b"HTTP/1.1 200 OK\r\n\r\n" + YAML)
        given = self.trusted(http_bench, authority)
        assert http_bench.fetch(f"{secure.url}/a", **given) == YAML

        def cut_off(connection: Any, _: Any) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + YAML)
            os.close(connection.detach())

        secure.then(cut_off)
        assert isinstance(http_bench.fails(f"{secure.url}/a", **given), Unavailable)

    def test_plain_server_at_an_https_url_then_unavailable(self, http_bench: HTTPBench, web: ScriptedServer) -> None:
        error = http_bench.fails(web.url.replace("http:", "https:"))
        assert isinstance(error, Unavailable)

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("missing.pem", "path_missing"),
            ("/etc/ssl/certs/ca-certificates.crt", "path_outside_roots"),
            ("sources.yaml", "property_invalid"),
            ("broken.pem", "property_invalid"),
        ],
    )
    def test_wrong_file_of_certificates_then_the_check_says_so(
        self, http_bench: HTTPBench, name: str, code: str
    ) -> None:
        (http_bench.root / "sources.yaml").write_text("x")
        (http_bench.root / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        with pytest.raises(Invalid) as caught:
            http_bench.provider.check({"url": "https://example.com", "tls": {"caFile": name}}, http_bench.files)
        assert (caught.value.field, caught.value.code) == ("properties.tls.caFile", code)


def test_loopback_then_refused_unless_allowed(http_bench: HTTPBench, web: ScriptedServer) -> None:
    assert http_bench.refused(f"{web.url}/a", http_bench.build(allowed=())).code == "address_refused"
    assert http_bench.fetch(f"{web.url}/a", http_bench.build(allowed=LOOPBACK)) == YAML
