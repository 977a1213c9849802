"""Which files a source may read, where a relative path starts, and reading them within bounds.

For: every path that stands in a source's properties. A path is resolved first (symlinks too) and then must lie inside
one of the data roots, so that neither `..` nor a link leads out.
Not for: paths that the operator gives on the command line; those are trusted.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from catalog_server.errors import Invalid, TooLarge

READ_MAX_BYTES: Final = 10 * 1024 * 1024
WRITE_MAX_BYTES: Final = 1024 * 1024
_LONGEST_PATH: Final = 4096  # as in the kernel; each part of the path costs a look at the disk
_IMAGE_ROOTS: Final = (Path("/plugins"), Path("/sample-repos"))
_UNFIT_CATEGORIES: Final = ("Cc", "Cs")  # control characters; lone surrogates, which no file name can hold


@dataclass(frozen=True, slots=True)
class Roots:
    """The directories that data may come from. They need not exist yet: volumes may be mounted later."""

    paths: tuple[Path, ...]
    closed: tuple[Path, ...] = ()
    """Inside of the roots, and yet for no source: the server's own files, which hold the secrets of all sources."""

    def contain(self, resolved: Path) -> bool:
        """Whether `resolved`, which holds no symlink any more, is one of the roots or lies below one."""
        if any(resolved.is_relative_to(os.path.realpath(path)) for path in self.closed):
            return False
        return any(resolved.is_relative_to(os.path.realpath(root)) for root in self.paths)


def default_roots(sources_file: Path, extra: Iterable[Path] = ()) -> Roots:
    """The roots beside `sources_file`, those of the container image, and the `extra` ones from the settings."""
    home = sources_file.absolute().parent
    beside = [home, home.parent / "plugins", home.parent / "sample-repos"]
    # A sources file in the root directory must not open the whole machine.
    safe = [path for path in beside if path != Path(path.anchor)]
    return Roots(tuple(dict.fromkeys([*safe, *_IMAGE_ROOTS, *(path.absolute() for path in extra)])))


def locate_path(value: str, *, origin: str, base: Path, roots: Roots) -> Path:
    """The real path that `value` leads to, which stands in a source that came from `origin`; it need not exist.

    A relative `value` starts at the directory of `origin`, or at `base` when the origin is no absolute file path (a
    ConfigMap, the API); never at the working directory. Raises Invalid with the code `path_outside_roots`; what lies
    outside the roots is not even looked at, so the answer does not tell whether it exists.
    """
    _check_characters(value)
    resolved = Path(os.path.realpath((folder_of(origin) or base.absolute()) / value))
    if not roots.contain(resolved):
        raise Invalid(f"the path {value[:200]!r} lies outside the data roots", code="path_outside_roots")
    return resolved


def folder_of(origin: str) -> Path | None:
    """The directory of a source's origin; None when that is no file (a ConfigMap, the API)."""
    return Path(origin).parent if os.path.isabs(origin) else None


def resolve_path(
    value: str, *, origin: str, base: Path, roots: Roots, want: Literal["file", "directory"] = "file"
) -> Path:
    """Like locate_path, for a file or directory that exists. Raises Invalid also with the code `path_missing`."""
    resolved = locate_path(value, origin=origin, base=base, roots=roots)
    try:
        mode = os.stat(resolved).st_mode
    except OSError as error:
        raise _missing(value, error.strerror or "cannot be read") from error
    if not (stat.S_ISREG(mode) if want == "file" else stat.S_ISDIR(mode)):
        raise _missing(value, f"is not a {'regular file' if want == 'file' else 'directory'}")
    return resolved


def read_file(path: Path, max_bytes: int = READ_MAX_BYTES) -> bytes:
    """The bytes of a regular file, at most `max_bytes`. Raises Invalid (`path_missing`) or TooLarge.

    The check is made on the open file: whatever the name pointed to earlier, a FIFO or a device never blocks us.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise _missing(path.name, error.strerror or "cannot be read") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _missing(path.name, "is not a regular file")
        data = _read_at_most(descriptor, max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise TooLarge(f"the file {path.name!r} has more than {max_bytes} bytes", code="content_too_large")
    return data


def _read_at_most(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes; the file may grow or shrink meanwhile, so its stated size is only a first guess."""
    # In one piece where that works: the kernel copies while other threads run, joining pieces would keep them out.
    portion = min(size, max(os.fstat(descriptor).st_size + 1, 1 << 16))
    chunks = []
    while size > 0 and (chunk := os.read(descriptor, min(size, portion))):
        chunks.append(chunk)
        size -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_characters(value: str) -> None:
    if not value.strip():
        raise _missing(value, "is empty")
    if len(value) > _LONGEST_PATH:
        raise _missing(value, f"is longer than {_LONGEST_PATH} characters")
    if any(unicodedata.category(character) in _UNFIT_CATEGORIES for character in value):
        raise Invalid(f"the path {value[:200]!r} holds control characters", code="path_outside_roots")


def _missing(value: str, problem: str) -> Invalid:
    return Invalid(f"the path {value[:200]!r}: {problem}", code="path_missing")
