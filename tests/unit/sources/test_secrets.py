"""References in properties, and texts without the secrets behind them."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.errors import Forbidden, Invalid, NotFound, Unavailable
from catalog_server.sources.redaction import MARKER
from catalog_server.sources.secrets import NoSecrets, SecretRef, mask, resolve_secrets


class Known:
    """Secrets of a test; a value that is an exception is raised."""

    def __init__(self, **values: str | Exception) -> None:
        self.values = values
        self.asked: list[SecretRef] = []

    def read_secret(self, ref: SecretRef) -> str:
        self.asked.append(ref)
        value = self.values.get(ref.key, NotFound("there is none"))
        if isinstance(value, Exception):
            raise value
        return value


def ref(key: str, **more: str) -> dict[str, str]:
    return {"name": "creds", "key": key, **more}


def test_resolve_then_nested_references_replaced_and_the_rest_copied() -> None:
    properties: dict[str, Any] = {
        "url": "https://host",
        "token": ref("a"),
        "nested": {"list": [1, ref("b", namespace="ns"), {"deep": ref("a")}]},
        "no": {"name": "x", "key": ""},
        "more": {"name": "x", "key": "a", "other": 1},
    }
    source = Known(a="secret-a", b="secret-b")
    resolved, secrets = resolve_secrets(properties, source)
    assert resolved == {
        **properties,
        "token": "secret-a",
        "nested": {"list": [1, "secret-b", {"deep": "secret-a"}]},
    }
    assert secrets == ("secret-a", "secret-b")
    assert source.asked == [SecretRef("creds", "a"), SecretRef("creds", "b", "ns")]
    assert properties["token"] == ref("a")


@pytest.mark.parametrize("error", [NotFound("gone"), Forbidden("not for you"), Invalid("bad name")])
def test_resolve_when_impossible_then_field_and_reference_are_named(error: Exception) -> None:
    with pytest.raises(Invalid) as caught:
        resolve_secrets({"auth": [{"token": ref("a", namespace="ns")}], "ok": ref("b")}, Known(a=error, b="value-b"))
    assert caught.value.code == "secret_unresolved"
    assert caught.value.field == "properties.auth[0].token"
    assert "ns/creds/a" in caught.value.message
    assert str(error) in caught.value.message
    assert "value-b" not in caught.value.message


def test_resolve_when_the_place_is_down_then_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"properties\.token: the secret creds/a cannot be read now"):
        resolve_secrets({"token": ref("a")}, Known(a=Unavailable("down")))


def test_resolve_when_no_place_is_configured_then_says_what_to_set() -> None:
    assert resolve_secrets({"a": 1}, NoSecrets()) == ({"a": 1}, ())
    with pytest.raises(Invalid, match="CATALOG_SECRETS_DIR"):
        resolve_secrets({"token": ref("a")}, NoSecrets())


def test_resolve_when_nested_without_end_then_invalid() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(Invalid, match="nested deeper"):
        resolve_secrets(endless, NoSecrets())


def test_mask_then_no_form_of_a_secret_is_left() -> None:
    secrets = ("p@ss word", "p@ss", "RED", "", "-----BEGIN-----\nabcdefghijkl\nxy\n-----END-----")
    text = "a p@ss word, https://u:p%40ss%20word@h, q=p%40ss+word, p@ss RED abcdefghijkl xy"
    masked = mask(text, secrets)
    assert masked == f"a {MARKER}, https://u:{MARKER}@h, q={MARKER}, {MARKER} {MARKER} {MARKER} xy"
    assert mask("plain", ()) == mask("plain", ("",)) == "plain"
