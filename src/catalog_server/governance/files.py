"""Reads the files of the governance rules: strict, and every fault with file, line and field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from catalog_server.errors import Invalid
from catalog_server.schema.structs import convert, steps_of
from catalog_server.schema.yaml_reader import Document, Limits, read_document

LIMITS: Final = Limits(max_bytes=1024 * 1024)

T = TypeVar("T", bound=Struct)
Parts = Mapping[str, type[Struct]]
"""Path in the file, without indices -> the struct that stands there."""


def parse_file(data: bytes, file: str, kind: type[T], parts: Parts) -> tuple[T, Document]:
    """The text of a file as a struct, and where its parts stand. `parts` help to guess keys.

    Raises:
        Invalid: it is no YAML, or does not fit.
    """
    document = read_document(data, file=file, limits=LIMITS)

    def nearest(key: str, parent: str) -> str | None:
        known = parts[parent].__struct_encode_fields__
        return next(iter(difflib.get_close_matches(key, known, n=1)), None)

    try:
        return convert({} if document.value is None else document.value, kind, nearest), document
    except Invalid as error:
        raise placed(error, document) from None


def placed(error: Invalid, document: Document) -> Invalid:
    """The same error with its place in the file."""
    message = f"{error.field}: {error.reason}" if error.field else error.reason
    return Invalid(message, field=error.field, location=document.locate(steps_of(error.field)), code=error.code)


def read_optional(path: Path, variable: str) -> bytes | None:
    """The content of a file; None: there is no such file. Raises Invalid when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(f"{variable}: {path}: {error.strerror}") from error


class Part(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Part of a file."""
