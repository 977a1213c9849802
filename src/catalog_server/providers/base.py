"""The role of a provider: fetch the files of a source into memory, within limits. It parses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file. `shown` is what messages and provenance call it."""

    shown: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Missed:
    """A part of a source that could not be fetched although the rest could.

    `names` is a glob (sources/globs.py) over entity names: what is stored under them stays.
    """

    names: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a source. `commit_sha` where they come from a repository."""

    files: tuple[FetchedFile, ...]
    commit_sha: str | None = None
    missed: tuple[Missed, ...] = ()


class FileAccess(Protocol):
    """The only door to local files: paths are checked against the data roots behind it."""

    def locate(self, value: str) -> Path:
        """The real path of a source's file, which need not exist. Raises Invalid when it is outside the roots."""
        ...

    def resolve(self, value: str) -> Path:
        """The real path of a source's file. Raises Invalid when it is outside the roots or missing."""
        ...

    def resolve_folder(self, value: str) -> Path:
        """The real path of a folder, such as a repository. Raises Invalid when it is outside the roots or missing."""
        ...

    def read(self, path: Path) -> bytes:
        """The content, up to the size limit. Raises Invalid or TooLarge."""
        ...

    def check(self) -> None:
        """Call it while waiting, at least once a second: it raises when the fetch is to be given up.

        What it raises is no Exception, and passes through every handler of errors; only clean up on the way.
        """
        ...


class Provider(Protocol):
    """Fetches the files of one source. References to secrets in `properties` are resolved before."""

    is_remote: bool
    """Whether a fetch may take longer than reading a file."""
    takes_globs: bool
    """Whether it applies the source's globs itself; they then come as `includedModels` and `excludedModels`."""

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        """Judge the properties without fetching anything. Raises Invalid."""
        ...

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        """Fetch all files of the source.

        Raises:
            Invalid: the properties or the files are wrong.
            Unavailable: a remote cannot be reached.
            RateLimited: a remote wants to be asked later.
        """
        ...

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        """Local files whose change means that the source changed."""
        ...

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        """How often the source wants to be fetched; None: only on request, or when a watched file changes.

        Raises:
            Invalid: the interval is no duration.
        """
        ...
