"""A git provider with everything that a test of it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.configuration import Files
from catalog_server.errors import Invalid
from catalog_server.providers.base import Fetched
from catalog_server.providers.git import PROTOCOLS, GitLimits, GitProgram, GitProvider
from catalog_server.sources.paths import Roots
from tests.repositories import Repository

A, B = "agents: [{name: a}]\n", "agents: [{name: b}]\n"


class GitBench:
    """A folder of repositories, the sources file beside it, and a provider with a folder for its mirrors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "repositories"
        self.mirrors = folder / "mirrors"
        self.root.mkdir(exist_ok=True)
        self.provider = self.build()

    def build(self, program: GitProgram | None = None, **limits: Any) -> GitProvider:
        return GitProvider(
            self.mirrors,
            GitLimits(**{"timeout_seconds": 20.0} | limits),
            protocols=PROTOCOLS | {"http"},
            program=program,
        )

    def repository(self, files: Any = None, name: str = "r.git") -> Repository:
        return Repository.create(self.root / name, {"a.yaml": A} if files is None else files)

    def fetch(self, url: str, provider: GitProvider | None = None, **properties: Any) -> Fetched:
        return (provider or self.provider).fetch({"repoUrl": url, **properties}, self.files)

    @property
    def files(self) -> Files:
        return Files(Roots((self.root,)), str(self.folder / "config/sources.yaml"), self.folder, 10**7)

    def refused(self, url: str, provider: GitProvider | None = None, **properties: Any) -> Invalid:
        with pytest.raises(Invalid) as caught:
            self.fetch(url, provider, **properties)
        return caught.value

    def kept(self) -> list[Path]:
        """All that is left on disk when no fetch is under way, but for the lock files."""
        return [path for path in self.mirrors.rglob("*") if path.is_file() and path.name != "lock"]

    def mirror(self) -> Path:
        (found,) = self.mirrors.glob("*/repository.git")
        return found
