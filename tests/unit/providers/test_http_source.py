"""What an http source may ask for. Nothing here touches a disk or a network."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.http_source import HTTPSource, http_sync_interval, read_http_source

URL = "https://example.com/agents.yaml"
SECRET = "s3cr3t-value"
PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


class Files:
    """A door to local files behind which there is one file of each kind."""

    def locate(self, value: str) -> Path:
        raise AssertionError(value)

    resolve_folder = locate

    def resolve(self, value: str) -> Path:
        if value not in ("ca.pem", "notes.txt", "binary"):
            raise Invalid(f"the path {value!r} lies outside", code="path_outside_roots")
        return Path(value)

    def read(self, path: Path) -> bytes:
        return {"ca.pem": PEM.encode(), "notes.txt": b"", "binary": b"\xff"}[path.name]


def read(**given: Any) -> HTTPSource:
    return read_http_source({"url": URL, **given}, Files(), max_bytes=1000, timeout_seconds=30)


def fault_of(**given: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(**given)
    assert SECRET not in caught.value.message
    return caught.value


def test_only_url_then_defaults() -> None:
    source = read(excludedModels=["x"])
    assert (source.target.shown, dict(source.headers)) == (URL, {})
    assert (source.timeout_seconds, source.max_bytes) == (30, 1000)
    assert (source.tls.authorities, source.tls.is_verified) == (None, True)
    large = read_http_source({"url": URL}, Files(), max_bytes=10**9, timeout_seconds=30)
    assert large.max_bytes == 33554432


def test_everything_given_then_taken() -> None:
    source = read(
        headers={"X-Team": " a b ", "Accept": "text/yaml"},
        auth={"type": "bearer", "token": f"{SECRET}\n"},
        timeout="1m",
        maxBytes=10,
        tls={"caFile": "ca.pem"},
        refreshInterval="5m",
    )
    assert source.headers == {"x-team": "a b", "accept": "text/yaml", "authorization": f"Bearer {SECRET}"}
    assert (source.timeout_seconds, source.max_bytes, source.tls.authorities) == (60, 10, PEM)
    assert SECRET not in repr(source)
    assert not read(tls={"insecureSkipVerify": True}).tls.is_verified


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        (None, {}),
        (
            {"type": "basic", "username": "bö", "password": "a:b"},
            {"authorization": "Basic " + base64.b64encode("bö:a:b".encode()).decode()},
        ),
        ({"type": "api-key", "token": "x"}, {"x-api-key": "x"}),
        ({"type": "api-key", "token": "x", "headerName": "Private-Token"}, {"private-token": "x"}),
    ],
)
def test_auth_then_its_header(auth: Any, headers: dict[str, str]) -> None:
    assert read(auth=auth).headers == headers


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": None}, "url"),
        ({"url": 1}, "url"),
        ({"url": f"https://bot:{SECRET}@example.com/"}, "url"),
        ({"url": f"ftp://example.com/?key={SECRET}"}, "url"),
        ({"uri": "x"}, "uri"),
        ({"timeout": "0s"}, "timeout"),
        ({"timeout": "11m"}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"maxBytes": 0}, "maxBytes"),
        ({"maxBytes": 1001}, "maxBytes"),
        ({"maxBytes": True}, "maxBytes"),
        ({"maxBytes": "10"}, "maxBytes"),
        ({"syncInterval": "x"}, "syncInterval"),
        ({"refreshInterval": "x"}, "refreshInterval"),
        ({"syncInterval": "1h", "refreshInterval": "1h"}, "refreshInterval"),
        ({"headers": ["x"]}, "headers"),
        ({"headers": {f"X {SECRET}": "x"}}, "headers"),
        ({"headers": {f"X\r\n{SECRET}": "x"}}, "headers"),
        ({"headers": {"": "x"}}, "headers"),
        ({"headers": {1: "x"}}, "headers"),
        ({"headers": {f"X-{number}": "x" for number in range(51)}}, "headers"),
        ({"headers": {"X-A": "x", "x-a": "y"}}, "headers.x-a"),
        ({"headers": {"X-A": f"{SECRET}\r\nX-B: y"}}, "headers.X-A"),
        ({"headers": {"X-A": f"{SECRET}\ny"}}, "headers.X-A"),
        ({"headers": {"X-A": f"{SECRET}\0"}}, "headers.X-A"),
        ({"headers": {"X-A": f"{SECRET}ä"}}, "headers.X-A"),
        ({"headers": {"X-A": ""}}, "headers.X-A"),
        ({"headers": {"X-A": 1}}, "headers.X-A"),
        ({"headers": {"X-A": None}}, "headers.X-A"),
        ({"headers": {"X-A": {"name": "n", "key": "k"}}}, "headers.X-A"),
        ({"headers": {"X-A": SECRET * 1000}}, "headers.X-A"),
        *(
            ({"headers": {name: "x"}}, "headers")
            for name in ("Host", "content-length", "Connection", "TRANSFER-ENCODING", "Upgrade", "TE", "Range")
        ),
        *(
            ({"headers": {name: "x"}}, "headers")
            for name in ("Accept-Encoding", "If-None-Match", "Proxy-Authorization")
        ),
        ({"auth": SECRET}, "auth"),
        ({"auth": {}}, "auth.type"),
        ({"auth": {"type": "digest"}}, "auth.type"),
        ({"auth": {"type": "bearer"}}, "auth.token"),
        ({"auth": {"type": "bearer", "token": ""}}, "auth.token"),
        ({"auth": {"type": "bearer", "token": f"{SECRET}\nx"}}, "auth.token"),
        ({"auth": {"type": "bearer", "token": f"{SECRET}ä"}}, "auth.token"),
        ({"auth": {"type": "bearer", "token": {"name": "n", "key": "k"}}}, "auth.token"),
        ({"auth": {"type": "bearer", "token": "x", "password": SECRET}}, "auth.password"),
        ({"auth": {"type": "bearer", "tokn": SECRET}}, "auth.tokn"),
        ({"auth": {"type": "bearer", "token": "x", "excludedModels": []}}, "auth.excludedModels"),
        ({"auth": {"type": "basic", "username": "a:b", "password": SECRET}}, "auth.username"),
        ({"auth": {"type": "basic", "password": SECRET}}, "auth.username"),
        ({"auth": {"type": "basic", "username": "a"}}, "auth.password"),
        ({"auth": {"type": "api-key", "token": "x", "headerName": f"{SECRET} x"}}, "auth.headerName"),
        ({"auth": {"type": "api-key", "token": "x", "headerName": "Host"}}, "auth.headerName"),
        ({"auth": {"type": "bearer", "token": SECRET}, "headers": {"Authorization": SECRET}}, "auth"),
        ({"tls": True}, "tls"),
        ({"tls": {"ca": "x"}}, "tls.ca"),
        ({"tls": {"insecureSkipVerify": "yes"}}, "tls.insecureSkipVerify"),
        ({"tls": {"caFile": "ca.pem", "insecureSkipVerify": True}}, "tls.insecureSkipVerify"),
        ({"tls": {"caFile": "/etc/passwd"}}, "tls.caFile"),
        ({"tls": {"caFile": "notes.txt"}}, "tls.caFile"),
        ({"tls": {"caFile": "binary"}}, "tls.caFile"),
    ],
)
def test_wrong_property_then_named(given: dict[str, Any], field: str) -> None:
    assert fault_of(**given).field == f"properties.{field}"


def test_unknown_key_then_nearest_is_named() -> None:
    assert fault_of(header={}).message == 'unknown property "header": did you mean "headers"?'
    assert fault_of(auth={"type": "bearer", "tokn": "x"}).message.endswith('did you mean "token"?')


def test_interval_then_default_alias_and_none() -> None:
    assert http_sync_interval({}) == timedelta(hours=1)
    assert http_sync_interval({"syncInterval": "2h"}) == timedelta(hours=2)
    assert http_sync_interval({"refreshInterval": "5m"}) == timedelta(minutes=5)
    assert http_sync_interval({"syncInterval": "0s"}) is None


def test_identity_then_of_all_that_decides_the_answer_and_nothing_else() -> None:
    one = read(headers={"A": "x", "B": "y"}, timeout="1m", syncInterval="1m", maxBytes=5)
    assert one.identity == read(headers={"b": "y", "a": "x"}).identity
    others = [
        read(),
        read(url=f"{URL}?x"),
        read(headers={"A": "xB", "B": "y"}),
        read(auth={"type": "bearer", "token": "x"}),
        read(auth={"type": "bearer", "token": "y"}),
        read(tls={"insecureSkipVerify": True}),
        read(tls={"caFile": "ca.pem"}),
    ]
    assert len({source.identity for source in (one, *others)}) == len(others) + 1
