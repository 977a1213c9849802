"""Tokens to principals, and hostile tokens to nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.access.keys import KeyRing, parse_jwks, parse_pem
from catalog_server.access.principal import LONGEST_USER, MOST_GROUPS, Principal
from catalog_server.access.rejections import KeyUnknown, TokenRejected
from catalog_server.access.tokens import KEPT_SECONDS, LONGEST_TOKEN, ClaimRules, Tokens
from catalog_server.errors import Unavailable
from tests.issuers import Issuer, claims_of, hand_made, key_set

RSA, EC = Issuer(), Issuer("two", "ES256")
STRANGER = Issuer("stranger")


class In(int):
    """A time so many seconds from the moment that a test needs it."""


def at_last(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: int(time.time()) + one if isinstance(one, In) else one for name, one in claims.items()}


def ring(data: bytes | None = None) -> KeyRing:
    """PEM of the RSA key unless a key set is given."""
    keys = KeyRing(lambda: data or RSA.pem, parse_jwks if data else parse_pem)
    keys.refresh()
    return keys


def tokens(data: bytes | None = None, **rules: str) -> Tokens:
    return Tokens(ClaimRules(**rules), ring(data))


def unverified(**rules: str) -> Tokens:
    return Tokens(ClaimRules(**rules), None)


def rejection(reader: Tokens, token: str) -> str:
    with pytest.raises(TokenRejected) as caught:
        reader.read(token)
    return caught.value.message


class TestPrincipal:
    def test_principal_is_the_subject_with_groups_and_role(self) -> None:
        token = RSA.token(groups=["staff", " ops ", "staff", ""], role="operator")
        assert tokens().read(token) == Principal("ann", ("staff", "ops"), True)

    def test_token_without_a_role_is_a_viewers(self) -> None:
        assert tokens().read(RSA.token()) == Principal("ann")

    @pytest.mark.parametrize("role", ["operator", "OPERATOR", " Operator ", ["viewer", "operator"], ["OPERATOR"]])
    def test_role_is_text_or_a_list_in_any_case(self, role: Any) -> None:
        assert tokens().read(RSA.token(role=role)).is_operator

    @pytest.mark.parametrize(
        "role", ["admin", "operators", "", [], [["operator"]], {"operator": True}, True, 1, None, ["oper", "ator"]]
    )
    def test_any_other_role_is_a_viewers(self, role: Any) -> None:
        assert not tokens().read(RSA.token(role=role)).is_operator

    def test_claims_are_found_by_path_and_value_as_configured(self) -> None:
        rules = {"role_claim": "realm_access.roles", "operator_value": "Catalog-Admin", "groups_claim": "a.b.c"}
        token = RSA.token(realm_access={"roles": ["x", "catalog-admin"]}, a={"b": {"c": "staff"}})
        assert tokens(**rules).read(token) == Principal("ann", ("staff",), True)
        for wrong in ({"realm_access": "operator"}, {"realm_access": {"roles": {}}}, {"realm_access": []}):
            assert not tokens(**rules).read(RSA.token(**wrong)).is_operator

    def test_claim_may_have_dots_in_its_own_name(self) -> None:
        name = "https://catalog.example/role"
        assert tokens(role_claim=name).read(RSA.token(**{name: "operator"})).is_operator

    @pytest.mark.parametrize(
        "groups",
        [
            {"a": 1},
            7,
            True,
            ["a", 7],
            [None],
            [["a"]],
            "a\x00b",
            ["a\nb"],
            ["x" * 600],
            [f"g{number}" for number in range(MOST_GROUPS + 1)],
        ],
    )
    def test_groups_that_are_no_names_reject_the_token(self, groups: Any) -> None:
        """Whoever is in groups that we cannot read must not be taken for somebody without groups."""
        assert "'groups'" in rejection(tokens(), RSA.token(groups=groups))

    def test_one_group_may_be_text(self) -> None:
        assert tokens().read(RSA.token(groups="a, b")).groups == ("a, b",)

    @pytest.mark.parametrize(
        "subject",
        [
            None,
            "",
            " ",
            " ann",
            "ann\n",
            7,
            ["ann"],
            {"a": 1},
            "a\x00b",
            "a\u202eb",
            "\ud800",
            "x" * (LONGEST_USER + 1),
        ],
    )
    def test_subject_that_is_no_name_rejects_the_token(self, subject: Any) -> None:
        token = RSA.token(sub=subject) if isinstance(subject, str | None) else _with_any_subject(subject)
        assert "'sub'" in rejection(tokens(), token)

    def test_nobody_is_called_anonymous(self) -> None:
        assert "anonymous" in rejection(tokens(), RSA.token(sub="anonymous", role="operator"))

    def test_other_headers_of_the_token_do_not_count(self) -> None:
        """A key that comes with the token, or a place to fetch one, is the sender's (RFC 8725, 3.10)."""
        forged = STRANGER.token(
            header={"kid": "one", "jwk": STRANGER.jwk(), "jku": "http://127.0.0.1:1/", "x5u": "file:/"}
        )
        assert rejection(tokens(key_set(RSA.jwk())), forged) == "the token has a wrong signature"


class TestClaims:
    @pytest.mark.parametrize(
        ("claims", "problem"),
        [
            ({"exp": In(-120)}, "the token has expired"),
            ({"exp": None}, "the token has no claim 'exp'"),
            ({"exp": "soon"}, "the token is malformed"),
            ({"exp": [4_000_000_000]}, "the token is malformed"),
            ({"exp": {}}, "the token is malformed"),
            ({"exp": True}, "the token has expired"),
            ({"exp": float("inf")}, "the token is malformed"),
            ({"exp": float("nan")}, "the token is malformed"),
            ({"exp": -1}, "the token has expired"),
            ({"nbf": In(600)}, "the token is not valid yet"),
            ({"nbf": "later"}, "the token is malformed"),
            ({"nbf": float("inf")}, "the token is malformed"),
            ({"iat": In(600)}, "the token is not valid yet"),
            ({"iat": "then"}, "the token has a claim 'iat' that is no time"),
        ],
    )
    @pytest.mark.parametrize("is_verified", [True, False])
    def test_times_are_checked_also_without_a_key(
        self, is_verified: bool, claims: dict[str, Any], problem: str
    ) -> None:
        reader = tokens() if is_verified else unverified()
        assert rejection(reader, RSA.token(**at_last(claims))) == problem

    @pytest.mark.parametrize("claims", [{"exp": In(-30)}, {"nbf": In(30)}, {"iat": In(30)}])
    def test_clocks_may_be_a_minute_apart(self, claims: dict[str, Any]) -> None:
        assert tokens().read(RSA.token(**at_last(claims))).user == "ann"

    @pytest.mark.parametrize("is_verified", [True, False])
    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": None},
            {"iss": "https://other.example"},
            {"iss": "https://issuer.example/"},
            {"iss": ["https://issuer.example"]},
            {"aud": None},
            {"aud": "others"},
            {"aud": ["others"]},
            {"aud": []},
            {"aud": ["catalog", 7]},
            {"aud": {"catalog": 1}},
            {"aud": "catalog-2"},
        ],
    )
    def test_issuer_and_audience_are_checked_when_set(self, is_verified: bool, claims: dict[str, Any]) -> None:
        rules = {"issuer": "https://issuer.example", "audience": "catalog"}
        reader = tokens(**rules) if is_verified else unverified(**rules)
        right: dict[str, Any] = {"iss": "https://issuer.example", "aud": ["others", "catalog"]}
        assert reader.read(hand_signed({**claims_of(), **right})).user == "ann"
        given = {name: value for name, value in {**claims_of(), **right, **claims}.items() if value is not None}
        rejection(reader, hand_signed(given))

    def test_issuer_and_audience_that_are_not_set_may_be_any(self) -> None:
        assert tokens().read(RSA.token(iss="x", aud=["y"])).user == "ann"


class TestSignature:
    def test_algorithm_none_is_refused(self) -> None:
        for algorithm in ("none", "None", "NONE", ""):
            for signature in (b"", b"x"):
                rejection(tokens(), hand_made({"alg": algorithm, "typ": "JWT"}, claims_of(), signature))

    @pytest.mark.parametrize(
        "secret",
        [RSA.pem, RSA.pem.strip(), b"", json.dumps(RSA.jwk()).encode()],
        ids=["PEM", "PEM without an end of line", "nothing", "JWK"],
    )
    def test_public_key_is_no_shared_secret(self, secret: bytes) -> None:
        """HS256, signed with what everybody may know."""
        for data in (None, key_set(RSA.jwk()), key_set(RSA.jwk(alg=None))):
            for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
                head = hand_made({"alg": algorithm, "kid": "one"}, claims_of(role="operator")).rpartition(".")[0]
                signature = base64.urlsafe_b64encode(hmac.new(secret, head.encode(), digest).digest()).rstrip(b"=")
                rejection(tokens(data), f"{head}.{signature.decode()}")

    def test_other_keys_do_not_count(self) -> None:
        assert rejection(tokens(), STRANGER.token()) == "the token has a wrong signature"
        assert (
            rejection(tokens(key_set(RSA.jwk())), STRANGER.token(header={"kid": "one"}))
            == "the token has a wrong signature"
        )

    def test_any_change_of_the_token_is_noticed(self) -> None:
        head, body, signature = RSA.token().split(".")
        more = base64.urlsafe_b64encode(json.dumps(claims_of(role="operator")).encode()).rstrip(b"=").decode()
        for changed in (f"{head}.{more}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
            rejection(tokens(), changed)

    def test_elliptic_keys_verify(self) -> None:
        assert tokens(key_set(EC.jwk())).read(EC.token()).user == "ann"
        assert tokens(key_set(EC.jwk())).read(EC.token(header={"kid": "two"})).user == "ann"
        rejection(tokens(key_set(EC.jwk())), hand_made({"alg": "ES256", "kid": "two"}, claims_of(), b"\0" * 64))
        rejection(tokens(key_set(EC.jwk())), hand_made({"alg": "ES256", "kid": "two"}, claims_of(), b""))

    def test_pem_is_for_pkcs1_only(self) -> None:
        token = jwt.encode(claims_of(), RSA.private, "PS256")
        assert "algorithm" in rejection(tokens(), token)
        assert tokens(key_set(RSA.jwk(alg=None))).read(token).user == "ann"

    def test_unknown_key_is_told_apart(self) -> None:
        with pytest.raises(KeyUnknown):
            tokens(key_set(RSA.jwk())).read(RSA.token(header={"kid": "new"}))

    def test_critical_extensions_that_nobody_knows_are_refused(self) -> None:
        rejection(tokens(), RSA.token(header={"crit": ["exotic"], "exotic": 1}))

    def test_without_keys_yet_nobody_is_believed(self) -> None:
        def down() -> bytes:
            raise Unavailable("is down")

        keys = KeyRing(down, parse_jwks)
        keys.try_refresh()
        with pytest.raises(Unavailable):
            Tokens(ClaimRules(), keys).read(RSA.token())

    def test_unverified_tokens_may_have_any_signature(self) -> None:
        assert unverified().read(STRANGER.token(role="operator")) == Principal("ann", (), True)
        assert unverified().read(hand_made({"alg": "none"}, claims_of(), b"")).user == "ann"


GARBAGE = [
    "",
    ".",
    "..",
    "a.b.c",
    "a.b.c.d",
    "not a token",
    "é.é.é",
    "\udc80.a.b",
    "x" * LONGEST_TOKEN,
    hand_made([], claims_of()),
    hand_made({"alg": "RS256", "kid": 7}, claims_of()),
    hand_made({"alg": "RS256", "kid": None}, claims_of()),
    hand_made({"alg": "RS256", "b64": False, "crit": ["b64"]}, b""),
    hand_made({"alg": "RS256"}, []),
    hand_made({"alg": "RS256"}, b"\xff"),
    hand_made({"alg": "RS256"}, b"[" * 9000),
    hand_made(b"[" * 9000, claims_of()),
    hand_made(b'{"alg": "RS256", "x": ' + b"[" * 9000, claims_of()),
    hand_made({"alg": "RS256"}, b'{"exp": ' + b"9" * 5000 + b"}"),
    hand_made({"alg": "RS256"}, b'{"sub": "ann", "exp": "' + b"9" * 5000 + b'"}'),
    hand_made({"alg": "RS256"}, b'{"sub": "ann", "exp": 1e999}'),
    hand_made({"alg": "RS256"}, {"exp": "9" * 30}),
]


VERIFYING, BELIEVING = tokens(), unverified()
VALUES = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.text()
    | st.lists(st.text())
    | st.sampled_from(["RS256", 4_000_000_000])
)


class TestGarbage:
    @pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))  # times are others in each process of a run
    def test_garbage_is_rejected_with_a_reason_that_does_not_repeat_it(self, token: str) -> None:
        for reader in (tokens(), tokens(key_set(RSA.jwk())), unverified()):
            assert len(rejection(reader, token)) < 100

    def test_huge_token_is_refused_before_anything_is_done(self) -> None:
        assert "more than 16384 characters" in rejection(tokens(), RSA.token(padding="x" * LONGEST_TOKEN))

    @pytest.mark.parametrize("header", [{}, {"alg": ["RS256"]}, {"alg": {"RS256": 1}}, {"alg": 7}, {"alg": None}])
    def test_algorithm_that_is_none_is_rejected(self, header: Any) -> None:
        for reader in (tokens(), tokens(key_set(RSA.jwk()))):
            assert "algorithm" in rejection(reader, hand_made(header, claims_of()))

    @given(st.text())
    def test_any_text_is_rejected(self, text: str) -> None:
        for reader in (VERIFYING, BELIEVING):
            with pytest.raises(TokenRejected):
                reader.read(text)

    @given(
        st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ"]), VALUES),
        st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "sub", "iss", "aud", "groups", "role"]), VALUES),
    )
    def test_any_header_and_claims_are_a_principal_or_rejected(self, header: Any, claims: Any) -> None:
        with pytest.raises(TokenRejected):
            VERIFYING.read(hand_made(header, claims))
        with suppress(TokenRejected):
            assert BELIEVING.read(hand_made(header, claims)).user.isprintable()


class Clock:
    def __init__(self) -> None:
        self.time = time.time()

    def __call__(self) -> float:
        return self.time


class TestKept:
    """A token that was found right is believed for a moment without another look."""

    def test_it_is_verified_once_in_half_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, seen = Clock(), _count_lookups(keys := ring(), monkeypatch)
        reader, token = Tokens(ClaimRules(), keys, clock), RSA.token()
        first = reader.read(token)
        for _ in range(5):
            assert reader.read(token) is first
        assert len(seen) == 1
        clock.time += KEPT_SECONDS
        assert reader.read(token) == first
        assert len(seen) == 2

    def test_it_is_not_kept_beyond_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, seen = Clock(), _count_lookups(keys := ring(), monkeypatch)
        reader, token = Tokens(ClaimRules(), keys, clock), RSA.token(exp=int(clock.time) + 10)
        reader.read(token)
        clock.time += 9
        reader.read(token)
        assert len(seen) == 1
        clock.time += 1
        reader.read(token)
        assert len(seen) == 2

    def test_it_is_not_kept_beyond_its_key(self) -> None:
        published = [key_set(RSA.jwk())]
        keys = KeyRing(lambda: published[0], parse_jwks)
        keys.refresh()
        reader, token = Tokens(ClaimRules(), keys), RSA.token()
        assert reader.read(token).user == "ann"
        published[0] = key_set(EC.jwk())
        keys.try_refresh()
        with pytest.raises(KeyUnknown):
            reader.read(token)

    def test_rejected_tokens_are_not_kept_and_the_number_is_bounded(self) -> None:
        reader = unverified()
        for number in range(4200):
            reader.read(hand_made({"alg": "none"}, claims_of(sub=f"user-{number}"), b""))
        rejection(reader, "garbage")
        assert len(reader._kept) == 4096


def _count_lookups(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    seen: list[None] = []
    find = keys.find
    monkeypatch.setattr(keys, "find", lambda *given: (seen.append(None), find(*given))[1])
    return seen


def hand_signed(claims: dict[str, Any]) -> str:
    """Signed by the RSA key, with claims that the library would not encode."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), RSA.private, "RS256", headers={"kid": "one"})


def _with_any_subject(subject: Any) -> str:
    return hand_signed({**claims_of(), "sub": subject})
