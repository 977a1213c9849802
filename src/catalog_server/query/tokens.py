"""Opaque keyset page tokens (spec plugins.md 2.8): where the next page starts, and which list it belongs to.

A token is not a secret and not signed: it holds the sort value and the id of the last row that the client has seen.
The binding only catches the mistake of using it with another list, filter or order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from functools import lru_cache

import msgspec

from catalog_server.errors import Invalid
from catalog_server.query.nodes import Scalar

MAX_CHARACTERS = 4096
_VERSION = 1
_INTEGER_LIMIT = 2**63
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Short keys, because clients carry them in URLs: version, key (sort value and id), hash of the binding."""

    v: int
    k: tuple[str | int | float | bool | None, str]
    h: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Payload).decode


def encode_token(key: Scalar | None, entity_id: str, binding: str) -> str:
    """The token of the page after the row with this sort value (None: the row has none) and id."""
    payload = _encode(_Payload(v=_VERSION, k=(key, entity_id), h=binding))
    return base64.urlsafe_b64encode(payload).rstrip(b"=").decode("ascii")


def decode_token(text: str, binding: str, parameter: str = "pageToken") -> tuple[Scalar | None, str]:
    """The sort value and id in the token. Raises Invalid, naming `parameter`, unless it belongs to `binding`."""
    if len(text) > MAX_CHARACTERS:
        raise _error(parameter, f"it has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    payload = _read_payload(text)
    if payload is None:
        raise _error(parameter, "it is not a page token; pass nextPageToken of the previous page unchanged")
    if payload.v != _VERSION:
        raise _error(parameter, "it was made by another version of the server; start again without it")
    if payload.h != binding:
        raise _error(
            parameter, "it is not for this list, or the filter or the order has changed; start again without it"
        )
    return payload.k


def binding_of(*parts: str) -> str:
    """A short stable hash of what a token is bound to, for example the list, the filter and the order."""
    # The text of a tuple is unambiguous, and in ASCII also where a filter carries a lone surrogate.
    return hashlib.blake2b(ascii(parts).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1024)
def _read_payload(text: str) -> _Payload | None:
    if not _ALPHABET.fullmatch(text):
        return None
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        payload = _decode(decoded)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    key = payload.k[0]
    # A forged key beyond 64 bits would only fail later, inside the database driver.
    return None if isinstance(key, int) and not -_INTEGER_LIMIT <= key < _INTEGER_LIMIT else payload


def _error(parameter: str, problem: str) -> Invalid:
    return Invalid(f"invalid {parameter}: {problem}", field=parameter, code="page_token")
