"""Bearer tokens (JWT, RFC 7519) to principals: signature, claims, role and groups (spec http-api.md 5).

Not for: where keys come from (keys.py), and what a rejected token means to a request (http/middleware/identity.py).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import jwt
from jwt import exceptions as faults

from catalog_server.access.keys import ALGORITHMS, KeyRing
from catalog_server.access.principal import ANONYMOUS, LONGEST_USER, Principal, read_groups
from catalog_server.access.rejections import TokenRejected
from catalog_server.errors import Invalid

LEEWAY_SECONDS: Final = 60
"""How far the clocks of issuer and server may be apart."""
LONGEST_TOKEN: Final = 16 * 1024
KEPT_SECONDS: Final = 30.0
_MOST_KEPT: Final = 4096
_PROBLEMS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (faults.ExpiredSignatureError, "the token has expired"),
    (faults.ImmatureSignatureError, "the token is not valid yet"),
    (faults.InvalidIssuedAtError, "the token has a claim 'iat' that is no time"),
    (faults.InvalidIssuerError, "the token is of another issuer ('iss')"),
    (faults.InvalidAudienceError, "the token is for another audience ('aud')"),
    (faults.InvalidSubjectError, "the token has a claim 'sub' that is no text"),
    (faults.InvalidSignatureError, "the token has a wrong signature"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRules:
    """What claims must hold, and what they mean. Empty `issuer` or `audience`: not checked.

    A path of a claim is its name, or names joined by dots (`realm_access.roles`).
    """

    issuer: str = ""
    audience: str = ""
    role_claim: str = "role"
    operator_value: str = "operator"
    groups_claim: str = "groups"


class _Kept(NamedTuple):
    principal: Principal
    until: float
    generation: int


class Tokens:
    """Verifies tokens. Without `keys` signatures are not looked at, only claims. For one thread.

    A token that was found right is kept for a moment, by its digest, so that a read costs little. `now` is the time
    that this goes by, in seconds since 1970.
    """

    def __init__(self, rules: ClaimRules, keys: KeyRing | None, now: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self.keys = keys
        self._now = now
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._options: jwt.types.Options = {
            **{"verify_signature": keys is not None, "verify_exp": True, "verify_nbf": True, "verify_iat": True},
            **{"verify_iss": bool(rules.issuer), "verify_aud": bool(rules.audience), "verify_sub": True},
            **{"verify_jti": False, "require": ["exp", "sub"]},
        }

    def read(self, token: str) -> Principal:
        """Whom the token names.

        Raises:
            KeyUnknown: `keys.try_refresh` may help.
            TokenRejected: it does not count.
            Unavailable: there are no keys to tell.
        """
        if len(token) > LONGEST_TOKEN:
            raise TokenRejected(f"the token has more than {LONGEST_TOKEN} characters")
        digest, now = sha256(token.encode("utf-8", "surrogateescape")).digest(), self._now()
        generation = self.keys.generation if self.keys is not None else 0
        kept = self._kept.get(digest)
        if kept is not None and now < kept.until and kept.generation == generation:
            return kept.principal
        claims = self._claims(token)
        principal = self._principal(claims)
        self._keep(digest, _Kept(principal, min(now + KEPT_SECONDS, int(claims["exp"])), generation))
        return principal

    def _keep(self, digest: bytes, kept: _Kept) -> None:
        self._kept[digest] = kept
        self._kept.move_to_end(digest)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            key, algorithms = self._key_for(token)
            return jwt.decode(
                token,
                key,
                algorithms,
                self._options,
                audience=self._rules.audience or None,
                issuer=self._rules.issuer or None,
                leeway=LEEWAY_SECONDS,
            )
        except faults.MissingRequiredClaimError as error:
            raise TokenRejected(f"the token has no claim {error.claim!r}") from error
        except (faults.PyJWTError, UnicodeError) as error:
            problem = next((text for kind, text in _PROBLEMS if isinstance(error, kind)), "the token is malformed")
            raise TokenRejected(problem) from error

    def _key_for(self, token: str) -> tuple[Any, list[str] | None]:
        """The key, and the algorithms that it is for. Raises as `read` does."""
        if self.keys is None:
            return "", None
        header = jwt.get_unverified_header(token)
        key_id, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise TokenRejected("the token is not signed with an algorithm that this server accepts")
        key = self.keys.find(key_id, algorithm)
        return key.public, sorted(key.algorithms)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        user = claims["sub"]
        if user != user.strip() or not user or not user.isprintable() or len(user) > LONGEST_USER:
            raise TokenRejected(f"the token has a claim 'sub' that is not 1 to {LONGEST_USER} printable characters")
        if user == ANONYMOUS.user:
            raise TokenRejected(f"the token names a user {user!r}, which is what callers without a name are called")
        rules = self._rules
        try:
            groups = read_groups(_texts(_claim(claims, rules.groups_claim), rules.groups_claim), rules.groups_claim)
        except Invalid as error:
            raise TokenRejected(f"the token's claim {error.field!r} {error.message}") from error
        return Principal(user, groups, _is_operator(_claim(claims, rules.role_claim), rules.operator_value))


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name or at this path, or None. Issuers use URLs as names, which have dots of their own."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in texts):
        raise Invalid("is neither text nor a list of texts", field=name)
    return texts


def _is_operator(role: Any, wanted: str) -> bool:
    """Whoever has no role, or one that cannot be read, is a viewer."""
    roles = role if isinstance(role, list) else [role]
    return any(isinstance(one, str) and one.strip().lower() == wanted.lower() for one in roles)
