"""Builds the sample git repository catalog/sample-repos/agents-repo from the files in agents-repo.src beside it.

A bare repository cannot be kept inside another one, so its files are kept and the repository is made from them: always
with the same commit, as author, time and order are fixed. It is not touched when it is up to date. With `--check`
nothing is written, and the exit code says whether it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "catalog/sample-repos/agents-repo.src"
TARGET = ROOT / "catalog/sample-repos/agents-repo"
BRANCH = "refs/heads/main"
AUTHOR = "catalog-server <catalog@example.com> 1767225600 +0000"  # 2026-01-01, a Thursday
MESSAGE = "Agents of the delivery team"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when it is out of date")
    parser.add_argument("--target", type=Path, default=TARGET, help="where to build it")
    options = parser.parse_args()
    target: Path = options.target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".agents-repo-", dir=None if options.check else target.parent) as folder:
        built = Path(folder) / "repository"
        commit = build(built)
        if commit == read_commit(target):
            return 0
        if options.check:
            print(f"make_sample_repo: {target} is missing or out of date; run: python tools/make_sample_repo.py")
            return 1
        replace(built, target, commit)
    print(f"make_sample_repo: {target} at {commit}")
    return 0


def build(repository: Path) -> str:
    """Make a bare repository with one commit on `main`, and return that commit."""
    git(repository, "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(repository))
    git(repository, "symbolic-ref", "HEAD", BRANCH)
    git(repository, "fast-import", "--quiet", given=import_stream(SOURCE))
    return git(repository, "rev-parse", BRANCH)


def import_stream(source: Path) -> bytes:
    """All files below `source`, plain and not executable, as one commit in the words of git fast-import."""
    parts = [f"commit {BRANCH}\ncommitter {AUTHOR}\n".encode(), counted(MESSAGE.encode())]
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        parts += [f"M 100644 inline {path.relative_to(source).as_posix()}\n".encode(), counted(path.read_bytes())]
    return b"".join(parts)


def counted(data: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(data), data)


def read_commit(repository: Path) -> str | None:
    """The commit of an existing repository; None where there is none, or it is broken."""
    try:
        git(repository, "rev-parse", "--verify", f"{BRANCH}^{{tree}}")
        return git(repository, "rev-parse", BRANCH)
    except subprocess.CalledProcessError:
        return None


def replace(built: Path, target: Path, commit: str) -> None:
    shutil.rmtree(target, ignore_errors=True)
    try:
        built.rename(target)
    except OSError:
        if read_commit(target) != commit:  # it is fine when another process was faster
            raise


def git(repository: Path, *arguments: str, given: bytes = b"") -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", f"--git-dir={repository}", *arguments]
    done = subprocess.run(command, input=given, env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


if __name__ == "__main__":
    sys.exit(main())
