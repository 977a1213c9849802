"""Errors are JSON and name what is wrong; nothing that a client sends breaks the server or its log."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from catalog_server.http import app as app_module
from catalog_server.http.router import Operation, Route
from tests.http.client import AGENTS, LISTS, MODELS, SERVERS, SKILLS, Client, check_error, open_client
from tests.server import RunningServer, running, wait_until

SKILL_SOURCES = "/api/skills_catalog/v1alpha1/sources"
ONE_MODEL = "/api/model_catalog/v1alpha1/sources/validated_ai_models/models/northwind-ai/harbor-chat-8b-instruct-fp8"
MODEL_SOURCES = "/api/model_catalog/v1alpha1/sources"
TEXT_PARAMETERS = (
    "q",
    "filterQuery",
    "orderBy",
    "sortOrder",
    "source",
    "sourceLabel",
    "namedQuery",
    "pageToken",
    "view",
)
HOSTILE_VALUES = {
    "NUL": "%00",
    "invalid UTF-8": "%ff%fe",
    "truncated UTF-8": "%e2%82",
    "overlong UTF-8": "%c0%af",
    "lone surrogate": "%ed%a0%80",
    "5000 digits": "9" * 5000,
    "minus 5000 digits": "-" + "9" * 5000,
    "float overflow": "1e999999",
    "newline": "a%0d%0aSet-Cookie:%20x=1",
    "escape": "%1b[2J",
    "deep parentheses": "(" * 500,
    "60 KB": "a" * 60_000,
    "right-to-left": "%e2%80%ae",
    "broken percent": "%",
    "quotes": "%27%22%60%5c",
    "filter with 5000 digits": "timeoutSeconds%20%3D%20" + "9" * 900,
    "comment": "name=%27a%27%20--",
}


# --- what a client may rely on


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{SKILLS}/x", {"error": 'skill "x" not found', "message": 'skill "x" not found'}),
        (f"{AGENTS}/x", {"error": 'agent "x" not found', "message": 'agent "x" not found'}),
        (f"{SERVERS}/x", {"error": 'MCP server "x" not found', "message": 'MCP server "x" not found'}),
        (f"{LISTS[4]}/x", {"error": 'knowledge source "x" not found', "message": 'knowledge source "x" not found'}),
        (f"{LISTS[5]}/x", {"error": 'prompt template "x" not found', "message": 'prompt template "x" not found'}),
        (f"{LISTS[6]}/x", {"error": 'guardrail "x" not found', "message": 'guardrail "x" not found'}),
        (f"{LISTS[7]}/x", {"error": 'policy "x" not found', "message": 'policy "x" not found'}),
        (
            "/api/model_catalog/v1alpha1/sources/s/models/a/b",
            {"error": "Not Found", "code": "Not Found", "message": "No model found 'a/b' in source 's'"},
        ),
        ("/api/plugins/x/capabilities", {"error": 'plugin "x" not found', "message": 'plugin "x" not found'}),
        ("/nowhere", {"error": "Not Found", "message": "no such path: /nowhere"}),
        ("/api/plugins/", {"error": "Not Found", "message": "no such path: /api/plugins/"}),
        (f"{SKILLS}/", {"error": "Not Found", "message": f"no such path: {SKILLS}/"}),
    ],
)
def test_not_found_bodies(sample: Client, path: str, body: dict[str, str]) -> None:
    assert sample.error(path, 404) == body


def test_bad_request_bodies_by_family(sample: Client) -> None:
    message = "pageSize: 'x' is not a whole number"
    details = {"message": message, "field": "pageSize"}
    assert sample.error(MODELS, pageSize="x") == {"error": "Bad Request", "code": "Bad Request", **details}
    assert sample.error(SERVERS, pageSize="x") == {"error": message, **details}
    assert sample.error(SKILL_SOURCES, pageSize="x") == {"error": "Bad Request", **details}
    error = sample.error(SKILLS, orderBy="nope")
    assert error["error"] == error["message"]
    assert set(error) == {"error", "message", "field"}


@pytest.mark.parametrize("name", ["q", "orderBy", "namedQuery"])
def test_too_long_parameters_name_themselves(sample: Client, name: str) -> None:
    error = sample.error(SKILLS, **{name: "a" * 1025})
    assert error["field"] == name
    assert name in error["message"]
    assert "1024" in error["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize("path", [MODELS, f"{SKILLS}/x", "/api/plugins", "/openapi.json", "/", ONE_MODEL])
def test_method_not_allowed(sample: Client, method: str, path: str) -> None:
    response = sample.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    body = check_error(response)
    assert method in body["message"]
    assert ("code" in body) == path.startswith("/api/model_catalog")


@pytest.mark.parametrize("path", [MODELS, f"{SKILLS}/x", "/api/plugins", "/livez"])
def test_options(sample: Client, path: str) -> None:
    response = sample.request("OPTIONS", path)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    assert sample.request("OPTIONS", "/nowhere").status_code == 404


def test_a_bug_is_a_500_that_tells_nothing_but_the_request_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(request: object) -> Any:
        raise RuntimeError("password=hunter2")

    def routes(services: object) -> list[Route]:
        return [Route("/broken/{name...}", broken, Operation("Broken", "test"), permission=None)]

    monkeypatch.setattr(app_module, "build_routes", routes)
    with open_client(tmp_path, load_now=False) as client:
        response = client.get("/broken/a%0Ab", headers={"X-Request-Id": "abc-1", "Origin": "https://a.example"})
        assert response.status_code == 500
        assert check_error(response) == {
            "error": "Internal Server Error",
            "message": "internal error; request id abc-1",
        }
        assert response.headers["access-control-allow-origin"] == "*"
    logged = capsys.readouterr().out
    assert "abc-1" in logged
    assert "hunter2" in logged


# --- request ids


@pytest.mark.parametrize("given", ["a", "ABC-123_x.y:z/+=", "x" * 128, "two words", "\u0022quoted\u0022"])
def test_request_id_is_echoed(sample: Client, given: str) -> None:
    assert sample.get("/api/plugins", headers={"X-Request-Id": given}).headers["x-request-id"] == given
    assert json.loads(sample.log.splitlines()[-1])["request_id"] == given


@pytest.mark.parametrize(
    "given", [b"", b"x" * 129, b"a\tb", b"a\x1b[2J", b"a\x7f", "ü".encode(), "ü".encode("latin-1"), b"a\x00b", b"a\nb"]
)
def test_an_unfit_request_id_is_replaced(sample: Client, given: bytes) -> None:
    first, second = (
        sample.request("GET", path, headers=[(b"x-request-id", given)]).headers["x-request-id"]
        for path in ("/api/plugins", "/nowhere")
    )
    assert first != second
    for own in (first, second):
        assert own.encode() != given
        assert own.isascii()
        assert own.isprintable()
        assert own


# --- hostile input


@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES.keys())
@pytest.mark.parametrize("path", [MODELS, SKILLS, f"{ONE_MODEL}/artifacts", SKILL_SOURCES])
def test_hostile_parameters(sample: Client, path: str, value: str) -> None:
    for name in (*TEXT_PARAMETERS, "pageSize", "namespace", "unknown"):
        response = sample.get(f"{path}?{name}={value}")
        assert response.status_code in (200, 400, 413), response.text
        if response.status_code != 200:
            body = check_error(response)
            assert body["field"] in (name, "query", "name")
            assert body["field"] in body["message"]
            assert len(response.content) < 3000


@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES.keys())
def test_hostile_paths(sample: Client, value: str) -> None:
    for path in (
        *(f"{SKILLS}/VALUE", f"{AGENTS}/VALUE/dependencies", "/VALUE", "/api/plugins/VALUE/capabilities"),
        *(f"{SKILLS}/x?sourceId=VALUE", f"{SKILLS}?VALUE=1", f"{SKILLS}/filter_options?VALUE"),
        *(f"{MODEL_SOURCES}/VALUE/models/a", f"{MODEL_SOURCES}/validated_ai_models/models/VALUE/artifacts"),
    ):
        response = sample.get(path.replace("VALUE", value))
        assert response.status_code in (200, 400, 404, 413), response.text
        if response.status_code != 200:
            check_error(response)


def test_names_can_be_hostile_twice(sample: Client) -> None:
    for value in ("%2500", "%25ff", "%25ed%25a0%2580", "%250a", "%25", "%252525"):
        sample.error(f"{SKILLS}/{value}", 404)
        sample.error(f"/api/model_catalog/v1alpha1/sources/s/models/{value}", 404)


@pytest.mark.parametrize("name", [*TEXT_PARAMETERS, "pageSize", "x"])
def test_200_parameters(sample: Client, name: str) -> None:
    for query in ("&".join(f"{name}{n}=1" for n in range(200)), "&".join([f"{name}=1"] * 200)):
        error = sample.error(f"{SKILLS}?{query}")
        assert "100" in error["message"]


def test_raw_bytes_in_the_query(running_server: RunningServer) -> None:
    reply = send_raw(running_server, f"GET {SKILLS}?q=".encode() + b"\xc3\xbc\xff HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 400 ")


# --- over a socket: what no well-behaved client library sends


def send_raw(server: RunningServer, *parts: bytes) -> bytes:
    """The answer to these bytes, as far as it comes before the server closes or falls silent."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        reply = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                reply += chunk
        return reply


RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "NUL in the path": b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute": b"GET http://evil.example/api/plugins HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "dots": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad method": b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\n b\r\n\r\n",
    "two lengths": b"POST /api/plugins HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "bad length": b"POST /api/plugins HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "no host": b"GET /api/plugins HTTP/1.1\r\n\r\n",
    "upgrade": b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "60 KB header": b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 60_000 + b"\r\n\r\n",
    "bytes in a header": b"GET /api/plugins HTTP/1.1\r\nHost: x\r\nX-Namespace: \xff\r\nOrigin: \xfe\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
def test_raw_requests(running_server: RunningServer, raw: bytes) -> None:
    reply = send_raw(running_server, raw)
    assert not reply.startswith(b"HTTP/1.1 5"), reply[:500]
    assert running_server.get("/livez").status_code == 200


def test_a_long_body_is_not_read_for_a_get(running_server: RunningServer) -> None:
    head = f"GET {SKILLS}?pageSize=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
    assert send_raw(running_server, head, b"a" * 1_000_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_log_line_can_be_forged(tmp_path: Path, log_format: str) -> None:
    forged = "FORGED"
    values = ("a%0AVALUE", "a%0D%0AVALUE", "%C2%85VALUE", "%E2%80%A8VALUE", "a%250aVALUE", "%1b[1AVALUE")
    with running(tmp_path, CATALOG_LOG_FORMAT=log_format, wait=False) as server:  # type: ignore[arg-type]
        wait_until("readiness", lambda: server.readiness()[0] == 200, 60)
        for value in values:
            text = value.replace("VALUE", forged)
            for path in (f"/{text}", f"{SKILLS}/{text}", f"{SKILLS}?q={text}", f"/api/plugins/{text}/capabilities"):
                server.get(path, headers={"X-Request-Id": f"id {forged}"})
        send_raw(server, b"GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\x0bFORGED\r\n\r\n")
        server.get("/last")
        wait_until("the log", lambda: "/last" in server.output)
        lines = server.output.splitlines()
    assert forged in "".join(lines)
    assert not [line for line in lines if line.lstrip().startswith(forged)]
    if log_format == "json":
        assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not set("".join(lines)) & {"\x1b", "\x0b", "\x85", "\u2028"}
