"""The body of an HTTP answer: decoded, within limits, and fit to be read as UTF-8.

Limits hold for the decoded size, and a portion is never decoded further than needed to find that it is too much: a
thousandth of a gigabyte of zeros must not become the whole.
Not for: what the body says; YAML and JSON are read by schema/yaml_reader.py.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterator
from email.message import Message
from io import BytesIO
from typing import Final

from catalog_server.errors import Invalid, TooLarge
from catalog_server.schema.yaml_reader import join_surrogates

ACCEPTED_CODINGS: Final = "gzip, deflate"
_PORTION: Final = 64 * 1024
_CODINGS: Final = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_CHARSETS: Final = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15


class EndsEarly(Exception):
    """The body stops in the middle."""


def check_head(headers: Message, max_bytes: int) -> None:
    """Refuse what can be refused before the body comes. Raises Invalid or TooLarge."""
    charset = headers.get_content_charset("utf-8")
    if charset not in _CHARSETS:
        raise _invalid("the server sends a charset other than UTF-8", "charset_unsupported")
    coding_of(headers)
    length = headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        raise too_large(max_bytes)


def coding_of(headers: Message) -> str:
    """`gzip`, `deflate` or nothing. Raises Invalid for others, and for one on top of another."""
    given = ", ".join(headers.get_all("Content-Encoding", [])).strip().lower()
    try:
        return _CODINGS[given]
    except KeyError:
        problem = f"the server sends a content coding other than {ACCEPTED_CODINGS}"
        raise _invalid(problem, "coding_unsupported") from None


def read_body(read: Callable[[int], bytes], coding: str, max_bytes: int) -> bytes:
    """All that `read` gives, decoded. Raises as `read_up_to` does, and TooLarge for more than `max_bytes`."""
    body, is_cut = read_up_to(read, coding, max_bytes)
    if is_cut:
        raise too_large(max_bytes)
    return body


def read_up_to(read: Callable[[int], bytes], coding: str, max_bytes: int) -> tuple[bytes, bool]:
    """What `read` gives, decoded, up to `max_bytes`; and whether there was more.

    Raises:
        Invalid: it is not in the coding.
        EndsEarly: the coding is not complete.
    """
    body = BytesIO()
    inflater = _Inflater(coding) if coding else None
    while portion := read(_PORTION):
        for piece in inflater.feed(portion) if inflater else (portion,):
            body.write(piece)
            if body.tell() > max_bytes:
                return body.getvalue()[:max_bytes], True
    if inflater:
        inflater.finish()
    return body.getvalue(), False


def prepare_text(body: bytes, headers: Message) -> bytes:
    """The body as the reader of YAML wants it."""
    if body.startswith(_UTF16_MARKS):
        raise _invalid("the server sends UTF-16; only UTF-8 is read", "charset_unsupported")
    kind = headers.get_content_type()
    text = body.removeprefix(codecs.BOM_UTF8)
    # The reader knows JSON by the name of the file, which an address need not have.
    return join_surrogates(text) if kind.endswith(("/json", "+json")) else text


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the document has more than {max_bytes} bytes", field="properties.maxBytes", code="content_too_large"
    )


class _Inflater:
    """Undoes one content coding, a small piece at a time."""

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding == "gzip"
        self._start = b""
        self._has_begun = False
        self._inflate = zlib.decompressobj(_GZIP_BITS) if self._is_gzip else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._has_begun = True
        try:
            yield from self._pieces(data)
        except zlib.error:
            raise _invalid("the server sends a damaged content coding", "coding_damaged") from None

    def finish(self) -> None:
        """Nothing at all is a body without content, whatever the coding."""
        if self._has_begun and not (self._inflate and self._inflate.eof):
            raise EndsEarly

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            # `deflate` means zlib's form, but some servers send it without zlib's header: two bytes tell.
            self._start += data
            if len(self._start) < 2:
                return
            data, self._start = self._start, b""
            is_zlib = data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(_ZLIB_BITS if is_zlib else _RAW_BITS)
        while True:
            piece = self._inflate.decompress(data, _PORTION)
            yield piece
            if self._inflate.eof:
                data = self._inflate.unused_data.lstrip(b"\0") if self._is_gzip else b""
                if not data:
                    return
                self._inflate = zlib.decompressobj(_GZIP_BITS)  # a gzip file may be several, one after the other
            else:
                data = self._inflate.unconsumed_tail
                if not data and len(piece) < _PORTION:
                    return


def _invalid(problem: str, code: str) -> Invalid:
    return Invalid(problem, field="properties.url", code=code)
