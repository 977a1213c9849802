"""Kubeconfig files against a real TLS server: whom we believe, who we are, and what is refused, not passed over."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog_server.errors import Invalid, Unavailable
from catalog_server.kube.client import KubeClient
from catalog_server.kube.kubeconfig import access_by_kubeconfig
from catalog_server.kube.resources import SECRETS
from tests.contract.providers.http_bench import make_authority
from tests.fake_kubernetes import TOKEN, Cluster, serve_cluster

SECRET = "s3cret-8f2a9c"


@dataclass
class Bench:
    """A cluster behind TLS, with an authority that nobody else believes in, and a folder for kubeconfig files."""

    cluster: Cluster
    url: str
    folder: Path
    context: ssl.SSLContext

    def write(self, cluster: Mapping[str, Any], user: Mapping[str, Any] | None, **fields: Any) -> Path:
        document: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "dev",
            "preferences": {},
            "contexts": [
                {"name": "other", "context": {"cluster": "gone", "user": "gone"}},
                {"name": "dev", "context": {"cluster": "c", "namespace": "x", **({"user": "u"} if user else {})}},
            ],
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": dict(user)}] if user else None,
            **fields,
        }
        return self.put(yaml.safe_dump(document))

    def put(self, text: str) -> Path:
        (self.folder / "config").write_text(text)
        return self.folder / "config"

    def ask(self, cluster: Mapping[str, Any], user: Mapping[str, Any] | None) -> str:
        """The name of a secret, got from the cluster."""
        client = KubeClient(access_by_kubeconfig(self.write(cluster, user)))
        try:
            return str(client.get(SECRETS, "s", namespace="ns")["metadata"]["name"])
        finally:
            client.close()

    def refuse(self, cluster: Mapping[str, Any], user: Mapping[str, Any] | None, **fields: Any) -> str:
        path = self.write(cluster, user, **fields)
        with pytest.raises(Invalid) as caught:
            access_by_kubeconfig(path)
        assert caught.value.message.startswith(f"kubeconfig {path}: ")
        assert SECRET not in caught.value.message
        return caught.value.message


def data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    authority = make_authority(tmp_path / "pki", "IP:127.0.0.1")
    with serve_cluster(tls=authority.context) as (cluster, url):
        cluster.put("secrets", "ns", {"metadata": {"name": "s"}})
        yield Bench(cluster, url, tmp_path, authority.context)


def test_files_when_relative_then_beside_the_kubeconfig(bench: Bench) -> None:
    (bench.folder / "token").write_text(f"{TOKEN}\n")
    assert bench.ask({"certificate-authority": "pki/ca.pem"}, {"tokenFile": "token"}) == "s"


def test_data_then_taken_from_the_file_itself(bench: Bench) -> None:
    authority = {"certificate-authority": "nowhere", "certificate-authority-data": data(bench.folder / "pki/ca.pem")}
    assert bench.ask(authority, {"token": TOKEN}) == "s"


def test_client_certificate_then_shown_to_the_server(bench: Bench) -> None:
    """By file and by data; without one the server hangs up."""
    bench.cluster.tokens.add("")
    bench.context.verify_mode = ssl.CERT_REQUIRED
    bench.context.load_verify_locations(bench.folder / "pki/ca.pem")
    authority = {"certificate-authority": "pki/ca.pem"}
    files = {"client-certificate": "pki/server.pem", "client-key": "pki/server.key"}
    assert bench.ask(authority, files) == "s"
    assert bench.ask(authority, {f"{name}-data": data(bench.folder / path) for name, path in files.items()}) == "s"
    with pytest.raises(Unavailable):
        bench.ask(authority, None)


def test_temporary_files_then_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    files = {"client-certificate-data": "pki/server.pem", "client-key-data": "pki/server.key"}
    credentials = {name: data(bench.folder / path) for name, path in files.items()}
    access_by_kubeconfig(bench.write({"certificate-authority-data": data(bench.folder / "pki/ca.pem")}, credentials))
    assert list(scratch.iterdir()) == []


def test_server_that_nobody_vouches_for_then_not_believed(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        bench.ask({}, {"token": TOKEN})
    assert bench.cluster.requests == []


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({"insecure-skip-tls-verify": True}, {"token": SECRET}, "insecure-skip-tls-verify"),
        ({"tls-server-name": "x"}, None, "'tls-server-name' is not supported"),
        ({"proxy-url": "http://x"}, None, "'proxy-url' is not supported"),
        ({"server": "ftp://x"}, None, "URL"),
        ({"server": "https://x:99999"}, None, "URL"),
        ({"server": 7}, None, "names no server"),
        ({"certificate-authority": "nowhere.pem"}, None, "nowhere.pem cannot be read"),
        ({"certificate-authority-data": "%%%"}, None, "certificate-authority-data is no base64"),
        ({"certificate-authority-data": base64.b64encode(b"x").decode()}, None, "CA certificate"),
        ({}, {"exec": {"command": "aws"}}, "'exec' is not supported: programs are not run"),
        ({}, {"auth-provider": {"name": "gcp"}}, "'auth-provider' is not supported: plugins are not run"),
        ({}, {"username": "u", "password": SECRET}, "Kubernetes has given up passwords"),
        ({}, {"as": "root", "token": SECRET}, "'as' is not supported"),
        ({}, {"token": SECRET, "tokenFile": "f"}, "both token and tokenFile"),
        ({}, {"token": f"{SECRET}\nX-Header: 1"}, "printable ASCII"),
        ({}, {"tokenFile": "nowhere"}, "token cannot be read"),
        ({}, {"client-certificate": "pki/server.pem"}, "belong together"),
        ({}, {"client-certificate": "pki/server.pem", "client-key": "pki/ca.key"}, "cannot be used"),
        ({}, {"client-certificate": "pki/server.pem", "client-key": "locked.key"}, "cannot be used"),
        ({"server": "http://127.0.0.1:1"}, {"token": SECRET}, "not sent over plain HTTP"),
    ],
)
def test_what_is_not_supported_or_wrong_then_refused(
    bench: Bench, cluster: dict[str, Any], user: dict[str, Any] | None, words: str
) -> None:
    command = "openssl ec -aes128 -passout pass:x -in pki/server.key -out locked.key 2>/dev/null"
    assert os.system(f"cd {bench.folder} && {command}") == 0  # a password must not be asked for on the terminal
    assert words in bench.refuse(cluster, user)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current-context": None}, "names no current-context"),
        ({"current-context": "prod"}, "no context named 'prod'"),
        ({"current-context": "other"}, "no cluster named 'gone'"),
        ({"contexts": "x"}, "no context named 'dev'"),
        ({"users": []}, "no user named 'u'"),
        ({"clusters": [{"cluster": {"server": "https://x"}}]}, "no cluster named 'c'"),
    ],
)
def test_names_that_lead_nowhere_then_refused(bench: Bench, fields: dict[str, Any], words: str) -> None:
    assert words in bench.refuse({}, {"token": SECRET}, **fields)


@pytest.mark.parametrize("text", [f"a: [{SECRET}", f"- {SECRET}", "", f"{SECRET}: &x [*y]"])
def test_file_that_is_no_kubeconfig_then_refused_without_showing_it(bench: Bench, text: str) -> None:
    path = bench.put(text)
    with pytest.raises(Invalid, match="is no") as caught:
        access_by_kubeconfig(path)
    assert SECRET not in caught.value.message
    with pytest.raises(Invalid, match="cannot be read"):
        access_by_kubeconfig(bench.folder / "nowhere")


def test_plain_http_without_credentials_then_as_kubectl_proxy_has_it(tmp_path: Path) -> None:
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        cluster.put("secrets", "ns", {"metadata": {"name": "s"}})
        bench = Bench(cluster, url, tmp_path, ssl.create_default_context())
        assert bench.ask({"extensions": []}, None) == "s"
