"""Keys: what counts as one, which one a token gets, and how they are renewed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from catalog_server.access.keys import KeyRing, KeySet, parse_jwks, parse_pem
from catalog_server.access.rejections import KeyUnknown, TokenRejected
from catalog_server.errors import Invalid, Unavailable
from tests.issuers import Issuer, key_set

RSA = Issuer()
EC256, EC384 = Issuer("two", "ES256"), Issuer("three", "ES384")
PUBLIC = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def algorithms(keys: KeySet) -> list[list[str]]:
    return [sorted(key.algorithms) for key in keys.keys]


class TestPEM:
    @pytest.mark.parametrize(
        ("issuer", "expected"),
        [(RSA, ["RS256", "RS384", "RS512"]), (EC256, ["ES256"]), (EC384, ["ES384"])],
        ids=["RSA", "P-256", "P-384"],
    )
    def test_key_is_for_the_algorithms_of_its_type(self, issuer: Issuer, expected: list[str]) -> None:
        assert algorithms(parse_pem(issuer.pem)) == [expected]

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"", "no public key"),
            (b"secret", "no public key"),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
            (RSA.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "private key"),
            (Issuer("small", bits=1024).pem, "1024 bits; use 2048"),
            (Issuer("four", "ES512").pem, "neither RSA nor EC on P-256 or P-384"),
            (ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*PUBLIC), "neither RSA nor EC"),
            (ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*PUBLIC), "neither RSA nor EC"),
        ],
        ids=range(8),  # keys are others in each process of a run
    )
    def test_what_is_no_such_key_is_refused(self, data: bytes, problem: str) -> None:
        with pytest.raises(Invalid, match=problem) as caught:
            parse_pem(data)
        assert "BEGIN PRIVATE" not in caught.value.message


class TestKeySet:
    def test_keys_are_for_their_algorithm_or_else_those_of_their_type(self) -> None:
        keys = parse_jwks(key_set(RSA.jwk(alg=None), RSA.jwk(alg="PS512"), EC256.jwk(), EC384.jwk(alg=None, use=None)))
        assert algorithms(keys) == [
            ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
            ["PS512"],
            ["ES256"],
            ["ES384"],
        ]

    @pytest.mark.parametrize(
        "unfit",
        [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {},
            None,
            "key",
            RSA.jwk(use="enc"),
            RSA.jwk(key_ops=["encrypt"]),
            RSA.jwk(key_ops="verify"),
            RSA.jwk(alg="HS256"),
            RSA.jwk(alg="none"),
            RSA.jwk(alg="ES256"),
            RSA.jwk(alg=["RS256"]),
            RSA.jwk(kid=7),
            RSA.jwk(n=7),
            RSA.jwk(n="A" * 100_000),
            RSA.jwk(d="AQAB"),
            {**RSAAlgorithm.to_jwk(RSA.private, as_dict=True), "kid": "private", "key_ops": ["verify"]},
            {**ECAlgorithm.to_jwk(EC384.private, as_dict=True), "kid": "private"},
            Issuer("small", bits=1024).jwk(),
            Issuer("four", "ES512").jwk(),
        ],
    )
    def test_keys_that_are_unfit_are_passed_over(self, unfit: Any) -> None:
        assert parse_jwks(key_set(unfit, EC256.jwk())).keys == parse_jwks(key_set(EC256.jwk())).keys
        with pytest.raises(Invalid, match="no public key for signatures"):
            parse_jwks(key_set(unfit))

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"\xff", b'{"keys": [null]}'],
    )
    def test_what_is_no_set_is_refused(self, data: bytes) -> None:
        with pytest.raises(Invalid):
            parse_jwks(data)

    def test_more_keys_than_anybody_has_are_refused(self) -> None:
        with pytest.raises(Invalid, match="more than 100 keys"):
            parse_jwks(key_set(*[EC256.jwk()] * 101))

    @given(
        st.recursive(st.none() | st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))
    )
    def test_whatever_stands_there_is_a_set_or_invalid(self, value: Any) -> None:
        for document in (value, {"keys": value}, {"keys": [value]}, {"keys": [RSA.jwk(n=value)]}):
            with pytest.raises(Invalid):
                parse_jwks(json.dumps(document).encode())


class TestChoice:
    def test_token_gets_the_key_that_it_names(self) -> None:
        keys = parse_jwks(key_set(RSA.jwk(), EC256.jwk()))
        assert keys.find("two", "ES256").id == "two"
        with pytest.raises(KeyUnknown):
            keys.find("four", "ES256")

    def test_key_is_not_used_for_an_algorithm_of_another_type(self) -> None:
        """Not even for another of its type when the set names one."""
        keys = parse_jwks(key_set(RSA.jwk(), EC256.jwk()))
        for key_id, algorithm in (("two", "RS256"), ("one", "ES256"), ("one", "PS256"), ("one", "RS512")):
            with pytest.raises(TokenRejected, match="algorithm") as caught:
                keys.find(key_id, algorithm)
            assert not isinstance(caught.value, KeyUnknown)

    def test_token_that_names_no_key_needs_only_one_to_fit(self) -> None:
        keys = parse_jwks(key_set(RSA.jwk(), EC256.jwk(), EC384.jwk(), EC384.jwk(kid="again")))
        assert keys.find(None, "ES256").id == "two"
        with pytest.raises(TokenRejected, match="kid"):
            keys.find(None, "ES384")

    def test_key_without_a_name_is_for_tokens_that_name_any(self) -> None:
        assert parse_pem(RSA.pem).find("whatever", "RS256").id is None
        keys = parse_jwks(key_set(EC256.jwk(kid=None), Issuer("five", "ES256").jwk()))
        assert keys.find("five", "ES256").id == "five"
        assert keys.find("other", "ES256").id is None

    def test_keys_of_one_name_are_told_apart_by_algorithm(self) -> None:
        keys = parse_jwks(key_set(RSA.jwk(kid="same"), EC256.jwk(kid="same")))
        assert keys.find("same", "ES256").algorithms == {"ES256"}
        assert keys.find("same", "RS256").algorithms == {"RS256"}


class Shelf:
    """Where keys come from, and what time it is."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.data: bytes | Exception = key_set(*keys)
        self.reads = 0
        self.time = 1000.0
        self.ring = KeyRing(self._read, parse_jwks, lambda: self.time)

    def _read(self) -> bytes:
        self.reads += 1
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


class TestRing:
    def test_keys_are_replaced_as_a_whole(self) -> None:
        shelf = Shelf(RSA.jwk())
        shelf.ring.refresh()
        first = shelf.ring.generation
        shelf.data = key_set(EC256.jwk())
        shelf.ring.try_refresh()
        assert shelf.ring.find("two", "ES256").id == "two"
        with pytest.raises(KeyUnknown):
            shelf.ring.find("one", "RS256")
        assert shelf.ring.generation > first

    def test_generation_stays_while_the_keys_do(self) -> None:
        shelf = Shelf(RSA.jwk())
        shelf.ring.refresh()
        before = shelf.ring.generation
        shelf.ring.try_refresh()
        assert (shelf.reads, shelf.ring.generation) == (2, before)

    @pytest.mark.parametrize("wrong", [Unavailable("is down"), Invalid("gone"), b"{}", b'{"keys": []}', b"<html>"])
    def test_last_good_keys_stay_when_new_ones_cannot_be_had(self, wrong: bytes | Exception) -> None:
        shelf = Shelf(RSA.jwk())
        shelf.ring.refresh()
        shelf.data = wrong
        shelf.ring.try_refresh()
        assert shelf.reads == 2
        assert shelf.ring.find("one", "RS256").id == "one"

    def test_unknown_keys_bring_about_one_fetch_in_ten_seconds(self) -> None:
        shelf = Shelf(RSA.jwk())
        shelf.ring.refresh()
        for _ in range(5):
            shelf.ring.try_refresh()
        assert (shelf.reads, shelf.ring.is_due) == (2, False)
        shelf.time += 9.9
        assert not shelf.ring.is_due
        shelf.time += 0.2
        assert shelf.ring.is_due
        shelf.ring.try_refresh()
        assert shelf.reads == 3

    def test_pause_begins_when_a_fetch_ends(self) -> None:
        """Else a host that answers slowly would be asked without a pause."""
        shelf = Shelf(RSA.jwk())

        def slow() -> bytes:
            shelf.time += 30
            raise Unavailable("no answer")

        ring = KeyRing(slow, parse_jwks, lambda: shelf.time)
        ring.try_refresh()
        assert not ring.is_due

    def test_without_any_keys_a_fetch_is_asked_for_and_then_waited_for(self) -> None:
        shelf = Shelf()
        shelf.data = Unavailable("is down")
        with pytest.raises(Unavailable):
            shelf.ring.refresh()
        with pytest.raises(KeyUnknown):
            shelf.ring.find("one", "RS256")
        shelf.ring.try_refresh()
        with pytest.raises(Unavailable):
            shelf.ring.find("one", "RS256")
        shelf.data = key_set(RSA.jwk())
        shelf.time += 11
        shelf.ring.try_refresh()
        assert shelf.ring.find("one", "RS256").id == "one"

    def test_many_who_ask_at_once_cause_one_fetch(self) -> None:
        entered, release = threading.Event(), threading.Event()
        reads = []

        def read() -> bytes:
            reads.append(1)
            entered.set()
            release.wait(10)
            return key_set(RSA.jwk())

        ring = KeyRing(read, parse_jwks)
        threads = _started(8, ring.try_refresh)
        assert entered.wait(10)
        release.set()
        for thread in threads:
            thread.join(10)
        assert len(reads) == 1
        assert ring.find("one", "RS256").id == "one"


def _started(count: int, work: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads
