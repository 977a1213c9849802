"""Where the Kubernetes API is and how we prove who we are.

For: a pod, which finds token and CA in the service account folder, and tests or tools, which give a URL.
Not for: kubeconfig files, which developers have; see kubeconfig.py. The environment is read in settings, so host and
port come in.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from catalog_server.errors import Invalid, Unavailable

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80

TokenSource = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and our credentials for it. `tls` is None for plain HTTP; `token` is asked for each request."""

    host: str
    port: int
    prefix: str = ""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    token: TokenSource = field(default=lambda: "", repr=False)


class FileToken:
    """The token in a file. Kubernetes renews it there within the hour, so it is read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._token = ""
        self._read_from: tuple[int, int, int] | None = None

    def __call__(self) -> str:
        try:
            status = self._path.stat()
            # The file is a link that the kubelet points elsewhere: then the inode changes.
            identity = (status.st_ino, status.st_mtime_ns, status.st_size)
            with self._lock:
                if identity != self._read_from:
                    self._token = self._path.read_text("ascii").strip()
                    self._read_from = identity
                return self._token
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
            raise Unavailable(f"kubernetes: the token cannot be read: {reason}") from error


def access_in_cluster(host: str, port: str, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API as a pod sees it. `host` and `port` are KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.

    Raises Unavailable when this is no pod, or one without a service account.
    """
    if not host or not port.isascii() or not port.isdigit():
        raise Unavailable(
            "kubernetes: not in a cluster (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are unset)"
        )
    token = FileToken(folder / "token")
    token()
    return Access(host, int(port), tls=_trust(folder / "ca.crt"), token=token)


def access_by_url(url: str, token: str = "", ca_file: Path | None = None) -> Access:
    """The API at `url`, for tests and for `kubectl proxy`. Raises Invalid or Unavailable."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise Invalid("kubernetes: the URL must be http(s)://host[:port]")
    tls = _trust(ca_file) if parts.scheme == "https" else None
    port = port or (_HTTP_PORT if tls is None else _HTTPS_PORT)
    return Access(host, port, parts.path.rstrip("/"), tls, lambda: token)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise Unavailable(f"kubernetes: the CA certificate {ca_file} cannot be read: {error}") from error
