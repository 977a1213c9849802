"""Bodies decoded within limits, whatever portions they come in."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid, TooLarge
from catalog_server.providers.http_body import EndsEarly, check_head, coding_of, prepare_text, read_body
from tests.unit.providers.heads import head

Encode = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: dict[str, tuple[str, Encode]] = {
    "none": ("", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip in members": ("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:]) + b"\0\0"),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
}


def decode(coding: str, data: bytes, max_bytes: int = 10**6, portion: int = 10**9) -> bytes:
    source = BytesIO(data)
    return read_body(lambda size: source.read(min(size, portion)), coding, max_bytes)


@given(
    data=st.binary(max_size=300) | st.integers(0, 300_000).map(bytes),
    name=st.sampled_from(sorted(CODINGS)),
    portion=st.sampled_from([1, 7, 4096, 10**9]),
)
def test_any_data_in_any_coding_then_the_same_again(data: bytes, name: str, portion: int) -> None:
    coding, encode = CODINGS[name]
    assert decode(coding, encode(data), portion=portion) == data


@pytest.mark.parametrize("name", CODINGS)
def test_limit_then_exact(name: str) -> None:
    coding, encode = CODINGS[name]
    assert len(decode(coding, encode(b"x" * 1000), 1000)) == 1000
    with pytest.raises(TooLarge):
        decode(coding, encode(b"x" * 1001), 1000)


@pytest.mark.parametrize("name", ["gzip", "zlib", "raw deflate"])
def test_bomb_in_one_portion_then_hardly_unpacked(name: str) -> None:
    coding, encode = CODINGS[name]
    data = encode(bytes(50_000_000))
    assert len(data) < 64 * 1024
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode(coding, data, 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("name", ["gzip", "zlib", "raw deflate"])
def test_cut_off_then_ends_early(name: str) -> None:
    coding, encode = CODINGS[name]
    data = encode(b"some text that has a length")
    for length in (1, 2, len(data) // 2, len(data) - 1):
        with pytest.raises(EndsEarly):
            decode(coding, data[:length])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_nothing_or_nonsense_then_empty_or_invalid(coding: str) -> None:
    assert decode(coding, b"") == b""
    with pytest.raises(Invalid, match="damaged"):
        decode(coding, b"\xff\xff plain text")


def test_head_then_coding() -> None:
    assert [coding_of(head(Content_Encoding=one)) for one in ("gzip", " X-GZIP ", "deflate", "identity")] == [
        *("gzip", "gzip", "deflate", "")
    ]
    assert coding_of(head()) == ""
    for given_coding in ("br", "gzip, gzip", "zstd", "gzip, deflate"):
        with pytest.raises(Invalid) as caught:
            coding_of(head(Content_Encoding=given_coding))
        assert caught.value.code == "coding_unsupported"


@pytest.mark.parametrize("kind", ["text/yaml", 'text/yaml; charset="UTF-8"', "a/b; charset=us-ascii", "nonsense", ""])
def test_charset_utf8_then_taken(kind: str) -> None:
    check_head(head(Content_Type=kind, Content_Length="10"), 10)


@pytest.mark.parametrize("charset", ["latin1", "utf-16", "utf-8-sig", "x"])
def test_other_charset_then_invalid(charset: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_head(head(Content_Type=f"text/yaml; charset={charset}"), 10)
    assert caught.value.code == "charset_unsupported"


def test_length_announced_then_judged() -> None:
    for length in ("", "10", "-5", "x"):
        check_head(head(Content_Length=length), 10)
    for length in ("11", "9" * 30):
        with pytest.raises(TooLarge):
            check_head(head(Content_Length=length), 10)


def test_text_then_without_mark_and_with_joined_surrogates_in_json() -> None:
    assert prepare_text(b"\xef\xbb\xbfa", head()) == b"a"
    pair = rb'"\ud83d\ude00"'
    assert prepare_text(pair, head(Content_Type="text/yaml")) == pair
    for kind in ("application/json", "Application/Vnd.X+JSON; charset=utf-8"):
        assert prepare_text(pair, head(Content_Type=kind)) == rb'"\U0001F600"'
    with pytest.raises(Invalid):
        prepare_text("a".encode("utf-16"), head())
