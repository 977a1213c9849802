"""Who asks, as the headers of a proxy say: names, groups, further attributes, and whose headers count."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from catalog_server.access.permissions import GET_ASSETS
from catalog_server.access.principal import ANONYMOUS, Principal
from catalog_server.access.proxy import HeaderTrust
from catalog_server.errors import Invalid
from catalog_server.http.messages import Header, Request, json_response
from catalog_server.http.middleware.identity import identity
from catalog_server.http.router import Operation, Route
from tests.http.client import SKILLS, check_error
from tests.http.operator import JOBS, MANAGEMENT, Operator, operating
from tests.http.reviewed import reviewing
from tests.server import SAMPLE, RunningServer, run_to_end, running

EVERYBODY = HeaderTrust(peers=None, honours_role=True, honours_principal=True)


def principal(*headers: tuple[str, str | bytes], trust: HeaderTrust = EVERYBODY) -> Principal:
    """Whom the middleware sees in these header lines."""
    lines: list[Header] = [
        (name.lower().encode(), one if isinstance(one, bytes) else one.encode()) for name, one in headers
    ]
    asgi: dict[str, Any] = {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": lines,
        "client": ("10.0.0.1", 1),
    }
    request = Request(asgi, receive=None)  # type: ignore[arg-type]
    request.route = Route("/", lambda _: json_response({}), Operation("", ""), permission=GET_ASSETS)
    identity(trust, guards_reads=False)(_follow)(request)
    return request.principal


def _follow(_: Request) -> Any:
    """What would answer."""


class TestHeaders:
    def test_user_is_trimmed(self) -> None:
        assert principal(("X-Remote-User", " ann \t")) == Principal("ann")

    @pytest.mark.parametrize("name", ["", " ", "a\x00b", "a\x7fb", b"\xff\xfe", "\u202eann", "\u00a0"])
    def test_user_that_is_blank_or_not_printable_is_anonymous(self, name: str | bytes) -> None:
        """And in no group: rights that nobody has must not be anybody's."""
        assert principal(("X-Remote-User", name), ("X-Remote-Group", "staff"), ("X-Remote-Extra-A", "b")) == ANONYMOUS

    def test_groups_without_a_user_are_nobodys(self) -> None:
        assert principal(("X-Remote-Group", "staff")) == ANONYMOUS
        assert principal(("X-Remote-User", "anonymous"), ("X-Remote-Group", "staff")) == ANONYMOUS

    def test_groups_come_from_all_lines_in_order_without_blanks_and_doubles(self) -> None:
        found = principal(
            ("X-Remote-User", "ann"),
            ("X-Remote-Group", "b, a ,,"),
            ("X-Other", "x"),
            ("x-remote-group", " "),
            ("X-REMOTE-GROUP", "c,b, system:masters"),
        )
        assert found.groups == ("b", "a", "c", "system:masters")

    def test_names_are_utf8(self) -> None:
        found = principal(("X-Remote-User", "Zoë"), ("X-Remote-Group", "équipe"))
        assert found == Principal("Zoë", ("équipe",))

    def test_further_attributes_are_kept_by_decoded_key(self) -> None:
        found = principal(
            ("X-Remote-User", "ann"),
            ("X-Remote-Extra-Scopes", "openid, profile"),
            ("X-Remote-Extra-Scopes", "mail"),
            ("X-Remote-Extra-Acme.com%2FProject", "blue"),
        )
        assert found.extra == {"scopes": ("openid, profile", "mail"), "acme.com/project": ("blue",)}

    @pytest.mark.parametrize(
        "lines",
        [
            [("X-Remote-User", "x" * 256)],
            [("X-Remote-User", "ann"), ("X-Remote-User", "admin")],
            [("X-Remote-User", "ann"), ("X-Remote-Group", ",".join(map(str, range(501))))],
            [("X-Remote-User", "ann"), *[("X-Remote-Group", str(number)) for number in range(501)]],
            [("X-Remote-User", "ann"), ("X-Remote-Group", "x" * 513)],
            [("X-Remote-User", "ann"), ("X-Remote-Group", b"a,\xff")],
            [("X-Remote-User", "ann"), *[("X-Remote-Extra-A", "b")] * 101],
            [("X-Remote-User", "ann"), ("X-Remote-Extra-A", "b" * 1025)],
            [("X-Remote-User", "ann"), ("X-Remote-Extra-", "b")],
            [("X-Remote-User", "ann"), ("X-Remote-Extra-%FF", "b")],
            [("X-Remote-User", "ann"), ("X-Remote-Extra-A%0AB", "b")],
            [("X-User-Principal", "x" * 256)],
        ],
    )
    def test_what_is_too_much_is_refused_by_name_and_never_cut(self, lines: list[tuple[str, str | bytes]]) -> None:
        with pytest.raises(Invalid) as caught:
            principal(*lines)
        assert caught.value.field is not None
        assert lines[-1][0].startswith(caught.value.field)

    def test_role_header_has_a_word_of_its_own(self) -> None:
        assert principal(("X-User-Role", " Operator ")) == Principal("anonymous", is_operator=True)
        assert principal(("X-Remote-User", "ann"), ("X-User-Role", "operator")) == Principal("ann", is_operator=True)
        mute = HeaderTrust(peers=None, honours_role=False, honours_principal=True)
        assert principal(("X-Remote-User", "ann"), ("X-User-Role", "operator"), trust=mute) == Principal("ann")

    def test_user_principal_stands_in_for_a_user_that_is_not_given(self) -> None:
        """Spec platform.md 4.1; only where there is no authorization."""
        assert principal(("X-User-Principal", " ann ")).user == "ann"
        assert principal(("X-User-Principal", "ann"), ("X-Remote-User", "bert")).user == "bert"
        assert principal(("X-User-Principal", "ann"), ("X-Remote-User", "")).user == "anonymous"
        assert principal(("X-User-Principal", "a\x00")).user == "anonymous"
        strict = HeaderTrust(peers=None, honours_role=True, honours_principal=False)
        assert principal(("X-User-Principal", "ann"), trust=strict).user == "anonymous"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(tmp_path_factory.mktemp("proxied")) as found:
        yield found


class TestAnswers:
    def test_what_is_too_much_is_a_400_that_names_the_header(self, operator: Operator) -> None:
        headers = {"X-Remote-User": "ann", "X-Remote-Group": ",".join(f"g{number}" for number in range(501))}
        for method, path in (("GET", f"{MANAGEMENT}/sources"), ("POST", f"{MANAGEMENT}/refresh"), ("GET", "/nowhere")):
            response = operator.client.request(method, path, headers=headers)
            assert response.status_code == 400
            assert check_error(response)["field"] == "X-Remote-Group"
            assert response.json()["message"] == "X-Remote-Group: names more than 500 groups"
        assert operator.client.get("/livez", headers=headers).status_code == 200

    def test_name_is_what_jobs_and_revisions_keep(self, operator: Operator) -> None:
        job_id = operator.refresh(headers={"X-Remote-User": "Zoë".encode()})  # type: ignore[dict-item]
        assert operator.job(job_id)["requestedBy"] == "Zoë"
        operator.apply({"id": "spare", "name": "S", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}})
        assert operator.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["author"] == "olivia"

    def test_user_principal_reaches_them_too(self, operator: Operator) -> None:
        operator.forget_limits()
        response = operator.client.request(
            *("POST", f"{MANAGEMENT}/refresh/other"), headers={"X-User-Role": "operator", "X-User-Principal": "paula"}
        )
        assert operator.ok("GET", f"{JOBS}/{response.json()['jobId']}")["requestedBy"] == "paula"


def test_review_is_told_of_all_groups_and_further_attributes(tmp_path: Path) -> None:
    lines = [
        ("X-Remote-User", "ann"),
        ("X-Remote-Group", "b, a"),
        ("X-Remote-Group", "c"),
        ("X-Remote-Extra-Team", "x"),
    ]
    with reviewing(tmp_path) as reviewed:
        reviewed.allow("assets/list")
        assert reviewed.client.get(SKILLS, headers=lines).status_code == 200
        (spec,) = reviewed.cluster.reviews
        assert {"a", "b", "c"} <= set(spec["groups"])
        assert spec["extra"] == {"team": ["x"]}
        # A name that only development goes by is no user where the cluster decides.
        assert reviewed.client.get(SKILLS, headers={"X-User-Principal": "ann"}).status_code == 401


@contextmanager
def asked_from(server: RunningServer, source: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
    """A connection to the server from this address of the machine."""
    port = server.url.rpartition(":")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30, source_address=(source, 0))
    try:
        yield connection
    finally:
        connection.close()


def ask(server: RunningServer, path: str, source: str, **headers: str) -> tuple[int, Any]:
    """Post an empty object as operator ann from this address; the status and body of the answer."""
    with asked_from(server, source) as connection:
        given = {"X-User-Role": "operator", "X-Remote-User": "ann", **headers}
        connection.request("POST", f"{MANAGEMENT}/{path}", b"{}", given)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def is_operator(server: RunningServer, source: str, **headers: str) -> bool:
    """Whether a peer at this address is believed to be one."""
    status, _ = ask(server, "validate-source", source, **headers)
    assert status in (200, 403)
    return status == 200


def requester(server: RunningServer, source: str = "127.0.0.1") -> str:
    """Who asked, as a job keeps it."""
    status, body = ask(server, "refresh", source)
    assert status == 202, body
    return str(server.json(f"{JOBS}/{body['jobId']}")["requestedBy"])


LISTENING = {
    "loopback": (),
    "all, both families": ("--listen=:0",),
}
LOUD = "ANYBODY WHO REACHES THIS PORT CAN BE ANYBODY: X-Remote-User and X-Remote-Group are believed of every peer"
ALLOWED = {"CATALOG_ALLOW_HEADER_AUTH": "true"}


class TestPeers:
    """On real sockets, from several addresses of this machine."""

    @pytest.mark.parametrize("listen", LISTENING.values(), ids=LISTENING)
    def test_only_headers_of_proxies_count(self, tmp_path: Path, listen: tuple[str, ...]) -> None:
        """On a socket of both families, where IPv4 peers appear as IPv6 addresses, too."""
        env = {"CATALOG_TRUSTED_PROXIES": "127.0.0.2, 10.0.0.0/8", **ALLOWED}
        with running(tmp_path, SAMPLE, *listen, **env) as server:
            server.url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}"
            assert [is_operator(server, f"127.0.0.{last}") for last in (1, 2, 3)] == [False, True, False]
            assert requester(server, "127.0.0.2") == "ann"
            assert not server.logged(LOUD)

    def test_what_a_proxy_says_of_others_does_not_make_them_proxies(self, tmp_path: Path) -> None:
        """`X-Forwarded-For` and the like leave the peer what it is, in both directions."""
        with running(tmp_path, CATALOG_TRUSTED_PROXIES="127.0.0.2", FORWARDED_ALLOW_IPS="*") as server:
            for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
                assert not is_operator(server, "127.0.0.1", **{header: "127.0.0.2"})
                assert is_operator(server, "127.0.0.2", **{header: "203.0.113.7"})

    def test_headers_of_everybody_count_when_no_proxy_is_named(self, tmp_path: Path) -> None:
        """With one loud warning where others than this machine can connect."""
        with running(tmp_path, SAMPLE, "--listen=:0", **ALLOWED) as server:
            server.url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}"
            assert requester(server, "127.0.0.3") == "ann"
            (warning,) = server.logged(LOUD)
            assert warning["level"] == "warning"
            assert "CATALOG_TRUSTED_PROXIES" in warning["remedy"]

    def test_nothing_is_warned_of_on_loopback(self, tmp_path: Path) -> None:
        with running(tmp_path) as server:
            assert requester(server) == "ann"
            assert not server.logged(LOUD)

    def test_networks_that_are_none_stop_the_start(self, tmp_path: Path) -> None:
        ended = run_to_end(tmp_path, CATALOG_TRUSTED_PROXIES="proxy.example")
        assert ended.returncode == 1
        assert ended.stderr.startswith("catalog-server: CATALOG_TRUSTED_PROXIES: 'proxy.example' is not allowed")
