"""What the properties of a git source say, checked: address, revision, globs, credentials. No git is run here.

Only forms that are known are let through, so that nothing a source says can become an option, another transport or a
folder outside the data roots.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from catalog_server.errors import Invalid
from catalog_server.providers.base import FileAccess
from catalog_server.providers.path_globs import PathGlobs, parse_path_globs
from catalog_server.providers.properties import SYNC_INTERVAL_KEY, Properties, blame, sync_interval, wrong_value

KNOWN_KEYS: Final = (
    *("repoUrl", "branch", "tag", "commit", "path", "shallowClone", SYNC_INTERVAL_KEY, "timeout"),
    *("authToken", "username", "password", "sshKey", "knownHosts"),
)
DEFAULT_BRANCH: Final = "main"
DEFAULT_GLOB: Final = "**/*.yaml"
DEFAULT_USERNAME: Final = "git"
LONGEST_TIMEOUT: Final = timedelta(minutes=10)
_LONGEST_URL: Final = 2048
_LONGEST_REF: Final = 200  # with `refs/heads/` and `.lock` it still is a file name
_SHORTEST_COMMIT: Final = 7
_FULL_COMMIT: Final = 40
_REVISION_KEYS: Final = ("branch", "tag", "commit")
_UNFIT_IN_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|^[-/]|[/.]$|^@$")
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_USER: Final = r"[A-Za-z0-9_][A-Za-z0-9._%+-]*"
_NETWORK_LOCATION: Final = re.compile(
    rf"(?:(?P<user>{_USER})@)?(?P<host>{_HOST}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_SCP_FORM: Final = re.compile(rf"{_USER}@(?P<host>{_HOST}):(?P<path>[^:\s-][^:\s]*)")

RevisionKind = Literal["branch", "tag", "commit"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the repository is. `url` is what git gets: a checked URL without password, or the real path of a folder."""

    protocol: str
    url: str
    origin: str = ""
    """Scheme, host and port of an HTTP(S) address: the only place that gets the credentials."""
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    kind: RevisionKind
    name: str

    @property
    def is_full_commit(self) -> bool:
        return self.kind == "commit" and len(self.name) == _FULL_COMMIT


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str = DEFAULT_USERNAME
    password: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    known_hosts: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: each secret, and each long line of one."""
        whole = [secret for secret in (self.password, self.ssh_key) if secret]
        return (*whole, *(line for secret in whole for line in secret.splitlines() if len(line) > 15))


@dataclass(frozen=True, slots=True)
class GitSource:
    given_url: str
    address: Address
    revision: Revision
    globs: PathGlobs
    credentials: Credentials
    is_shallow: bool
    timeout_seconds: float


def read_git_source(
    given: Mapping[str, Any], files: FileAccess, *, protocols: Collection[str], timeout_seconds: float
) -> GitSource:
    """Raises Invalid for the first property that is wrong."""
    properties = Properties(given, KNOWN_KEYS)
    sync_interval(given)  # wrong here means wrong in the source's status, not only in the schedule
    url = properties.require_text("repoUrl", "the URL of the repository")
    revision = _read_revision(properties)
    given_globs = properties.texts("path")
    globs = parse_path_globs((DEFAULT_GLOB,) if given_globs is None else given_globs, "properties.path")
    shallow = properties.flag("shallowClone", True)
    timeout = properties.timeout(timeout_seconds, LONGEST_TIMEOUT)
    address = _read_address(url.strip(), files, protocols)
    credentials = _read_credentials(properties, address)
    return GitSource(url, address, revision, globs, credentials, shallow, timeout)


def find_local_repository(given: Mapping[str, Any], files: FileAccess) -> Path | None:
    """The folder of a repository of this machine; None for one that is elsewhere. Raises Invalid."""
    url = given.get("repoUrl")
    if not isinstance(url, str):
        return None
    scheme, separator, _ = url.strip().partition("://")
    protocol = scheme.lower() if separator else _protocol_without_scheme(url.strip())
    return Path(_read_address(url.strip(), files, (protocol,)).url) if protocol == "file" else None


def _read_revision(properties: Properties) -> Revision:
    given = [key for key in _REVISION_KEYS if properties.has(key)]
    if len(given) > 1:
        raise wrong_value(given[-1], f"contradicts {given[0]!r}: give only one of branch, tag and commit")
    commit = properties.text("commit")
    if commit is not None:
        if re.fullmatch(r"[0-9a-fA-F]+", commit) is None or not _SHORTEST_COMMIT <= len(commit) <= _FULL_COMMIT:
            raise wrong_value("commit", f"must be {_SHORTEST_COMMIT} to {_FULL_COMMIT} hexadecimal digits")
        return Revision("commit", commit.lower())
    tag = properties.text("tag")
    kind: RevisionKind = "branch" if tag is None else "tag"
    name = properties.text("branch") or DEFAULT_BRANCH if tag is None else tag
    if len(name) > _LONGEST_REF or _UNFIT_IN_REF.search(name):
        raise wrong_value(kind, f"{name[:80]!r} cannot be the name of a {kind}")
    return Revision(kind, name)


def _read_credentials(properties: Properties, address: Address) -> Credentials:
    token, password = properties.one_line_secret("authToken"), properties.one_line_secret("password")
    ssh_key, known_hosts = properties.secret("sshKey"), properties.secret("knownHosts")
    if token and password:
        raise wrong_value("password", "contradicts 'authToken': give only one of them")
    if (token or password) and address.protocol == "ssh":
        raise wrong_value("password" if password else "authToken", "is for https; ssh takes 'sshKey'")
    if (ssh_key or known_hosts) and address.protocol != "ssh":
        raise wrong_value("sshKey" if ssh_key else "knownHosts", "is for ssh; https takes 'authToken'")
    username = properties.one_line_secret("username") or address.username or DEFAULT_USERNAME
    return Credentials(username, token or password, ssh_key, known_hosts)


def _read_address(url: str, files: FileAccess, protocols: Collection[str]) -> Address:
    """The message must not repeat the URL: it may hold a password."""
    if len(url) > _LONGEST_URL or url.startswith("-") or not url.isprintable():
        raise _wrong_url(f"must be a URL of at most {_LONGEST_URL} printable characters that does not begin with '-'")
    scheme, separator, rest = url.partition("://")
    protocol = scheme.lower() if separator else _protocol_without_scheme(url)
    if protocol not in protocols:
        allowed = ", ".join(sorted(protocols))
        raise _wrong_url(f"the protocol {protocol[:20]!r} is not one of {allowed}")
    if protocol == "file":
        folder = _folder_of(rest) if separator else url
        return Address("file", str(_find_repository(folder, files)))
    return _remote_address(protocol, f"{protocol}://{rest}") if separator else _scp_address(url)


def _protocol_without_scheme(url: str) -> str:
    if ":" not in url.partition("/")[0]:
        return "file"
    if _SCP_FORM.fullmatch(url) is None:
        raise _wrong_url("must be https://…, ssh://…, user@host:path, file:///… or a path")
    return "ssh"


def _scp_address(url: str) -> Address:
    _check_host(url.partition("@")[2].partition(":")[0])
    return Address("ssh", url)


def _remote_address(protocol: str, url: str) -> Address:
    if re.search(r"[\s\\?#]", url):
        raise _wrong_url("must not hold blanks, backslashes, a query or a fragment")
    parts = _split(url)
    if ":" in parts.netloc.rpartition("@")[0]:
        raise _wrong_url("must not hold a password; use authToken or password, best with a reference to a secret")
    location = _NETWORK_LOCATION.fullmatch(parts.netloc)
    if location is None or parts.path in ("", "/") or int(location["port"] or 1) not in range(1, 65536):
        raise _wrong_url(f"must have the form {protocol}://host/path")
    _check_host(location["host"].strip("[]"))
    origin = f"{protocol}://{parts.netloc.rpartition('@')[2]}"
    return Address(protocol, url, origin, unquote(location["user"]) if location["user"] else None)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise _wrong_url("is no URL") from error


def _check_host(host: str) -> None:
    """Addresses that only this machine or its cloud answers are no home of a repository."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise _wrong_url("names a link-local or otherwise special address", code="address_refused")


def _folder_of(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise _wrong_url("must have the form file:///path for a local repository")
    return unquote(f"/{path}")


def _find_repository(folder: str, files: FileAccess) -> Path:
    """The folder with HEAD, objects and refs. No part of it may lead out of the data roots."""
    with blame("repoUrl"):
        found = files.resolve_folder(folder)
    inner = found / ".git"
    if inner.is_symlink() or inner.exists():
        if not inner.is_dir():  # a file there leads to any folder of the machine
            raise _wrong_url("is a linked work tree; name the repository itself")
        found = _resolve_inside(files, inner)
    _check_repository(found, files)
    return found


def _check_repository(found: Path, files: FileAccess) -> None:
    if not all((found / part).exists() for part in ("HEAD", "objects", "refs")):
        raise _wrong_url("names a folder without a git repository", code="repository_missing")
    for part in ("objects", "objects/pack", "refs"):
        if (found / part).exists():
            _resolve_inside(files, found / part)
    for borrowed in ("objects/info/alternates", "commondir"):
        if (found / borrowed).exists():
            raise _wrong_url("names a repository that borrows from another one", code="path_outside_roots")


def _resolve_inside(files: FileAccess, part: Path) -> Path:
    """The message of the door would show where the repository lies on this machine."""
    try:
        return files.resolve_folder(str(part))
    except Invalid as error:
        raise _wrong_url(f"names a repository whose {part.name!r} leads elsewhere", code=error.code or "") from error


def _wrong_url(problem: str, code: str = "property_invalid") -> Invalid:
    return wrong_value("repoUrl", problem, code)
