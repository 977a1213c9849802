"""How callers are known: settings to the headers or keys that are believed. What is unsafe is said once, at start."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from catalog_server.access.proxy import HeaderTrust, TrustedPeers
from catalog_server.errors import CatalogError, Invalid, Unavailable
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_client import HTTPClient, HTTPLimits
from catalog_server.providers.http_connection import Connector
from catalog_server.providers.http_guard import AddressGuard, resolve_host
from catalog_server.providers.http_source import HTTPSource, TLSChoice
from catalog_server.providers.http_target import Target, parse_target
from catalog_server.settings import Settings

if TYPE_CHECKING:  # 13 MB that header mode has no use for
    from catalog_server.access.keys import KeyRing
    from catalog_server.access.tokens import Tokens

_PEM: Final = "CATALOG_JWT_PUBLIC_KEY_PATH"
_JWKS: Final = "CATALOG_JWT_JWKS"
_ANYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The URL is the operator's own: an issuer inside the cluster is what it is for."""
_FETCH_SECONDS: Final = 10.0
_REDIRECTS: Final = 3

log = structlog.get_logger(__name__)


def build_trust(settings: Settings) -> HeaderTrust | Tokens:
    """Whom to believe who a caller is. Keys behind a URL that does not answer are waited for.

    Raises:
        Invalid: the keys are wrong, or there are none. The message names the variable.
    """
    return _build_tokens(settings) if settings.authentication.mode == "jwt" else _build_header_trust(settings)


def _build_header_trust(settings: Settings) -> HeaderTrust:
    given, listen = settings.authentication, settings.server.listen
    is_local = _is_loopback(listen.host)
    if not given.trusted_proxies and not is_local:
        log.warning(
            "ANYBODY WHO REACHES THIS PORT CAN BE ANYBODY: X-Remote-User and X-Remote-Group are believed of every peer",
            listen=str(listen),
            remedy="set CATALOG_TRUSTED_PROXIES to the networks of your proxies, or CATALOG_AUTH_MODE=jwt",
        )
    return HeaderTrust(
        peers=TrustedPeers(given.trusted_proxies) if given.trusted_proxies else None,
        honours_role=given.allow_header or is_local,
        honours_principal=settings.authorization.mode == "none",
    )


def _is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach what is there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _build_tokens(settings: Settings) -> Tokens:
    from catalog_server.access.tokens import ClaimRules, Tokens

    given = settings.authentication
    rules = ClaimRules(
        issuer=given.jwt_issuer,
        audience=given.jwt_audience,
        role_claim=given.jwt_role_claim,
        operator_value=given.jwt_operator_value,
        groups_claim=given.jwt_groups_claim,
    )
    keys = _build_keys(given.jwt_public_key_path, given.jwt_jwks)
    if keys is None:
        log.warning(
            "ANYBODY WHO REACHES THIS PORT CAN MAKE UP A TOKEN: signatures are not verified",
            remedy=f"set {_PEM} or {_JWKS}; CATALOG_JWT_ALLOW_UNVERIFIED is for proxies that have verified each token",
        )
    return Tokens(rules, keys)


def _build_keys(pem: Path | None, jwks: str) -> KeyRing | None:
    from catalog_server.access.keys import KeyRing, parse_jwks, parse_pem

    if pem is not None:
        return _opened(_PEM, str(pem), KeyRing(_reader_of_file(pem), parse_pem))
    if not jwks:
        return None
    if not jwks.lower().startswith(("https://", "http://")):
        return _opened(_JWKS, jwks, KeyRing(_reader_of_file(Path(jwks)), parse_jwks))
    try:
        target = parse_target(jwks)
    except ValueError as error:
        raise Invalid(f"{_JWKS}: the URL {error}", field=_JWKS) from error
    if target.scheme == "http" and not _is_loopback(target.host):
        log.warning(
            "keys for tokens come unencrypted: who can change them on the way can sign tokens", url=target.shown
        )
    return _opened(_JWKS, target.shown, KeyRing(_reader_of_url(target), parse_jwks))


def _opened(variable: str, origin: str, ring: KeyRing) -> KeyRing:
    try:
        ring.refresh()
    except Unavailable as error:
        log.warning("no keys for tokens yet, no token counts", variable=variable, origin=origin, reason=error.message)
    except CatalogError as error:
        raise Invalid(f"{variable}: {origin}: {error.message}", field=variable) from error
    return ring


def _reader_of_file(path: Path) -> Callable[[], bytes]:
    from catalog_server.access.keys import MAX_KEYS_BYTES

    def read() -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEYS_BYTES + 1)
        except OSError as error:
            raise Invalid(f"cannot be read: {error.strerror}") from error
        if len(data) > MAX_KEYS_BYTES:
            raise Invalid(f"has more than {MAX_KEYS_BYTES} bytes")
        return data

    return read


def _reader_of_url(target: Target) -> Callable[[], bytes]:
    from catalog_server.access.keys import MAX_KEYS_BYTES

    limits = HTTPLimits(MAX_KEYS_BYTES, _FETCH_SECONDS, retries=0, redirects=_REDIRECTS)
    client = HTTPClient(Connector(AddressGuard(_ANYWHERE, resolve_host)), limits, random.random)
    source = HTTPSource(
        target, {"accept": "application/jwk-set+json, application/json"}, _FETCH_SECONDS, MAX_KEYS_BYTES, TLSChoice()
    )
    return lambda: client.get(source, None, Deadline.after(_FETCH_SECONDS)).body
