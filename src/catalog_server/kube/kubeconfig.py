"""Access to a cluster as a kubeconfig file tells it, for development on a machine outside the cluster.

Only what is understood is accepted: a key that is passed over could be the one that says whom to believe or to be. In
particular no program is run to get credentials, and no server is believed unseen. `KUBECONFIG` and `~/.kube/config` are
not looked at; a setting names the file.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from catalog_server.errors import CatalogError, Invalid
from catalog_server.kube.access import Access, FileToken, access_by_url

_CLUSTER_KEYS: Final = (
    *("server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"),
    *("disable-compression", "extensions"),
)
_USER_KEYS: Final = (
    *("token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data"),
    "extensions",
)
_HINTS: Final[Mapping[str, str]] = {
    "exec": "programs are not run to get credentials; use a token or a client certificate",
    "auth-provider": "plugins are not run to get credentials; use a token or a client certificate",
    "username": "Kubernetes has given up passwords; use a token or a client certificate",
    "password": "Kubernetes has given up passwords; use a token or a client certificate",
}

Section = Mapping[str, Any]


def access_by_kubeconfig(path: Path) -> Access:
    """The API and the credentials of the file's current context.

    Raises:
        Invalid: the file, or what it refers to, cannot be read, is wrong, or asks for what is not supported. No message
            repeats a credential.
    """
    try:
        return _access(_load(path), path.parent)
    except CatalogError as error:
        raise Invalid(f"kubeconfig {path}: {error.message}") from error


def _load(path: Path) -> Section:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"cannot be read: {error}") from error
    except yaml.YAMLError as error:
        # The text of the error would repeat lines of the file.
        mark = getattr(error, "problem_mark", None)
        raise Invalid("is no YAML" + (f", line {mark.line + 1}" if mark is not None else "")) from None
    if not isinstance(document, dict):
        raise Invalid("is no kubeconfig: it must be a mapping with clusters, users, contexts and current-context")
    return document


def _access(document: Section, folder: Path) -> Access:
    current = document.get("current-context")
    if not isinstance(current, str) or not current:
        raise Invalid("names no current-context")
    context = _entry(document, "context", current)
    cluster = _entry(document, "cluster", context.get("cluster"))
    _check_keys(cluster, "cluster", _CLUSTER_KEYS)
    name = context.get("user")
    user = _entry(document, "user", name) if name else {}
    _check_keys(user, "user", _USER_KEYS)
    return _with_credentials(_server(cluster, folder), user, folder)


def _entry(document: Section, kind: str, name: object) -> Section:
    """`clusters: [{name, cluster: {…}}]`, and likewise contexts and users."""
    entries = document.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
            found: Section = entry[kind]
            return found
    raise Invalid(f"has no {kind} named {name!r}")


def _check_keys(section: Section, kind: str, known: tuple[str, ...]) -> None:
    for key in section:
        if key not in known:
            raise Invalid(f"{kind}: {key!r} is not supported" + (f": {_HINTS[key]}" if key in _HINTS else ""))
    if section.get("insecure-skip-tls-verify"):
        raise Invalid(f"{kind}: insecure-skip-tls-verify is not supported; name the certificate-authority")


def _server(cluster: Section, folder: Path) -> Access:
    with tempfile.TemporaryDirectory(prefix="catalog-kubeconfig-") as scratch:
        authority = _file_of(cluster, "certificate-authority", folder, Path(scratch))
        url = cluster.get("server")
        if not isinstance(url, str):
            raise Invalid("cluster: names no server")
        return access_by_url(url, ca_file=authority)


def _with_credentials(access: Access, user: Section, folder: Path) -> Access:
    if not user.keys() - {"extensions"}:
        return access
    if access.tls is None:
        raise Invalid("user: credentials are not sent over plain HTTP; the server must be an https URL")
    _load_certificate(access.tls, user, folder)
    token, file = user.get("token"), user.get("tokenFile")
    if token and file:
        raise Invalid("user: names both token and tokenFile; give one of them")
    if file:
        source = FileToken(folder / str(file))
        source()
        return replace(access, token=source)
    if not token:
        return access
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise Invalid("user: the token is no text of printable ASCII characters")
    return replace(access, token=lambda: token)


def _load_certificate(tls: ssl.SSLContext, user: Section, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="catalog-kubeconfig-") as scratch:
        certificate, key = (
            _file_of(user, name, folder, Path(scratch)) for name in ("client-certificate", "client-key")
        )
        if certificate is None and key is None:
            return
        if certificate is None or key is None:
            raise Invalid("user: client-certificate and client-key belong together")
        try:
            tls.load_cert_chain(certificate, key, password=lambda: "")  # else OpenSSL asks on the terminal
        except OSError as error:  # SSLError is one
            raise Invalid(f"user: client-certificate and client-key cannot be used: {error}") from error


def _file_of(section: Section, name: str, folder: Path, scratch: Path) -> Path | None:
    """The file of this name; its content in the kubeconfig itself wins, and is put into `scratch`."""
    data = section.get(f"{name}-data")
    if data:
        target = scratch / name
        try:
            target.write_bytes(base64.b64decode("".join(str(data).split()), validate=True))
        except (binascii.Error, ValueError):
            raise Invalid(f"{name}-data is no base64") from None
        return target
    given = section.get(name)
    return folder / str(given) if given else None
