"""What is hidden of a source's properties, and how hidden values come back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.sources.redaction import (
    MARKER,
    find_credentials,
    is_secret_ref,
    is_sensitive_key,
    redact,
    restore,
)

REF = {"name": "hub", "key": "token"}
SENSITIVE = [
    *("password", "dbPassword", "authToken", "TOKEN", "clientSecret", "apikey", "apiKey", "api_key", "X-Api-Key"),
    *("credential", "credentials", "passwd", "pwd", "private_key", "privateKey", "access_key", "AWSAccessKeyId"),
    *("Authorization", "bearer", "Cookie", "set-cookie"),
]
HARMLESS = ["name", "url", "tokenEnvVar", "token_env_var", "secretRef", "passwordPath", "private_key_path", "keyboard"]


@pytest.mark.parametrize("key", SENSITIVE)
def test_sensitive_key_then_value_is_hidden_whatever_its_type(key: str) -> None:
    assert is_sensitive_key(key)
    for value in ("x", 7, ["x"], {"a": "x"}, {**REF, "extra": "x"}, None, True):
        assert redact({key: value}) == {key: MARKER}
    assert redact({key: REF}) == {key: REF}


@pytest.mark.parametrize("key", HARMLESS)
def test_harmless_key_then_value_is_shown(key: str) -> None:
    assert not is_sensitive_key(key)
    assert redact({key: "x"}) == {key: "x"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (REF, True),
        ({**REF, "namespace": "ns"}, True),
        ({**REF, "namespace": 1}, False),
        ({**REF, "more": "x"}, False),
        ({"name": "a"}, False),
        ({"name": "", "key": "b"}, False),
        ("name", False),
    ],
)
def test_secret_ref_then_only_the_exact_shape(value: object, expected: bool) -> None:
    assert is_secret_ref(value) is expected


def test_redact_then_recursive_and_original_untouched() -> None:
    given_ = {"a": [{"token": "x", "n": 1}], "b": {"c": {"pwd": "y"}}, "d": None}
    before = copy.deepcopy(given_)
    assert redact(given_) == {"a": [{"token": MARKER, "n": 1}], "b": {"c": {"pwd": MARKER}}, "d": None}
    assert given_ == before
    assert redact(None) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x?q=a@b", f"https://{MARKER}@h/x?q=a@b"),
        ("see postgres://u:p@ss@h and http://t@h", f"see postgres://{MARKER}@h and http://{MARKER}@h"),
        ("ssh://git@h/r.git", "ssh://git@h/r.git"),
        ("https://h/x@y", "https://h/x@y"),
        ("mail a@b", "mail a@b"),
    ],
)
def test_url_userinfo_then_masked(text: str, shown: str) -> None:
    assert redact({"url": text, "list": [text]}) == {"url": shown, "list": [shown]}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "token",
            "access_token",
            "PRIVATE-TOKEN",
            "api_key",
            "apikey",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "secret",
        ),
        *("sig", "Signature", "X-Goog-Signature", "key", "code", "auth", "%74oken", "to%6Ben", "client%5Fsecret"),
    ],
)
def test_sensitive_parameter_of_a_url_then_its_value_is_masked(name: str) -> None:
    for before, after in (("?", ""), ("?ref=main&", "&x=1"), ("?a=1;", "#part"), ("#", ""), ("?", "&sig=s3cr3t&y=2")):
        shown = redact({"url": f"https://host/a.yaml{before}{name}=s3cr3t/+;=?{after}"})
        masked = after.replace("s3cr3t", MARKER)
        assert shown == {"url": f"https://host/a.yaml{before}{name}={MARKER}{masked}"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/?q=1&page=2&keyword=x&monkey=y&tokenEnvVar=z", None),
        ("https://h/token=abc", None),
        ("?token=abc", None),
        ("https://h/?token=", None),
        ("https://h/?token=&a=b", f"https://h/?token={MARKER}&a=b"),
        ("see https://h/?key=a b and ftp://h?sig=c, d", f"see https://h/?key={MARKER} b and ftp://h?sig={MARKER} d"),
        ("https://u:p@h/?token=a", f"https://{MARKER}@h/?token={MARKER}"),
        ("https://h/?next=https://i/?token=a&b=c", f"https://h/?next=https://i/?token={MARKER}&b=c"),
        ("https://h/?token=a&token=b", f"https://h/?token={MARKER}&token={MARKER}"),
    ],
)
def test_text_with_urls_then_only_secrets_are_masked(text: str, shown: str | None) -> None:
    assert redact({"list": [{"x": text}]}) == {"list": [{"x": shown or text}]}
    assert redact(redact({"x": text})) == redact({"x": text})


def test_masked_url_then_restored_or_left_alone_when_changed() -> None:
    stored = {"url": "https://u:p@h/a?token=abc&ref=main&sig=def", "repoUrl": "https://h/?key=k"}
    sent = redact(stored)
    assert "abc" not in str(sent)
    assert restore(sent, stored) == stored
    moved = {"url": f"https://elsewhere/a?token={MARKER}"}
    assert restore(moved, stored) == moved  # judged as a marker that stands for nothing


def test_very_deep_or_long_value_then_still_answers() -> None:
    deep: Any = "https://u:leak@h"
    for _ in range(900):
        deep = {"a": [deep]}
    assert "leak" not in json.dumps(redact(deep))
    assert list(find_credentials(deep)) == []
    # What grows with the square of the length would take longer than a test may.
    redact({"a": "://" * 300_000, "b": "a" * 1_000_000, "c": "://" + "?token=&" * 100_000, "d": "://" + "?a" * 300_000})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SENSITIVE, *HARMLESS, "key"]), inner, max_size=3)
    ),
    max_leaves=12,
)
PROPERTIES = st.dictionaries(st.sampled_from([*SENSITIVE, *HARMLESS]), VALUES, max_size=5)


def _planted(value: Any, secret: str, *, hidden: bool) -> Any:
    """`value` with `secret` in every text that a sensitive key or a URL's userinfo must hide."""
    if isinstance(value, dict):
        return {
            key: _planted(child, secret, hidden=hidden or is_sensitive_key(key))
            for key, child in value.items()
            if not (is_sensitive_key(key) and is_secret_ref(child))
        }
    if isinstance(value, list):
        return [_planted(child, secret, hidden=hidden) for child in value]
    if hidden:
        return secret
    return (
        f"https://user:{secret}@host/{value!r}" if isinstance(value, int) else f"https://host/?x={value!r}&sig={secret}"
    )


@given(PROPERTIES)
def test_redact_then_never_leaks_a_planted_secret(properties: dict[str, Any]) -> None:
    secret = "hunter2hunter2"
    planted = _planted(properties, secret, hidden=False)
    assert secret not in json.dumps(redact(planted))


@given(PROPERTIES)
def test_restore_then_undoes_redact(properties: dict[str, Any]) -> None:
    assert restore(redact(properties), properties) == properties
    assert redact(redact(properties)) == redact(properties)


def test_restore_then_changed_values_win() -> None:
    stored = {"token": "s", "url": "https://u:p@h", "list": ["https://u:p@h"], "n": 1}
    sent = {"token": "new", "url": f"https://{MARKER}@h", "list": [f"https://{MARKER}@h", "x"], "n": 2, "pwd": MARKER}
    assert restore(sent, stored) == {
        "token": "new",
        "url": "https://u:p@h",
        "list": ["https://u:p@h", "x"],
        "n": 2,
        "pwd": MARKER,
    }
    moved = {"url": f"https://{MARKER}@elsewhere"}
    assert restore(moved, stored) == moved


def test_find_credentials_then_names_each_place() -> None:
    properties = {
        "password": "x",
        "token": REF,
        "apiKey": MARKER,
        "useToken": True,
        "auth": {"list": [{"secret": "y"}, "https://u:p@h", f"https://{MARKER}@h"]},
        "cookie": "",
        "url": "https://h/a?ref=main&sig=abc",
        "shown": f"https://h/a?sig={MARKER}",
        "open": "https://h/a?ref=main",
    }
    found = list(find_credentials(properties))
    assert found == [
        *[("password", "password"), ("auth.list[0].secret", "secret"), ("auth.list[1]", "[1]")],
        ("url", "url"),
    ]
