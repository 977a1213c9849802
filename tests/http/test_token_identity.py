"""Who asks, as a bearer token says (spec http-api.md 5): on guarded routes, on open ones, and while keys change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog_server.access import keys as module
from catalog_server.access.permissions import GET_ASSETS, UNKNOWN, UPDATE_SOURCES, Permission
from catalog_server.access.principal import ANONYMOUS, Principal
from catalog_server.access.rejections import TokenRejected
from catalog_server.access.tokens import ClaimRules, Tokens
from catalog_server.http.messages import Request, json_response
from catalog_server.http.middleware.identity import identity
from catalog_server.http.router import Operation, Route
from tests.http.client import SKILLS, check_error
from tests.http.operator import JOBS, MANAGEMENT, Operator, operating
from tests.http.reviewed import reviewing
from tests.issuers import Issuer, KeyServer, claims_of, hand_made, key_set
from tests.server import SAMPLE, RunningServer, run_to_end, running, wait_until

ISSUER, OTHER, STRANGER = Issuer("one"), Issuer("two", "ES256"), Issuer("stranger")
VALIDATE = f"{MANAGEMENT}/validate-source"
FORGED = {
    "X-Remote-User": "root",
    "X-Remote-Group": "system:masters",
    "X-User-Role": "operator",
    "X-User-Principal": "root",
}
CHALLENGE = 'Bearer error="invalid_token"'


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A server that verifies tokens by a key file; its operator sends no headers of a proxy."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "key.pem").write_bytes(ISSUER.pem)
    env = {
        **{"CATALOG_AUTH_MODE": "jwt", "CATALOG_JWT_PUBLIC_KEY_PATH": str(folder / "key.pem")},
        **{"CATALOG_JWT_ISSUER": "https://issuer.example", "CATALOG_JWT_AUDIENCE": "catalog"},
    }
    with operating(folder, **env) as found:
        found.headers = {}
        yield found


def token(issuer: Issuer = ISSUER, **claims: Any) -> str:
    """For the server of this module. Good for longer than any test run, since parameters are made at its start."""
    return issuer.token(**{"iss": "https://issuer.example", "aud": "catalog", "exp": 4_000_000_000, **claims})


class TestRoutes:
    def test_operator_by_token_may_change_things_and_is_named(self, catalog: Operator) -> None:
        headers = bearer(token(role="operator", groups=["staff"]))
        job_id = catalog.refresh(headers=headers)
        assert catalog.job(job_id)["requestedBy"] == "ann"
        source = {"id": "spare", "name": "S", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}
        catalog.apply(source, headers=headers)
        assert catalog.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["author"] == "ann"

    @pytest.mark.parametrize("form", ["bearer {}", "BEARER {}", "Bearer   {}  ", "Bearer\t{}"])
    def test_scheme_is_of_any_case_and_the_token_trimmed(self, catalog: Operator, form: str) -> None:
        headers = {"Authorization": form.format(token(role="operator"))}
        assert catalog.client.request("POST", VALIDATE, headers=headers, content=b"{}").status_code == 200

    @pytest.mark.parametrize(
        "headers", [{}, {"Authorization": "Basic YTpi"}, bearer(token()), bearer(token(role="admin"))]
    )
    def test_others_are_viewers(self, catalog: Operator, headers: dict[str, str]) -> None:
        """No token, another scheme, a token without the role: known or not, they may look."""
        response = catalog.client.request("POST", VALIDATE, headers=headers, content=b"{}")
        assert response.status_code == 403
        assert response.json() == {"error": "forbidden", "message": "insufficient permissions"}
        assert catalog.client.get(SKILLS, headers=headers).status_code == 200

    @pytest.mark.parametrize("extra", [{}, bearer(token()), bearer(token(exp=1))], ids=["none", "good", "late"])
    def test_headers_of_proxies_count_for_nothing(self, catalog: Operator, extra: dict[str, str]) -> None:
        """Nor are they a way out when there is no good token."""
        response = catalog.client.request("POST", VALIDATE, headers={**FORGED, **extra}, content=b"{}")
        assert response.status_code in (401, 403)
        catalog.forget_limits()
        headers = {**FORGED, **bearer(token(role="operator", sub="bert"))}
        assert catalog.job(catalog.refresh("other", headers=headers))["requestedBy"] == "bert"

    @pytest.mark.parametrize(
        ("bad", "problem"),
        [
            (token(role="operator", exp=1), "the token has expired"),
            (token(role="operator", exp=None), "the token has no claim 'exp'"),
            (token(role="operator", nbf=3_900_000_000), "the token is not valid yet"),
            (token(role="operator", iss="https://other.example"), "the token is of another issuer ('iss')"),
            (token(role="operator", aud=["others"]), "the token is for another audience ('aud')"),
            (
                token(role="operator", sub="a\x00b"),
                "the token has a claim 'sub' that is not 1 to 255 printable characters",
            ),
            (token(STRANGER, role="operator"), "the token has a wrong signature"),
            (
                hand_made({"alg": "none"}, claims_of(role="operator", exp=4_000_000_000), b""),
                "not signed with an algorithm",
            ),
            ("garbage", "the token is malformed"),
            ("", "holds no token"),
            ("x" * 20_000, "more than 16384 characters"),
        ],
        ids=range(11),  # keys and times are others in each process of a run
    )
    def test_bad_token_is_a_401_where_something_is_guarded_and_nobody_elsewhere(
        self, catalog: Operator, bad: str, problem: str
    ) -> None:
        response = catalog.client.request("POST", VALIDATE, headers=bearer(bad), content=b"{}")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == CHALLENGE
        assert check_error(response)["error"] == "unauthorized"
        assert problem in response.json()["message"]
        for path in (SKILLS, f"{MANAGEMENT}/sources", JOBS, "/", "/openapi.json"):
            assert catalog.client.get(path, headers=bearer(bad)).status_code == 200
        assert catalog.client.get("/nowhere", headers=bearer(bad)).status_code == 404
        assert catalog.client.get(VALIDATE, headers=bearer(bad)).status_code == 405

    def test_two_credentials_are_none(self, catalog: Operator) -> None:
        lines = [("Authorization", f"Bearer {token(role='operator')}"), ("Authorization", "Bearer x")]
        response = catalog.client.request("POST", VALIDATE, headers=lines, content=b"{}")
        assert response.status_code == 401

    def test_document_tells_of_tokens_and_401(self, catalog: Operator) -> None:
        document = catalog.client.ok("/openapi.json")
        assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert document["security"] == [{}, {"token": []}]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                is_guarded = method != "get"
                assert ("401" in operation["responses"]) == is_guarded, f"{method} {path}"


def test_document_of_header_mode_does_not(tmp_path: Path) -> None:
    with operating(tmp_path) as operator:
        document = operator.client.ok("/openapi.json")
    assert "security" not in document
    assert "401" not in str(document)


@pytest.mark.parametrize(
    ("permission", "guards_reads", "is_refused"),
    [
        (UPDATE_SOURCES, False, True),
        (UPDATE_SOURCES, True, True),
        (GET_ASSETS, False, False),
        (GET_ASSETS, True, True),
        (None, True, False),
        (UNKNOWN, False, False),
        (UNKNOWN, True, True),
    ],
)
def test_bad_token_is_refused_where_a_permission_is_needed(
    permission: Permission | None, guards_reads: bool, is_refused: bool
) -> None:
    """Where reads are authorized as well, a bad token does not read as nobody."""
    headers = [(b"authorization", b"Bearer garbage")]
    request = Request({"method": "GET", "path": "/", "query_string": b"", "headers": headers}, receive=None)  # type: ignore[arg-type]
    request.route = Route("/", lambda _: json_response({}), Operation("", ""), permission=permission)
    seen: list[Principal] = []

    def follow(request: Request) -> Any:
        seen.append(request.principal)

    handle = identity(Tokens(ClaimRules(), None), guards_reads=guards_reads)(follow)
    if is_refused:
        with pytest.raises(TokenRejected):
            handle(request)
    else:
        handle(request)
        assert seen == [ANONYMOUS]


def test_review_is_told_of_whom_the_token_names_and_of_nobody_else(tmp_path: Path) -> None:
    """Mode `sar` with tokens: one identity for both, and a bad token is a 401 also where one only reads."""
    (tmp_path / "key.pem").write_bytes(ISSUER.pem)
    env = {"CATALOG_AUTH_MODE": "jwt", "CATALOG_JWT_PUBLIC_KEY_PATH": str(tmp_path / "key.pem")}
    with reviewing(tmp_path, **env) as reviewed:
        reviewed.allow("assets/list")
        assert reviewed.client.get(SKILLS, headers=FORGED).status_code == 401
        for path in (SKILLS, "/nowhere"):
            late = reviewed.client.get(path, headers={**FORGED, **bearer(ISSUER.token(exp=1))})
            assert (late.status_code, late.headers["www-authenticate"]) == (401, CHALLENGE)
        assert reviewed.cluster.reviews == []
        good = ISSUER.token(groups=["staff"])
        assert reviewed.client.get(SKILLS, headers={**FORGED, **bearer(good)}).status_code == 200
        (spec,) = reviewed.cluster.reviews
        assert spec["user"] == "ann"
        assert "staff" in spec["groups"]
        assert "system:masters" not in spec["groups"]


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    with KeyServer(ISSUER.jwk()) as server:
        yield server


def status_of(server: RunningServer, token: str) -> int:
    """What an operator with this token gets."""
    return httpx.post(
        f"{server.url}{VALIDATE}", headers=bearer(token), content=b"{}", trust_env=False, timeout=30
    ).status_code


class TestPublishedKeys:
    """Keys behind a URL, which change while the server runs."""

    def test_new_key_counts_when_its_first_token_comes(self, tmp_path: Path, keys: KeyServer) -> None:
        with running(tmp_path, CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=keys.url) as server:
            assert status_of(server, ISSUER.token(role="operator")) == 200
            assert keys.requests == 1
            keys.publish(ISSUER.jwk(), OTHER.jwk())
            assert status_of(server, OTHER.token(role="operator")) == 200
            assert keys.requests == 2
            # Made-up keys do not make the server ask on and on.
            for number in range(20):
                assert status_of(server, STRANGER.token(header={"kid": f"x{number}"})) == 401
            assert keys.requests == 2
            keys.status = 500
            assert status_of(server, ISSUER.token(role="operator")) == 200, "the last good keys"

    def test_keys_that_are_gone_or_broken_leave_the_last_good_ones(self, tmp_path: Path, keys: KeyServer) -> None:
        with running(tmp_path, CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=keys.url) as server:
            keys.body = b'{"keys": []}'
            assert status_of(server, OTHER.token(role="operator")) == 401
            assert keys.requests == 2
            assert status_of(server, ISSUER.token(role="operator")) == 200
            (warning,) = server.logged("keys for tokens not renewed")
            assert "no public key" in warning["reason"]

    def test_reads_go_on_while_keys_are_fetched_and_all_wait_for_one_fetch(
        self, tmp_path: Path, keys: KeyServer
    ) -> None:
        with (
            running(tmp_path, CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=keys.url) as server,
            ThreadPoolExecutor(30) as pool,
        ):
            keys.publish(OTHER.jwk())
            keys.may_answer.clear()
            keys.was_asked.clear()
            waiting = [pool.submit(status_of, server, OTHER.token(role="operator", n=number)) for number in range(30)]
            assert keys.was_asked.wait(10)
            for _ in range(5):
                assert server.get(SKILLS, headers=bearer(ISSUER.token())).status_code == 200
                assert status_of(server, ISSUER.token(role="operator")) == 200
            assert not any(one.done() for one in waiting)
            keys.may_answer.set()
            assert [one.result(30) for one in waiting] == [200] * 30
            assert keys.requests == 2
            assert status_of(server, ISSUER.token(role="operator")) == 401, "a key that was withdrawn"

    def test_start_waits_for_no_keys_and_takes_them_when_they_come(self, tmp_path: Path, keys: KeyServer) -> None:
        keys.status = 503
        with running(tmp_path, CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=keys.url) as server:
            assert server.logged("no keys for tokens yet, no token counts")
            answer = server.client.post(f"{server.url}{VALIDATE}", headers=bearer(ISSUER.token(role="operator")))
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert server.get(SKILLS, headers=bearer(ISSUER.token())).status_code == 200
            keys.status = 200
            wait_until("the keys", lambda: status_of(server, ISSUER.token(role="operator")) == 200, 30)

    def test_file_of_keys_is_read_again(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(key_set(ISSUER.jwk()))
        with running(tmp_path / "data", CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=str(file)) as server:
            assert status_of(server, ISSUER.token(role="operator")) == 200
            file.write_bytes(key_set(OTHER.jwk()))
            assert status_of(server, OTHER.token(role="operator")) == 200
            assert status_of(server, ISSUER.token(role="operator")) == 401

    def test_keys_are_renewed_without_being_asked_for(self, keys: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        ring = module.KeyRing(lambda: keys.body, module.parse_jwks)
        ring.refresh()
        keys.publish(OTHER.jwk())
        monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
        stop = threading.Event()
        thread = threading.Thread(target=ring.renew_until, args=(stop,))
        thread.start()
        wait_until("the new key", lambda: ring.generation == 2)
        stop.set()
        thread.join(10)
        assert ring.find("two", "ES256").id == "two"


class TestStart:
    @pytest.mark.parametrize(
        ("env", "begin", "end"),
        [
            ({}, "CATALOG_AUTH_MODE: 'jwt' needs a key; set CATALOG_JWT_PUBLIC_KEY_PATH or CATALOG_JWT_JWKS", ""),
            (
                {"CATALOG_JWT_PUBLIC_KEY_PATH": "/nowhere.pem"},
                "CATALOG_JWT_PUBLIC_KEY_PATH: /nowhere.pem: ",
                "No such file or directory",
            ),
            ({"CATALOG_JWT_PUBLIC_KEY_PATH": "/tmp"}, "CATALOG_JWT_PUBLIC_KEY_PATH: /tmp: ", "Is a directory"),
            ({"CATALOG_JWT_PUBLIC_KEY_PATH": "/dev/zero"}, "CATALOG_JWT_PUBLIC_KEY_PATH: /dev/zero: ", "bytes"),
            ({"CATALOG_JWT_PUBLIC_KEY_PATH": __file__}, "CATALOG_JWT_PUBLIC_KEY_PATH: ", "(BEGIN PUBLIC KEY)"),
            ({"CATALOG_JWT_JWKS": "/nowhere.json"}, "CATALOG_JWT_JWKS: /nowhere.json: ", "No such file or directory"),
            ({"CATALOG_JWT_JWKS": __file__}, "CATALOG_JWT_JWKS: ", "holds no JSON"),
            (
                {"CATALOG_JWT_JWKS": "https://user:hunter2@host/"},
                "CATALOG_JWT_JWKS: the URL must not hold a user",
                "to a secret",
            ),
            ({"CATALOG_JWT_JWKS": "ftp://host/keys"}, "CATALOG_JWT_JWKS: ", "No such file or directory"),
            (
                {"CATALOG_JWT_JWKS": "/x", "CATALOG_JWT_PUBLIC_KEY_PATH": "/y"},
                "CATALOG_JWT_JWKS: contradicts CATALOG_JWT_PUBLIC",
                "",
            ),
            (
                {"CATALOG_JWT_PUBLIC_KEY_PATH": "/nowhere", "CATALOG_JWT_ALLOW_UNVERIFIED": "true"},
                "CATALOG_JWT_PUBLIC_KEY_PATH: ",
                "directory",
            ),
        ],
    )
    def test_without_a_good_key_there_is_no_server(
        self, tmp_path: Path, env: dict[str, str], begin: str, end: str
    ) -> None:
        """One line, which names the variable; never a server without the protection that was asked for."""
        ended = run_to_end(tmp_path, "--listen=127.0.0.1:0", f"--sources={SAMPLE}", CATALOG_AUTH_MODE="jwt", **env)
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert line.startswith(f"catalog-server: {begin}")
        assert line.endswith(end)

    @pytest.mark.parametrize(
        ("status", "body"), [(404, b""), (200, b"<html>"), (200, b'{"keys": []}'), (200, b" " * 300_000)]
    )
    def test_url_without_keys_stops_it_too(self, tmp_path: Path, keys: KeyServer, status: int, body: bytes) -> None:
        keys.status, keys.body = status, body
        ended = run_to_end(
            tmp_path, "--listen=127.0.0.1:0", f"--sources={SAMPLE}", CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS=keys.url
        )
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"catalog-server: CATALOG_JWT_JWKS: {keys.url}: ")
        assert len(ended.stderr.splitlines()) == 1

    def test_unverified_tokens_have_to_be_asked_for_and_are_warned_of_once(self, tmp_path: Path) -> None:
        env = {"CATALOG_AUTH_MODE": "jwt", "CATALOG_JWT_ALLOW_UNVERIFIED": "true", "CATALOG_JWT_AUDIENCE": "catalog"}
        with running(tmp_path, **env) as server:
            assert status_of(server, STRANGER.token(role="operator", aud="catalog")) == 200
            assert status_of(server, STRANGER.token(role="operator", aud="others")) == 401
            assert status_of(server, STRANGER.token(role="operator", aud="catalog", exp=1)) == 401
            assert status_of(server, STRANGER.token(role="operator", aud="catalog", exp=None)) == 401
            found = [line for line in server.lines if "signatures are not verified" in line["event"]]
            assert [line["level"] for line in found] == ["warning"]
