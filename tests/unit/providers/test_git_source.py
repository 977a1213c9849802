"""What a git source may ask for. Nothing here touches a disk or runs git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.git_command import PROTOCOLS
from catalog_server.providers.git_source import Address, GitSource, read_git_source

URL = "https://git.example.com/team/agents.git"
SECRET = "s3cr3t-value"


class NoFiles:
    """A door to local files that must stay shut."""

    def locate(self, value: str) -> Path:
        raise AssertionError(value)

    resolve = locate

    def resolve_folder(self, value: str) -> Path:
        raise Invalid(f"refused: {value}", code="path_outside_roots")

    def read(self, path: Path) -> bytes:
        raise AssertionError(path)


def read(**given: Any) -> GitSource:
    return read_git_source({"repoUrl": URL, **given}, NoFiles(), protocols=PROTOCOLS, timeout_seconds=60)


def fault_of(**given: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(**given)
    assert SECRET not in caught.value.message
    return caught.value


def test_only_url_then_defaults() -> None:
    source = read()
    assert (source.revision.kind, source.revision.name) == ("branch", "main")
    assert source.globs.globs == (("**", "*.yaml"),)
    assert source.is_shallow
    assert source.timeout_seconds == 60
    assert source.credentials.username == "git"
    assert source.credentials.password is None


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, Address("https", URL, "https://git.example.com")),
        ("HTTPS://Host:8443/r", Address("https", "https://Host:8443/r", "https://Host:8443")),
        ("https://org@dev.test/r", Address("https", "https://org@dev.test/r", "https://dev.test", "org")),
        (
            "https://[2001:db8::1]:8443/r",
            Address("https", "https://[2001:db8::1]:8443/r", "https://[2001:db8::1]:8443"),
        ),
        ("ssh://git@host:2222/team/r.git", Address("ssh", "ssh://git@host:2222/team/r.git", "ssh://host:2222", "git")),
        ("git@host.example.com:team/r.git", Address("ssh", "git@host.example.com:team/r.git")),
    ],
)
def test_good_address_then_taken(url: str, address: Address) -> None:
    assert read(repoUrl=url).address == address


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "http://host/r",
        "git://host/r",
        "ftp://host/r",
        "host:path",
        "-x@host:path",
        "git@-oProxyCommand=x:path",
        "git@host:-path",
        "git@host::path",
        "ssh://-oProxyCommand=x/path",
        "ssh://-x@host/path",
        "https://host",
        "https://host/",
        "https:///path",
        "https://host:99999/r",
        "https://host:x/r",
        "https://ho st/r",
        "https://host/r?access_token=x",
        "https://host/r#x",
        "https://host\\@evil/r",
        "https://[::1/r",
        "https://a@b@c/r",
        "https://host/r\nx",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/r",
        "ssh://git@169.254.169.254/r",
        "git@0.0.0.0:r",
        "file://host/r",
        "file:r",
        "file://",
        "https://host/" + "x" * 2048,
    ],
)
def test_odd_address_then_refused(url: str) -> None:
    error = fault_of(repoUrl=url)
    assert error.field == "properties.repoUrl"
    assert "refused:" not in error.message


@pytest.mark.parametrize(
    "url", ["file:///etc", "file://localhost/etc", "/etc", "../../etc", "agents-repo", "file:///%2e"]
)
def test_local_address_then_left_to_the_door(url: str) -> None:
    error = fault_of(repoUrl=url)
    assert (error.field, error.code) == ("properties.repoUrl", "path_outside_roots")


def test_password_in_address_then_refused_and_not_shown() -> None:
    for url in (f"https://me:{SECRET}@host/r", f"ssh://me:{SECRET}@host/r"):
        assert "must not hold a password" in fault_of(repoUrl=url).message


@pytest.mark.parametrize(
    "name",
    [
        *(
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "[a",
            "a\\b",
            "@",
            "a@{1}",
            "/a",
            "a/",
        ),
        *("a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "x" * 201, "a\x7f"),
    ],
)
def test_odd_ref_then_refused(name: str) -> None:
    assert fault_of(branch=name).field == "properties.branch"
    assert fault_of(tag=name).field == "properties.tag"


@pytest.mark.parametrize("name", ["main", "feature/a-b_c", "v1.2.3", "release@2", "überarbeitung", "a.b"])
def test_good_ref_then_taken(name: str) -> None:
    assert read(branch=name).revision.name == name
    assert read(tag=name).revision.kind == "tag"


@pytest.mark.parametrize("commit", ["abc123", "g" * 40, "a" * 41, "HEAD~1", "--all"])
def test_odd_commit_then_refused(commit: str) -> None:
    assert fault_of(commit=commit).field == "properties.commit"


def test_commit_then_in_lower_case() -> None:
    assert read(commit="ABCDEF1").revision.name == "abcdef1"
    assert not read(commit="ABCDEF1").revision.is_full_commit
    assert read(commit="A" * 40).revision.is_full_commit


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"branch": "a", "tag": "b"}, "tag"),
        ({"branch": "a", "commit": "abcdef1"}, "commit"),
        ({"timeout": "0s"}, "timeout"),
        ({"timeout": "11m"}, "timeout"),
        ({"syncInterval": "often"}, "syncInterval"),
        ({"shallowClone": "true"}, "shallowClone"),
        ({"path": "../x"}, "path"),
        ({"path": []}, "path"),
        ({"authToken": SECRET, "password": SECRET}, "password"),
        ({"repoUrl": "git@host:r", "authToken": SECRET}, "authToken"),
        ({"repoUrl": "git@host:r", "password": SECRET}, "password"),
        ({"sshKey": SECRET}, "sshKey"),
        ({"knownHosts": "x"}, "knownHosts"),
        ({"authToken": SECRET + "\nx"}, "authToken"),
        ({"reopUrl": "x"}, "reopUrl"),
        ({"repoUrl": None}, "repoUrl"),
    ],
)
def test_contradiction_or_wrong_value_then_invalid(given: dict[str, Any], field: str) -> None:
    assert fault_of(**given).field == f"properties.{field}"


def test_credentials_then_taken_and_not_in_repr() -> None:
    source = read(authToken=SECRET, username="bot")
    assert (source.credentials.username, source.credentials.password) == ("bot", SECRET)
    assert SECRET not in repr(source)
    key = "-----BEGIN-----\n" + SECRET * 3 + "\n-----END-----"
    source = read(repoUrl="git@host:r", sshKey=key + "\n")
    assert source.credentials.ssh_key == key
    assert SECRET * 3 in source.credentials.secrets
    assert SECRET not in repr(source)
