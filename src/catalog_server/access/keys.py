"""The public keys that tokens are verified with: from PEM or a JSON Web Key Set (RFC 7517) to keys, and their renewal.

A key is good for a few algorithms that follow from its type, never from a token; HMAC and `none` are not among them
(RFC 8725, 3.1). Where the bytes come from is told by whoever makes a KeyRing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from catalog_server.access.rejections import KeyUnknown, TokenRejected
from catalog_server.errors import CatalogError, Invalid, Unavailable

log = structlog.get_logger(__name__)

PublicKey = RSAPublicKey | EllipticCurvePublicKey
MAX_KEYS_BYTES: Final = 256 * 1024
RENEW_SECONDS: Final = 300.0
"""How long a key that was withdrawn may still count."""
_PAUSE_SECONDS: Final = 10.0
"""Between fetches that tokens with unknown keys bring about: anybody can make up such tokens."""
_MOST_KEYS: Final = 100
_SMALLEST_RSA_BITS, _LARGEST_RSA_BITS = 2048, 8192
_LONGEST_NUMBER: Final = 2 * _LARGEST_RSA_BITS // 8
_RSA: Final = frozenset(("RS256", "RS384", "RS512"))
_RSA_PSS: Final = frozenset(("PS256", "PS384", "PS512"))
_CURVES: Final = {"secp256r1": frozenset(("ES256",)), "secp384r1": frozenset(("ES384",))}
ALGORITHMS: Final = frozenset.union(_RSA, _RSA_PSS, *_CURVES.values())


@dataclass(frozen=True, slots=True)
class Key:
    """`id` is None where the key has no name: then it is for tokens that name any."""

    id: str | None
    algorithms: frozenset[str]
    public: PublicKey


@dataclass(frozen=True, slots=True)
class KeySet:
    """All keys that count at one time."""

    keys: tuple[Key, ...]

    def find(self, key_id: str | None, algorithm: str) -> Key:
        """The key for a token that names this one, or none.

        Raises:
            KeyUnknown: there is no key of this name.
            TokenRejected: it is not for this algorithm; or none is named, and several would do.
        """
        named = [key for key in self.keys if key_id is None or key.id == key_id]
        named = named or [key for key in self.keys if key.id is None]
        if not named:
            raise KeyUnknown("the token is signed with a key that this server does not know")
        fit = [key for key in named if algorithm in key.algorithms]
        if not fit:
            raise TokenRejected("the token is signed with an algorithm that its key is not for")
        if key_id is None and len(fit) > 1:
            raise TokenRejected("the token does not say which key it is signed with ('kid')")
        return fit[0]


def parse_pem(data: bytes) -> KeySet:
    """One public key: RSA for RS256, RS384 and RS512, or EC on P-256 (ES256) or P-384 (ES384). Raises Invalid."""
    if b"PRIVATE KEY-----" in data:
        raise Invalid("holds a private key; only the public one belongs here")
    try:
        public = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("holds no public key in PEM form (BEGIN PUBLIC KEY)") from error
    if isinstance(public, RSAPublicKey):
        return KeySet((Key(None, _RSA, _check_size(public)),))
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return KeySet((Key(None, _CURVES[public.curve.name], public),))
    raise Invalid("holds a key that is neither RSA nor EC on P-256 or P-384")


def parse_jwks(data: bytes) -> KeySet:
    """The keys of a set that are fit to verify with; as the RFC wants it, others are passed over. Raises Invalid."""
    try:
        given = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("holds no JSON") from error
    listed = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(listed, list):
        raise Invalid("holds no JSON Web Key Set: an object with the list 'keys'")
    if len(listed) > _MOST_KEYS:
        raise Invalid(f"holds more than {_MOST_KEYS} keys")
    keys = tuple(key for one in listed if (key := _read_jwk(one)) is not None)
    if not keys:
        raise Invalid("holds no public key for signatures: RSA from 2048 bits on, or EC on P-256 or P-384")
    return KeySet(keys)


def _read_jwk(given: Any) -> Key | None:
    if not isinstance(given, dict) or not _is_for_verifying(given):
        return None
    try:
        public = _read_public(given)
    except (Invalid, PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithms = _RSA | _RSA_PSS if isinstance(public, RSAPublicKey) else _CURVES.get(public.curve.name, frozenset())
    if "alg" in given:
        algorithms = frozenset(one for one in algorithms if one == given["alg"])
    key_id = given.get("kid")
    is_named_right = key_id is None or isinstance(key_id, str)
    return Key(key_id, algorithms, public) if algorithms and is_named_right else None


def _is_for_verifying(given: Mapping[str, Any]) -> bool:
    operations = given.get("key_ops", ["verify"])
    is_meant = given.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    is_short = all(
        isinstance(given.get(name, ""), str) and len(given.get(name, "")) <= _LONGEST_NUMBER for name in "ne"
    )
    return is_meant and is_short


def _read_public(given: Mapping[str, Any]) -> PublicKey:
    found = (RSAAlgorithm if given.get("kty") == "RSA" else ECAlgorithm).from_jwk(dict(given))
    if isinstance(found, RSAPublicKey):
        return _check_size(found)
    if isinstance(found, EllipticCurvePublicKey):
        return found
    raise ValueError("a private key that is published lets everybody sign")


def _check_size(key: RSAPublicKey) -> RSAPublicKey:
    """Raises Invalid, which names the limits."""
    if not _SMALLEST_RSA_BITS <= key.key_size <= _LARGEST_RSA_BITS:
        problem = f"holds an RSA key of {key.key_size} bits; use {_SMALLEST_RSA_BITS} to {_LARGEST_RSA_BITS}"
        raise Invalid(problem)
    return key


class KeyRing:
    """The keys that count now. `read` gets the bytes that `parse` understands; it may take seconds.

    Safe to use from several threads. `find` never waits; `refresh` and `try_refresh` do.
    """

    def __init__(
        self, read: Callable[[], bytes], parse: Callable[[bytes], KeySet], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._parse = parse
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._tried_at = -_PAUSE_SECONDS
        self._problem: str | None = None
        self.generation = 0
        """Grows when the keys change."""

    @property
    def is_empty(self) -> bool:
        """Whether no keys could be had yet."""
        return self._keys is None

    @property
    def is_due(self) -> bool:
        """Whether a token with an unknown key is reason enough to look for new ones."""
        return self._clock() - self._tried_at >= _PAUSE_SECONDS

    def find(self, key_id: str | None, algorithm: str) -> Key:
        """Raises as KeySet.find does, and KeyUnknown or Unavailable while there are no keys at all."""
        keys = self._keys
        if keys is not None:
            return keys.find(key_id, algorithm)
        if self.is_due:
            raise KeyUnknown("the keys that tokens are verified with are not there yet")
        raise Unavailable("the keys that tokens are verified with are not there yet")

    def refresh(self) -> None:
        """Take the keys as they are now.

        Raises:
            Invalid: they are wrong, and waiting will not help.
            Unavailable, RateLimited: they cannot be had now.
        """
        with self._lock:
            self._take()

    def try_refresh(self) -> None:
        """The same, at most every 10 seconds; without new keys the last good ones stay, and the log says so once."""
        with self._lock:
            if not self.is_due:
                return  # somebody else has just been here
            problem = None
            try:
                self._take()
            except CatalogError as error:
                problem = error.message
            finally:
                self._tried_at = self._clock()
        if problem != self._problem:
            (log.warning if problem else log.info)(
                "keys for tokens " + ("not renewed" if problem else "renewed"), reason=problem
            )
        self._problem = problem

    def renew_until(self, stop: threading.Event) -> None:
        """Keep the keys fresh until `stop` is set."""
        while not stop.wait(_PAUSE_SECONDS if self.is_empty else RENEW_SECONDS):
            self.try_refresh()

    def _take(self) -> None:
        keys = self._parse(self._read())
        if keys != self._keys:
            self._keys = keys
            self.generation += 1
