"""A bare copy of one remote repository: brings over one revision, and reads files out of its objects.

Nothing is ever checked out, so there is no work tree, no link to follow, no filter and no hook to run. A mirror is only
a cache: whoever finds it damaged deletes it and starts again.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog_server.errors import Invalid, TooLarge, Unavailable
from catalog_server.providers.base import FetchedFile
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.git_command import GitCommand, GitLimits
from catalog_server.providers.git_failures import GitFailed
from catalog_server.providers.git_source import Address, GitSource, Revision
from catalog_server.providers.path_globs import PathGlobs

_LOCK_LOOK_SECONDS: Final = 0.02
_MOST_PACKS: Final = 50  # one more with each change; then starting again is cheaper than tidying up
_MOST_LISTED_BYTES: Final = 16 * 1024 * 1024  # of refs
_ALL_HISTORY: Final = 2**31 - 1  # git's own word for it
_HEAD: Final = "ref: refs/heads/"
_LINK, _MODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    mode: str
    sha: str
    size: int


def mirror_folder(mirrors: Path, source: GitSource) -> Path:
    """One per repository: every fetch asks the remote first, so credentials need no part in the name."""
    text = f"{source.address.url}\0{source.is_shallow and source.revision.kind != 'commit'}"
    return mirrors / hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def lock_folder(folder: Path, deadline: Deadline) -> Iterator[Path]:
    """Make `folder`, and hold it against other threads and processes; yields a fresh folder `work` inside it.

    Raises:
        Unavailable: another fetch holds it until the deadline.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / "lock", "ab") as file:
        _lock(file.fileno(), deadline)
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)  # of a server that was killed; it may hold a key
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _lock(descriptor: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                deadline.look_up(_LOCK_LOOK_SECONDS)
            except TimeoutError:
                raise Unavailable("another fetch of the same repository does not end") from None
        else:
            return


class Mirror:
    """Use it only while its folder is locked. Every method may raise what GitCommand.run raises."""

    def __init__(self, folder: Path, git: GitCommand, limits: GitLimits) -> None:
        self._folder = folder
        self._packs = folder / "objects" / "pack"
        self._git = git
        self._limits = limits
        self.is_used = folder.exists()
        """Whether it was there already, so that a failure may be its own fault."""

    def delete(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self.is_used = False

    def bring(self, source: GitSource) -> str:
        """The commit that the wanted revision is now, brought here when it was not. The remote is always asked."""
        if not self._folder.exists():
            self._git.run("init", "--quiet", "--bare", "--template=", "--", str(self._folder))
        refs = self._list_remote(source.address, source.revision)
        return self._bring_commit(source) if source.revision.kind == "commit" else self._bring_ref(source, refs)

    def read(self, commit: str, globs: PathGlobs) -> tuple[FetchedFile, ...]:
        """The files of the commit that the globs match, in order of path."""
        listing = self._run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, most_bytes=self._limits.listing_bytes)
        taken = [entry for entry in _parse_listing(listing) if entry.mode != _MODULE and globs.match(entry.path)]
        self._check(taken)
        given = "".join(f"{entry.sha}\n" for entry in taken).encode()
        room = self._limits.total_bytes + 200 * len(taken)
        output = self._run("cat-file", "--batch", stdin=given, most_bytes=room)
        return tuple(_parse_contents(output, taken))

    def _check(self, taken: list[_Entry]) -> None:
        """Against the limits, before anything is read."""
        field, limits = "properties.path", self._limits
        if not taken:
            raise Invalid("no file of the repository matches 'path'", field=field, code="no_files")
        if len(taken) > limits.file_count:
            problem = f"'path' matches {len(taken)} files, more than the limit of {limits.file_count}"
            raise TooLarge(problem, field=field, code="too_many_files")
        for entry in taken:
            if entry.mode == _LINK:
                problem = f"the file {shown(entry.path)} is a symbolic link, and links are not followed"
                raise Invalid(problem, field=field, code="symlink_refused")
            if entry.size > limits.file_bytes:
                problem = f"the file {shown(entry.path)} has more than {limits.file_bytes} bytes"
                raise TooLarge(problem, field=field, code="content_too_large")
        if sum(entry.size for entry in taken) > limits.total_bytes:
            problem = f"the files that 'path' matches have more than {limits.total_bytes} bytes together"
            raise TooLarge(problem, field=field, code="content_too_large")

    def _list_remote(self, address: Address, revision: Revision) -> Mapping[str, str]:
        """Name of ref -> what it points to; `ref: …` for HEAD where the remote says which branch it is."""
        patterns = {
            "branch": ("HEAD", f"refs/heads/{revision.name}"),
            "tag": (f"refs/tags/{revision.name}", f"refs/tags/{revision.name}^{{}}"),
            "commit": ("HEAD",),  # only to see whether we may still read there
        }[revision.kind]
        arguments = ("ls-remote", "--quiet", "--symref", *_remote_options(address), "--", address.url, *patterns)
        output = self._run(*arguments, is_remote=True, most_bytes=_MOST_LISTED_BYTES)
        found: dict[str, str] = {}
        for line in output.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            found.setdefault(name, value)
        return found

    def _bring_ref(self, source: GitSource, refs: Mapping[str, str]) -> str:
        revision = source.revision
        remote_ref = f"refs/{'heads' if revision.kind == 'branch' else 'tags'}/{revision.name}"
        wanted = refs.get(f"{remote_ref}^{{}}", refs.get(remote_ref))
        if wanted is None:
            head = refs.get("HEAD", "")
            hint = f"; the default branch is {head[len(_HEAD) :][:80]!r}" if head.startswith(_HEAD) else ""
            problem = f"the repository has no {revision.kind} {revision.name!r}{hint}"
            raise Invalid(problem, field=f"properties.{revision.kind}", code="revision_missing")
        local_ref = _local_ref(remote_ref)
        if self._find_commit(local_ref) == wanted:
            return wanted
        self._fetch(source, f"+{remote_ref}:{local_ref}", depth=1 if source.is_shallow else None)
        return self._require_commit(local_ref, revision)

    def _bring_commit(self, source: GitSource) -> str:
        revision = source.revision
        found = self._find_commit(revision.name)
        if found is not None:
            return found
        if not revision.is_full_commit:
            self._fetch_history(source)
            return self._require_commit(revision.name, revision)
        try:
            refspec = f"+{revision.name}:{_local_ref(revision.name)}"
            self._fetch(source, refspec, depth=1 if source.is_shallow else None)
        except Invalid as error:
            if error.code != "revision_missing":
                raise
            self._fetch_history(source)  # an older server gives only what a ref points to
        return self._require_commit(revision.name, revision)

    def _fetch_history(self, source: GitSource) -> None:
        refspecs = ("+refs/heads/*:refs/catalog/heads/*", "+refs/tags/*:refs/catalog/tags/*")
        is_cut = (self._folder / "shallow").exists()
        self._fetch(source, "--prune", *refspecs, depth=_ALL_HISTORY if is_cut else None)

    def _fetch(self, source: GitSource, *refspecs: str, depth: int | None) -> None:
        if self.is_used and len(list(self._packs.glob("*.pack"))) >= _MOST_PACKS:
            raise GitFailed("the mirror has too many packs")
        options = [one for one in refspecs if one.startswith("--")]
        if depth is not None:
            options.append(f"--depth={depth}")
        self._remove_left_overs()
        try:
            self._run(
                *("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"),
                *(*options, *_remote_options(source.address), "--", source.address.url),
                *(one for one in refspecs if not one.startswith("--")),
                is_remote=True,
                watched=(self._folder, self._limits.repository_bytes),
            )
        finally:
            self._remove_left_overs()

    def _remove_left_overs(self) -> None:
        """Unfinished packs of a git, or of a whole server, that was killed. Nobody else writes here."""
        for path in self._packs.glob("tmp_*"):
            with suppress(OSError):
                path.unlink()

    def _find_commit(self, name: str) -> str | None:
        try:
            return self._run("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}").decode().strip()
        except GitFailed:
            return None

    def _require_commit(self, name: str, revision: Revision) -> str:
        try:
            return self._run("rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()
        except GitFailed as error:
            if self.is_used and revision.kind != "commit":
                raise  # the remote has it, so it may be the mirror that is damaged
            is_several = "ambiguous" in str(error)
            problem = "begins more than one commit" if is_several else f"is no {revision.kind} with files"
            code = "revision_ambiguous" if is_several else "revision_missing"
            field = f"properties.{revision.kind}"
            raise Invalid(f"{revision.name!r} {problem}", field=field, code=code) from error

    def _run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        most_bytes: int = 4096,
        is_remote: bool = False,
        watched: tuple[Path, int] | None = None,
    ) -> bytes:
        return self._git.run(
            f"--git-dir={self._folder}",
            *arguments,
            stdin=stdin,
            most_bytes=most_bytes,
            is_remote=is_remote,
            watched=watched,
        )


def _remote_options(address: Address) -> tuple[str, ...]:
    """The folder that was checked, and not one beside it that git would try as well."""
    return ("--upload-pack=git-upload-pack --strict",) if address.protocol == "file" else ()


def _local_ref(name: str) -> str:
    """A name that no remote can make clash with another one."""
    return f"refs/catalog/{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _parse_listing(listing: bytes) -> Iterator[_Entry]:
    for line in listing.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, sha, size = about.decode().split()
        yield _Entry(path.decode(errors="surrogateescape"), mode, sha, 0 if size == "-" else int(size))


def _parse_contents(output: bytes, entries: list[_Entry]) -> Iterator[FetchedFile]:
    """Raises GitFailed when an object is missing or is not what its name says: the disk lost something."""
    position = 0
    for entry in entries:
        header = b"%s blob %d\n" % (entry.sha.encode(), entry.size)
        start, end = position + len(header), position + len(header) + entry.size
        data = output[start:end]
        digest = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
        digest.update(data)
        if output[position:start] != header or digest.hexdigest() != entry.sha:
            raise GitFailed("an object of the mirror is damaged")
        yield FetchedFile(shown(entry.path), data)
        position = end + 1


def shown(path: str) -> str:
    """The path in printable characters, whatever bytes the repository has for it."""
    text = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
