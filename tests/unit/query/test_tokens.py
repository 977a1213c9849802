from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.query.nodes import Scalar
from catalog_server.query.tokens import binding_of, decode_token, encode_token

UNSAVED = settings(database=None, deadline=None, max_examples=150)
BINDING = binding_of("model", "name='a'", "NAME ASC")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KEYS = st.one_of(
    st.none(),
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)


def pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pack_json(**changes: object) -> str:
    return pack(json.dumps({"v": 1, "k": ["a", "id"], "h": BINDING} | changes).encode())


@UNSAVED
@given(KEYS, TEXTS)
def test_a_token_when_decoded_then_gives_value_type_and_id_back(key: Scalar | None, entity_id: str) -> None:
    token = encode_token(key, entity_id, BINDING)
    assert re.fullmatch("[A-Za-z0-9_-]+", token)
    decoded, decoded_id = decode_token(token, BINDING)
    assert (decoded, decoded_id) == (key, entity_id)
    assert type(decoded) is type(key)


def test_encode_token_when_read_by_hand_then_is_the_documented_json() -> None:
    token = encode_token("a:b", "7", "0011")
    assert base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) == b'{"v":1,"k":["a:b","7"],"h":"0011"}'


@pytest.mark.parametrize(
    "token",
    [
        "",
        "!",
        "ä",
        "\ud800",
        "abc\n",
        "MTAw",
        "A",
        pack(b"\xff\xfe"),
        pack(b"{}"),
        pack(b"[" * 3000),
        pack(b'{"x":' + b"[" * 3000),
        pack(b'{"v":1,"k":["\xff","id"],"h":""}'),
        pack_json() + "=",
        pack_json(k=["a"]),
        pack_json(k=["a", "b", "c"]),
        pack_json(k=[["a"], "id"]),
        pack_json(k=["a", 7]),
        pack_json(k=[2**63, "id"]),
        pack_json(k=[-(2**63) - 1, "id"]),
        pack_json(k=[float("inf"), "id"]),
        pack(b'{"v":1,"k":[1e999,"id"],"h":""}'),
        pack_json(v="1"),
        pack_json(v=True),
        pack_json(h=None),
        pack_json(more=1),
    ],
)
def test_decode_token_when_it_is_malformed_then_says_that_it_is_no_token(token: str) -> None:
    error = catch(token, BINDING)
    assert "not a page token" in error.message


@pytest.mark.parametrize(
    ("token", "part"),
    [
        (pack_json(v=2), "another version"),
        (pack_json(h="00"), "not for this list, or the filter or the order has changed"),
        (encode_token("a", "id", binding_of("model", "name='b'", "NAME ASC")), "not for this list"),
        ("A" * 4097, "4097 characters, the limit is 4096"),
    ],
)
def test_decode_token_when_it_does_not_fit_then_says_why(token: str, part: str) -> None:
    assert part in catch(token, BINDING).message


def test_decode_token_when_a_parameter_is_named_then_the_error_names_it() -> None:
    with pytest.raises(Invalid, match=r"^invalid nextPageToken: ") as caught:
        decode_token("!", BINDING, "nextPageToken")
    assert caught.value.field == "nextPageToken"


@UNSAVED
@given(st.one_of(st.text(st.characters(exclude_categories=[]), max_size=60), st.binary(max_size=60).map(pack)))
def test_decode_token_when_given_any_text_then_raises_only_invalid(text: str) -> None:
    catch(text, BINDING)


def test_binding_of_when_parts_are_cut_differently_then_differs() -> None:
    bindings = [binding_of(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), (), ("1:a",))]
    assert len(set(bindings)) == len(bindings)


def test_binding_of_when_called_again_or_elsewhere_then_is_the_same_short_text() -> None:
    assert binding_of("a", "b") == "8502e2f5c0883298"
    assert re.fullmatch("[0-9a-f]{16}", binding_of("ä", "\ud800"))


def catch(text: str, binding: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decode_token(text, binding)
    assert (caught.value.field, caught.value.code) == ("pageToken", "page_token")
    return caught.value
