"""Runs the git program as if it were hostile: bare environment, one deadline, bounded output, bounded disk.

For: every git process of the git provider. It reads no configuration of the machine, runs no hook, asks nobody, speaks
one protocol only, and is killed with all its children when it takes too long, writes too much, or is given up.
Not for: what the commands mean (git_mirror.py) and what their complaints mean (git_failures.py).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from catalog_server.errors import TooLarge, Unavailable
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.git_failures import GitFailed, explain_failure, sanitise
from catalog_server.providers.git_source import GitSource

PROTOCOLS: Final = frozenset({"https", "ssh", "file"})
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin"
_LOOK_SECONDS: Final = 0.05  # between looks at deadline and disk; a fast link writes a few MB meanwhile
_MOST_ERROR_BYTES: Final = 1024 * 1024
_CONFIG: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.bigFileThreshold=16m",  # larger blobs are streamed to disk, not unpacked in memory
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",  # one pack per fetch: few files, and its size can be watched
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "http.followRedirects=initial",
    "index.threads=1",
    "maintenance.auto=false",
    "pack.threads=1",
    "protocol.ext.allow=never",
    "transfer.bundleURI=false",
    "transfer.credentialsInUrl=die",
)
# The secret stands in the environment of git only. The helper is asked for one origin, so that a redirect to another
# host gets nothing; it also answers `store` and `erase`, with silence.
_HELPER: Final = (
    "!f() { if test \"$1\" = get; then printf 'username=%s\\npassword=%s\\n'"
    ' "$CATALOG_GIT_USERNAME" "$CATALOG_GIT_PASSWORD"; fi; }; f'
)
_SSH_OPTIONS: Final = (
    *("BatchMode=yes", "ConnectTimeout=15", "IdentitiesOnly=yes", "IdentityAgent=none", "LogLevel=ERROR"),
    *("PreferredAuthentications=publickey", "ForwardAgent=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"),
    *("ControlMaster=no", "ControlPath=none", "UpdateHostKeys=no"),
)


@dataclass(frozen=True, slots=True)
class GitLimits:
    """Bounds on one fetch."""

    repository_bytes: int = 100 * 1024 * 1024
    """On disk, packed."""
    total_bytes: int = 64 * 1024 * 1024
    """Of all taken files together, which are held in memory."""
    file_bytes: int = 32 * 1024 * 1024
    file_count: int = 2000
    listing_bytes: int = 32 * 1024 * 1024
    """Of the list of all files in the commit; room for some 300,000."""
    timeout_seconds: float = 60.0
    """For the whole fetch, unless the source gives its own `timeout`."""


@dataclass(frozen=True, slots=True)
class GitProgram:
    """What git is on this machine."""

    git: str = "git"
    ssh: str = "ssh"
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the bare environment: a proxy, a certificate bundle."""


class GitCommand:
    """Runs git for one fetch of one source. `folder` is private to it, exists, and is removed by the caller."""

    def __init__(self, folder: Path, source: GitSource, program: GitProgram, deadline: Deadline) -> None:
        self._folder = folder
        self._source = source
        self._program = program
        self._deadline = deadline
        self._environment = self._build_environment()
        self._secrets = self._build_secrets()
        self._options = [part for one in self._build_config() for part in ("-c", one)]

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        most_bytes: int = 1024 * 1024,
        watched: tuple[Path, int] | None = None,
        is_remote: bool = False,
    ) -> bytes:
        """The standard output of `git <arguments>`. `watched` is a folder and how large it may grow.

        Raises:
            Unavailable, Invalid: git failed for a reason that is known.
            TooLarge: the output or the watched folder is over its limit.
            GitFailed: git failed for another reason.
        """
        folder = self._folder
        with (
            tempfile.TemporaryFile(dir=folder) as given,
            tempfile.TemporaryFile(dir=folder) as output,
            tempfile.TemporaryFile(dir=folder) as complaints,
        ):
            given.write(stdin)
            given.seek(0)
            process = self._start(arguments, (given, output, complaints), is_remote)
            try:
                self._wait(process, ((output, most_bytes), (complaints, _MOST_ERROR_BYTES)), watched)
            finally:
                _end(process)
            if process.returncode != 0:
                raise self._failure(complaints, is_remote)
            output.seek(0)
            return output.read()

    def _start(
        self, arguments: Sequence[str], pipes: tuple[IO[bytes], IO[bytes], IO[bytes]], is_remote: bool
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - no shell; whatever a source gives stands behind `--`
                [self._program.git, *self._options, *arguments],
                stdin=pipes[0],
                stdout=pipes[1],
                stderr=pipes[2],
                env=self._environment | (self._secrets if is_remote else {}),
                cwd=self._folder,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Unavailable("the git program is not installed") from error

    def _wait(
        self,
        process: subprocess.Popen[bytes],
        outputs: Sequence[tuple[IO[bytes], int]],
        watched: tuple[Path, int] | None,
    ) -> None:
        """Return when git has ended by itself and within its bounds."""
        while True:
            try:
                seconds = self._deadline.slice(_LOOK_SECONDS)
            except TimeoutError:
                raise Unavailable(f"the fetch did not end within {self._source.timeout_seconds:g} s") from None
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            for file, most_bytes in outputs:
                if os.fstat(file.fileno()).st_size > most_bytes:
                    raise TooLarge(f"git prints more than {most_bytes} bytes", code="content_too_large")
            if watched is not None and size_of(watched[0]) > watched[1]:
                raise TooLarge(
                    f"the repository takes more than {watched[1]} bytes on disk",
                    field="properties.repoUrl",
                    code="repository_too_large",
                )
            if process.returncode is not None:
                return

    def _failure(self, complaints: IO[bytes], is_remote: bool) -> Exception:
        complaints.seek(0)
        text = complaints.read().decode(errors="replace")
        source = self._source
        hidden = {source.address.url: source.given_url} if source.address.protocol == "file" else {}
        hidden[str(self._folder)] = "the mirror"
        hidden[str(self._folder.parent)] = "the mirror"
        reason = sanitise(text, source.credentials.secrets, hidden)
        known = explain_failure(text, reason, source) if is_remote else None
        return known or GitFailed(reason)

    def _build_environment(self) -> dict[str, str]:
        environment = {
            "PATH": _PATH,
            "HOME": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "LC_ALL": "C",  # git_failures reads the messages
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": self._source.address.protocol,
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
        }
        if self._source.address.protocol == "file":
            environment["GIT_CONFIG_GLOBAL"] = self._write("config", _safe_directory(self._source.address.url))
        if self._source.address.protocol == "ssh":
            environment |= {"GIT_SSH_COMMAND": self._build_ssh_command(), "GIT_SSH_VARIANT": "ssh"}
        return {**self._program.environment, **environment}

    def _build_ssh_command(self) -> str:
        """Names relative to the folder, which git runs in: ssh would expand some characters of a path."""
        credentials = self._source.credentials
        options = [*_SSH_OPTIONS]
        if credentials.known_hosts is None:
            # Trust the host that answers first, and refuse another one later.
            options += ["StrictHostKeyChecking=accept-new", "UserKnownHostsFile=../known_hosts"]
        else:
            self._write("known_hosts", credentials.known_hosts + "\n")
            options += ["StrictHostKeyChecking=yes", "UserKnownHostsFile=known_hosts", "GlobalKnownHostsFile=/dev/null"]
        if credentials.ssh_key is None:
            options.append("IdentityFile=none")
        else:
            # A file, because ssh closes the descriptors that it inherits.
            self._write("key", credentials.ssh_key.replace("\r\n", "\n") + "\n")
            options.append("IdentityFile=./key")
        return shlex.join([self._program.ssh, "-F", "/dev/null", *(part for one in options for part in ("-o", one))])

    def _build_secrets(self) -> dict[str, str]:
        credentials = self._source.credentials
        if credentials.password is None:
            return {}
        return {"CATALOG_GIT_USERNAME": credentials.username, "CATALOG_GIT_PASSWORD": credentials.password}

    def _build_config(self) -> list[str]:
        if self._source.credentials.password is None or not self._source.address.origin:
            return [*_CONFIG]
        return [*_CONFIG, f"credential.{self._source.address.origin}.helper={_HELPER}"]

    def _write(self, name: str, text: str) -> str:
        path = self._folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return str(path)


def size_of(folder: Path) -> int:
    """The bytes of all files below; some may vanish while we look."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _safe_directory(repository: str) -> str:
    """A mounted repository belongs to another user. Only a file tells so to the git process at the other end."""
    quoted = repository.replace("\\", "\\\\").replace('"', '\\"')
    return f'[safe]\n\tdirectory = "{quoted}"\n'


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group: transport helpers outlive a killed git."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
