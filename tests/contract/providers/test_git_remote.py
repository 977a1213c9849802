"""The git provider over HTTP(S) and SSH: who sees the credentials, what failures look like, where redirects lead."""

from __future__ import annotations

import base64
import os
import ssl
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import CatalogError, Invalid, Unavailable
from catalog_server.providers.git import GitProgram, GitProvider
from tests.contract.providers.git_bench import A, B, GitBench
from tests.contract.providers.http_bench import make_certificate
from tests.repositories import GitServer, processes_with

TOKEN = "t0ken-8f2a9c-se/cret$'x"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0IGtleSBtYXRlcmlhbA\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture
def guarded(bench: GitBench) -> Any:
    with GitServer(bench.root, password=TOKEN) as server:
        yield server


def bytes_below(folder: Path) -> bytes:
    """Of files that may go while they are looked at."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found.append((Path(where) / name).read_bytes())
    return b"\n".join(found)


class TestHTTP:
    def test_public_repository_then_fetched_and_updated(self, bench: GitBench, server: GitServer) -> None:
        repository = bench.repository()
        url = f"{server.url}/r.git"
        assert bench.fetch(url).commit_sha == repository.heads["main"]
        server.seen.clear()
        assert bench.fetch(url).commit_sha == repository.heads["main"]
        assert len(server.seen) == 2  # the handshake and the list of refs; nothing is transferred
        commit = repository.commit({"b.yaml": B})
        assert bench.fetch(url).commit_sha == commit
        for wanted in (commit, commit[:9]):
            assert bench.fetch(url, commit=wanted).commit_sha == commit

    @pytest.mark.parametrize(
        ("properties", "username"),
        [
            ({"authToken": TOKEN}, "git"),
            ({"username": "bot", "password": TOKEN}, "bot"),
            ({"username": "b t@x%", "authToken": TOKEN + "\n"}, "b t@x%"),
        ],
    )
    def test_credentials_then_sent_as_basic(
        self, bench: GitBench, guarded: GitServer, properties: dict[str, Any], username: str
    ) -> None:
        repository = bench.repository()
        guarded.expected = f"{username}:{TOKEN}"
        assert bench.fetch(f"{guarded.url}/r.git", **properties).commit_sha == repository.heads["main"]

    def test_user_in_the_address_then_username(self, bench: GitBench, guarded: GitServer) -> None:
        bench.repository()
        guarded.expected = f"org:{TOKEN}"
        url = guarded.url.replace("://", "://org@")
        assert bench.fetch(f"{url}/r.git", authToken=TOKEN).files

    def test_token_then_in_no_command_line_and_not_on_disk(self, bench: GitBench, guarded: GitServer) -> None:
        bench.repository()
        guarded.delay_seconds = 0.2
        seen: dict[int, str] = {}
        on_disk = b""
        thread = threading.Thread(target=lambda: bench.fetch(f"{guarded.url}/r.git", authToken=TOKEN))
        thread.start()
        while thread.is_alive():
            seen |= processes_with(guarded.url)
            on_disk += bytes_below(bench.mirrors)
            time.sleep(0.02)
        thread.join()
        assert any("fetch" in command for command in seen.values())
        assert any("remote-http" in command for command in seen.values())
        encoded = base64.b64encode(f"git:{TOKEN}".encode())
        everything = "".join(seen.values()).encode() + on_disk + bytes_below(bench.mirrors)
        for secret in (TOKEN.encode(), TOKEN[:12].encode(), encoded):
            assert secret not in everything

    @pytest.mark.parametrize("token", [None, "wr0ng-" + TOKEN])
    def test_wrong_or_no_token_then_invalid_without_it(
        self, bench: GitBench, guarded: GitServer, token: str | None
    ) -> None:
        bench.repository()
        error = bench.refused(f"{guarded.url}/r.git", authToken=token)
        assert error.code == "access_refused"
        assert "wr0ng" not in error.message

    def test_token_withdrawn_then_nothing_from_the_mirror(self, bench: GitBench, guarded: GitServer) -> None:
        """A mirror is shared by all who name the same repository: each of them must be let in by the remote."""
        repository = bench.repository()
        url = f"{guarded.url}/r.git"
        wanted: list[dict[str, Any]] = [{}, *({"commit": repository.heads["main"][:length]} for length in (40, 8))]
        for given in wanted:
            bench.fetch(url, authToken=TOKEN, **given)
            assert bench.refused(url, **given).code == "access_refused"

    def test_missing_repository_then_invalid(self, bench: GitBench, server: GitServer) -> None:
        assert bench.refused(f"{server.url}/missing.git").code == "repository_missing"

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_server_error_then_unavailable(self, bench: GitBench, server: GitServer, status: int) -> None:
        server.status = status
        with pytest.raises(Unavailable, match=str(status)):
            bench.fetch(f"{server.url}/r.git")

    def test_nobody_there_then_unavailable_and_no_user_shown(self, bench: GitBench) -> None:
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            bench.fetch("http://someone@127.0.0.1:1/r.git")
        assert "someone" not in caught.value.message
        assert str(bench.folder) not in caught.value.message

    def test_unknown_host_then_unavailable(self, bench: GitBench) -> None:
        with pytest.raises(Unavailable, match="unknown"):
            bench.fetch("https://git.invalid/r.git")

    def test_no_git_server_then_error(self, bench: GitBench, server: GitServer) -> None:
        server.status = 200
        with pytest.raises(CatalogError):
            bench.fetch(f"{server.url}/r.git")

    def test_redirect_to_another_host_then_token_stays(self, bench: GitBench, guarded: GitServer) -> None:
        bench.repository()
        with GitServer(bench.root, password=TOKEN) as other:
            guarded.redirect = other.url
            assert bench.refused(f"{guarded.url}/r.git", authToken=TOKEN).code == "access_refused"
            assert other.seen
            assert other.authorizations == []

    def test_redirect_on_the_same_host_then_followed(self, bench: GitBench, server: GitServer) -> None:
        repository = bench.repository()
        with GitServer(bench.root) as old:
            old.redirect = server.url
            assert bench.fetch(f"{old.url}/r.git").commit_sha == repository.heads["main"]

    @pytest.mark.parametrize(
        "target", ["ftp://127.0.0.1:1", "file:///etc", "gopher://127.0.0.1:1", "https://127.0.0.1:1"]
    )
    def test_redirect_to_another_protocol_then_refused(self, bench: GitBench, server: GitServer, target: str) -> None:
        server.redirect = target
        with pytest.raises(CatalogError):
            bench.fetch(f"{server.url}/r.git")

    def test_http_when_not_allowed_then_invalid(self, bench: GitBench, server: GitServer) -> None:
        bench.repository()
        error = bench.refused(f"{server.url}/r.git", GitProvider(bench.mirrors))
        assert error.message == "'repoUrl' the protocol 'http' is not one of file, https, ssh"
        assert server.seen == []


class TestHTTPS:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return make_certificate(tmp_path, "IP:127.0.0.1")

    def test_certificate_then_checked(self, bench: GitBench, guarded: GitServer, certificate: Path) -> None:
        repository = bench.repository()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        guarded.socket = context.wrap_socket(guarded.socket, server_side=True)
        url = guarded.url.replace("http:", "https:") + "/r.git"
        with pytest.raises(Unavailable, match="not trusted"):
            bench.fetch(url, authToken=TOKEN)
        assert guarded.authorizations == []
        trusting = GitProgram(environment={"GIT_SSL_CAINFO": str(certificate.with_suffix(".crt"))})
        fetched = GitProvider(bench.mirrors, program=trusting).fetch({"repoUrl": url, "authToken": TOKEN}, bench.files)
        assert fetched.commit_sha == repository.heads["main"]


class TestSSH:
    """With a stand-in for the ssh program, which notes how it was called and then runs the command right here."""

    @pytest.fixture
    def provider(self, bench: GitBench, tmp_path: Path) -> GitProvider:
        script = tmp_path / "ssh"
        script.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nenv > {tmp_path}/environment\n'
            f"ls -l key known_hosts > {tmp_path}/listing 2>&1\ncat key > {tmp_path}/key 2>/dev/null\n"
            f"cat known_hosts > {tmp_path}/hosts 2>/dev/null\n"
            'for last; do :; done\ncase "$last" in *broken*) echo Host key verification failed. >&2; exit 255;; esac\n'
            f'cd {bench.root} && eval "exec $last"\n'
        )
        script.chmod(0o755)
        return bench.build(GitProgram(ssh=str(script)))

    @pytest.mark.parametrize("form", ["ssh://git@host.example.com:2222{}/r.git", "git@host.example.com:{}/r.git"])
    def test_key_and_hosts_then_in_private_files_that_vanish(
        self, bench: GitBench, provider: GitProvider, tmp_path: Path, form: str
    ) -> None:
        repository = bench.repository()
        given = {"sshKey": KEY.replace("\n", "\r\n"), "knownHosts": "host.example.com ssh-ed25519 AAAA"}
        fetched = bench.fetch(form.format(bench.root), provider, **given)
        assert fetched.commit_sha == repository.heads["main"]
        assert (tmp_path / "key").read_text() == KEY + "\n"
        assert (tmp_path / "hosts").read_text() == given["knownHosts"] + "\n"
        assert all(line.startswith("-rw-------") for line in (tmp_path / "listing").read_text().splitlines())
        arguments = (tmp_path / "arguments").read_text().splitlines()
        for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "IdentityFile=./key", "IdentityAgent=none"):
            assert option in arguments
        assert arguments[:2] == ["-F", "/dev/null"]
        assert ("2222" in arguments) is form.startswith("ssh:")
        assert b"c2VjcmV0IGtleSB" not in bytes_below(bench.mirrors)
        assert "c2VjcmV0IGtleSB" not in (tmp_path / "environment").read_text()

    def test_no_known_hosts_then_first_key_is_remembered(
        self, bench: GitBench, provider: GitProvider, tmp_path: Path
    ) -> None:
        bench.repository()
        bench.fetch(f"git@host:{bench.root}/r.git", provider)
        arguments = (tmp_path / "arguments").read_text().splitlines()
        assert "StrictHostKeyChecking=accept-new" in arguments
        assert "UserKnownHostsFile=../known_hosts" in arguments
        assert "IdentityFile=none" in arguments

    def test_wrong_host_key_then_invalid(self, bench: GitBench, provider: GitProvider) -> None:
        error = bench.refused("git@host:broken.git", provider, sshKey=KEY, knownHosts="x")
        assert (error.code, error.field) == ("host_key_refused", "properties.knownHosts")
        assert b"c2VjcmV0IGtleSB" not in bytes_below(bench.mirrors)

    def test_no_ssh_program_then_unavailable(self, bench: GitBench) -> None:
        with pytest.raises(Unavailable, match="ssh program is not installed"):
            bench.fetch("git@host:r.git", bench.build(GitProgram(ssh="/nowhere/ssh")))

    def test_environment_of_git_then_bare(
        self, bench: GitBench, provider: GitProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.repository()
        monkeypatch.setenv("DATABASE_DSN", "postgres://secret")
        monkeypatch.setenv("GIT_SSH_COMMAND", "touch /tmp/never")
        monkeypatch.setenv("GIT_DIR", "/never")
        bench.fetch(f"git@host:{bench.root}/r.git", provider)
        environment = (tmp_path / "environment").read_text()
        assert "DATABASE_DSN" not in environment
        assert "/never" not in environment
        home = next(line for line in environment.splitlines() if line.startswith("HOME="))
        assert Path(home.removeprefix("HOME=")).is_relative_to(bench.mirrors)


def test_folders_of_mirrors_then_private(bench: GitBench) -> None:
    bench.fetch(bench.repository({"a.yaml": A}).url)
    (folder,) = bench.mirrors.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "repository.git"]


def test_refused_before_any_network_then_invalid(bench: GitBench, server: GitServer) -> None:
    with pytest.raises(Invalid):
        bench.fetch(f"{server.url}/r.git", branch="a..b")
    assert server.seen == []
