"""The `git` provider: files of one revision of a repository, local or remote (spec plugins.md 3.3).

A fetch asks the remote where the revision is, brings it into a bare mirror when it is not there yet, and reads the
wanted files out of the mirror's objects. `git_source.py` says what a source may ask for, `git_command.py` how git is
kept on a leash, `git_mirror.py` what is done with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog_server.errors import TooLarge, Unavailable
from catalog_server.providers.base import Fetched, FileAccess
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.git_command import PROTOCOLS, GitCommand, GitLimits, GitProgram
from catalog_server.providers.git_failures import GitFailed
from catalog_server.providers.git_mirror import Mirror, lock_folder, mirror_folder
from catalog_server.providers.git_source import GitSource, find_local_repository, read_git_source
from catalog_server.providers.properties import sync_interval

__all__ = ["PROTOCOLS", "GitLimits", "GitProgram", "GitProvider"]


class GitProvider:
    """Safe to call from several threads and processes that share `mirrors`, a folder of which nothing else is used.

    `protocols` beyond PROTOCOLS: `http`, which shows passwords to the network.
    """

    is_remote = True
    takes_globs = False

    def __init__(
        self,
        mirrors: Path,
        limits: GitLimits | None = None,
        *,
        protocols: Collection[str] = PROTOCOLS,
        program: GitProgram | None = None,
    ) -> None:
        self._mirrors = mirrors.absolute()
        self._limits = limits or GitLimits()
        self._protocols = frozenset(protocols)
        self._program = program or GitProgram()

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        self._read(properties, files)

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        source = self._read(properties, files)
        deadline = Deadline.after(source.timeout_seconds, files.check)
        folder = mirror_folder(self._mirrors, source)
        try:
            with lock_folder(folder, deadline) as work:
                git = GitCommand(work, source, self._program, deadline)
                return self._fetch(Mirror(folder / "repository.git", git, self._limits), source)
        except GitFailed as error:
            raise Unavailable(f"git failed: {error}", retry_after_seconds=60) from error
        except OSError as error:
            # Without the path, which is no business of a client. The cause has it.
            problem = error.strerror or type(error).__name__
            raise Unavailable(f"the folder for mirrors of repositories cannot be used: {problem}") from error

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        repository = find_local_repository(properties, files)
        return () if repository is None else (repository,)

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        return sync_interval(properties)

    def _read(self, properties: Mapping[str, Any], files: FileAccess) -> GitSource:
        return read_git_source(
            properties, files, protocols=self._protocols, timeout_seconds=self._limits.timeout_seconds
        )

    @staticmethod
    def _fetch(mirror: Mirror, source: GitSource) -> Fetched:
        """A mirror that is damaged, or has grown too large with time, gets one new start."""
        while True:
            try:
                commit = mirror.bring(source)
                return Fetched(mirror.read(commit, source.globs), commit)
            except (GitFailed, TooLarge) as error:
                if isinstance(error, TooLarge) and error.code != "repository_too_large":
                    raise
                was_used = mirror.is_used
                mirror.delete()
                if not was_used:
                    raise
