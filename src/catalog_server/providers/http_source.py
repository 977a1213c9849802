"""What the properties of an http source say, checked: address, headers, credentials, limits, TLS. Nothing is fetched.

Only what is the source's business is left to it: headers that frame a request, code it or make it conditional are ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from catalog_server.errors import Invalid
from catalog_server.providers.base import FileAccess
from catalog_server.providers.http_target import Target, parse_target
from catalog_server.providers.properties import (
    SYNC_INTERVAL_KEY,
    Properties,
    blame,
    sync_interval,
    wrong_type,
    wrong_value,
)

SYNC_INTERVAL_ALIAS: Final = "refreshInterval"
KNOWN_KEYS: Final = (*("url", "headers", "auth", SYNC_INTERVAL_KEY, SYNC_INTERVAL_ALIAS, "timeout", "maxBytes", "tls"),)
DEFAULT_MAX_BYTES: Final = 32 * 1024 * 1024
LONGEST_TIMEOUT: Final = timedelta(minutes=10)
DEFAULT_KEY_HEADER: Final = "X-API-Key"
_AUTH_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "bearer": ("token",),
    "basic": ("username", "password"),
    "api-key": ("headerName", "token"),
}
_ALL_AUTH_KEYS: Final = ("type", "token", "username", "password", "headerName")
_MOST_HEADERS: Final = 50
_LONGEST_VALUE: Final = 8192
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OUR_HEADERS: Final = frozenset(
    (
        *("host", "content-length", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "http2-settings", "expect"),
        *("accept-encoding", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"),
        "if-range",
    )
)

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TLSChoice:
    """Whom to believe. `authorities` are certificates in PEM form that stand in for those of the system."""

    authorities: str | None = None
    is_verified: bool = True


@dataclass(frozen=True, slots=True)
class HTTPSource:
    target: Target
    headers: Headers = field(repr=False)
    """For the origin of `target` only, credentials among them. Names in lower case."""
    timeout_seconds: float
    max_bytes: int
    tls: TLSChoice

    @property
    def identity(self) -> str:
        """A hash of all that decides what the server answers, and of whether we had reason to believe it."""
        said = [self.target.digest, sorted(self.headers.items()), self.tls.authorities, self.tls.is_verified]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def read_http_source(
    given: Mapping[str, Any], files: FileAccess, *, max_bytes: int, timeout_seconds: float
) -> HTTPSource:
    """Raises Invalid for the first property that is wrong."""
    properties = Properties(given, KNOWN_KEYS)
    http_sync_interval(given)  # wrong here means wrong in the source's status, not only in the schedule
    url = properties.require_text("url", "the address of the document")
    try:
        target = parse_target(url.strip())
    except ValueError as error:
        raise wrong_value("url", str(error)) from error
    headers = _read_headers(given.get("headers"))
    auth = _read_auth(properties)
    if auth:
        clash = next((name for name in auth if name in headers), None)
        if clash is not None:
            raise wrong_value("auth", f"contradicts the header {clash!r} in 'headers': give only one of them")
    timeout = properties.timeout(timeout_seconds, LONGEST_TIMEOUT)
    most = properties.count("maxBytes", min(DEFAULT_MAX_BYTES, max_bytes), max_bytes)
    tls = _read_tls(properties, files)
    return HTTPSource(target, headers | auth, timeout, most, tls)


def http_sync_interval(given: Mapping[str, Any]) -> timedelta | None:
    return sync_interval(given, SYNC_INTERVAL_ALIAS)


def _read_headers(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise wrong_type("headers", "must be a map from names to text")
    if len(given) > _MOST_HEADERS:
        raise wrong_value("headers", f"has more than {_MOST_HEADERS} entries")
    headers: dict[str, str] = {}
    for name, value in given.items():
        checked = _check_header_name(name, "headers")
        if checked in headers:
            raise wrong_value(f"headers.{name}", "stands twice, in upper and lower case")
        headers[checked] = _check_header_value(value, f"headers.{name}")
    return headers


def _check_header_name(name: Any, key: str) -> str:
    if not isinstance(name, str) or _HEADER_NAME.fullmatch(name) is None:
        raise wrong_value(key, "holds a name that no header can have")  # not shown: it may be a secret, misplaced
    if name.lower() in _OUR_HEADERS:
        raise wrong_value(key, f"has {name!r}, a header that the server sets by itself")
    return name.lower()


def _check_header_value(value: Any, key: str) -> str:
    if isinstance(value, Mapping):
        raise wrong_type(key, "refers to a secret that was not resolved")
    if not isinstance(value, str):
        raise wrong_type(key, "must be text; put it in quotes")
    text: str = value.strip(" \t\r\n")  # a mounted secret brings its line end along
    if len(text) > _LONGEST_VALUE or _HEADER_VALUE.fullmatch(text) is None:
        raise wrong_value(key, f"must be 1 to {_LONGEST_VALUE} printable ASCII characters on one line")
    return text


def _read_auth(properties: Properties) -> dict[str, str]:
    """The header that carries the credentials."""
    auth = properties.part("auth", _ALL_AUTH_KEYS)
    if auth is None:
        return {}
    kind = auth.require_text("type", f"one of {', '.join(_AUTH_KEYS)}")
    if kind not in _AUTH_KEYS:
        raise wrong_value("auth.type", f"must be one of {', '.join(_AUTH_KEYS)}")
    foreign = next((key for key in _ALL_AUTH_KEYS[1:] if auth.has(key) and key not in _AUTH_KEYS[kind]), None)
    if foreign is not None:
        raise wrong_value(f"auth.{foreign}", f"does not go with the type {kind!r}")
    if kind == "basic":
        username, password = _require_secret(auth, "username"), _require_secret(auth, "password")
        if ":" in username:
            raise wrong_value("auth.username", "must not hold a colon, which ends it")
        return {"authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}
    token = _check_header_value(_require_secret(auth, "token"), "auth.token")
    if kind == "bearer":
        return {"authorization": f"Bearer {token}"}
    return {_check_header_name(auth.text("headerName") or DEFAULT_KEY_HEADER, "auth.headerName"): token}


def _require_secret(auth: Properties, key: str) -> str:
    value = auth.one_line_secret(key)
    if value is None:
        raise Invalid(
            f"'auth.{key}' is required, best as a reference to a secret",
            field=f"properties.auth.{key}",
            code="property_required",
        )
    return value


def _read_tls(properties: Properties, files: FileAccess) -> TLSChoice:
    tls = properties.part("tls", ("caFile", "insecureSkipVerify"))
    if tls is None:
        return TLSChoice()
    given = tls.text("caFile")
    is_skipped = tls.flag("insecureSkipVerify", False)
    if given is None:
        return TLSChoice(is_verified=not is_skipped)
    if is_skipped:
        raise wrong_value("tls.insecureSkipVerify", "contradicts 'tls.caFile': nothing would be checked against it")
    with blame("tls.caFile"):
        authorities = files.read(files.resolve(given)).decode("ascii", "replace")
    if "-----BEGIN CERTIFICATE-----" not in authorities:
        raise wrong_value("tls.caFile", "names a file without certificates in PEM form")
    return TLSChoice(authorities)
