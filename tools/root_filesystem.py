"""Follows the steps of Dockerfile.catalog-server without a container engine, and starts what they make.

    python tools/root_filesystem.py build FOLDER                the stages, one folder each, from the Dockerfile itself
    python tools/root_filesystem.py run [--read-only] FOLDER ARGUMENTS...       the entry point
    python tools/root_filesystem.py exec [--read-only] FOLDER COMMAND...        another command

Needs root and Linux. COPY, RUN, ENV, ARG, WORKDIR and USER are carried out as written, in a chroot; `run` and `exec`
take the environment and the user of the image. What this cannot show is Alpine: the programs below /usr are those of
this machine, mounted read-only, and a few words of RUN lines are replaced for that. They stand in `REPLACED`, and
nothing else differs. `--read-only` mounts the root file system read-only, with empty folders where
deploy/catalog-server/deployment.yaml mounts some.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile.catalog-server"

# What is written -> what is done here. Each must occur, so that this table cannot outlive what it is about.
REPLACED = {
    r"apk add --no-cache [^&]+": "command -v git python3 > /dev/null ",  # the machine's own
    r"adduser -D -u 65532 nonroot": "groupadd -g 65532 nonroot && useradd -m -u 65532 -g nonroot nonroot",
    r"apk --print-arch": "uname -m",
    r"--python-version 3\.12": '--python-version "$(python3 -c "import platform; print(platform.python_version())")"',
    r'"musllinux_1_2_\$\{machine\}"': '"manylinux_2_28_${machine}" --platform "manylinux_2_27_${machine}"',
    r'"musllinux_1_1_\$\{machine\}"': '"manylinux_2_17_${machine}" --platform "manylinux2014_${machine}"',
}
# From this machine, read-only. All else is made by the steps, or stands in `_make_base`.
_MOUNTED = ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/libexec", "usr/share", "etc/ssl", "etc/alternatives")
_FILES = ("etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf", "etc/ld.so.cache", "etc/login.defs", "etc/pip.conf")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FOLDERS = ("dev", "proc", "tmp", "home", "root", "var", "usr/local/bin")
# As .dockerignore leaves out.
_IGNORED = ("__pycache__", "agents-repo")
_WRITABLE = ("/var/lib/catalog-server", "/tmp")
# Variables of the environment that reach the server, as with `docker run --env`.
_PASSED = ("CATALOG_", "DATABASE_", "KUBERNETES_", "POD_")
# $1 the root, $2 folders that are mounted, $3 folders that are writable in a read-only root (empty: all is writable)
_ENTER = """
set -e
root=$1 mounted=$2 writable=$3
shift 3
mount --bind "$root" "$root"
for folder in $mounted; do
    mount --bind "/$folder" "$root/$folder"
    mount -o remount,bind,ro "$root/$folder"
done
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
if [ -n "$writable" ]; then
    mount -o remount,bind,ro "$root"
    for folder in $writable; do mount -t tmpfs -o mode=1777 tmpfs "$root$folder"; done
fi
exec "$@"
"""


@dataclass
class Stage:
    """A stage of the Dockerfile: its folder, and what its instructions have set so far."""

    root: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    arguments: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)

    def command(self, arguments: list[str], environ: dict[str, str], *, read_only: bool = False) -> list[str]:
        """What runs these arguments inside."""
        names = {line.split(":")[0]: line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines()}
        account = names[self.user]
        variables = [f"{name}={value}" for name, value in {"HOME": account[5], **self.environ, **environ}.items()]
        mounted = [folder for folder in _MOUNTED if (self.root / folder).is_dir()]
        enter = ["unshare", "--mount", "sh", "-c", _ENTER, "enter", str(self.root), " ".join(mounted)]
        enter.append(" ".join(_WRITABLE) if read_only else "")
        enter += ["chroot", f"--userspec={account[2]}:{account[3]}", "--groups=", str(self.root)]
        return [*enter, "env", "-i", f"--chdir={self.directory}", *variables, *arguments]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build").add_argument("folder", type=Path)
    for verb in ("run", "exec"):
        inside = verbs.add_parser(verb)
        inside.add_argument("--read-only", action="store_true")
        inside.add_argument("folder", type=Path)
        inside.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.verb == "build":
        build(options.folder)
        return 0
    stage = load(options.folder)
    words = [*(stage.entrypoint if options.verb == "run" else ()), *options.arguments]
    variables = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
    command = stage.command(words, variables, read_only=options.read_only)
    os.execvp(command[0], command)  # so that signals reach it


def load(folder: Path) -> Stage:
    """The last stage of what `build` has made."""
    found = json.loads((folder / "image.json").read_text())
    return Stage(**{**found, "root": folder.absolute() / found["root"]})


def build(folder: Path) -> None:
    """Follow the Dockerfile. Raises ValueError for an instruction that this does not know, or a stale `REPLACED`."""
    text = DOCKERFILE.read_text()
    stale = [pattern for pattern in REPLACED if not re.search(pattern, text)]
    if stale:
        raise ValueError(f"REPLACED: not in {DOCKERFILE.name}: {stale}")
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for instruction, rest in instructions(text):
        if instruction == "FROM":
            name = rest.rpartition(" AS ")[2] if " AS " in rest else "image"
            stage = stages[name] = Stage(folder.absolute() / name)
            _make_base(stage.root)
        else:
            _follow(stage, stages, instruction, rest)
    kept: dict[str, Any] = {**vars(stage), "root": stage.root.name}
    (folder / "image.json").write_text(json.dumps(kept))


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and the rest of it, in order; comments are gone, continued lines are one."""
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    parts = (line.partition(" ") for line in lines.replace("\\\n", " ").splitlines())
    return [(instruction, rest.strip()) for instruction, _, rest in parts]


def _make_base(root: Path) -> None:
    """In the place of `alpine:3.21`."""
    for name in (*_FOLDERS, *(one for one in _MOUNTED if Path("/", one).is_dir())):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    for name in _FILES:
        if Path("/", name).is_file():
            shutil.copy(Path("/", name), root / name)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def _follow(stage: Stage, stages: dict[str, Stage], instruction: str, rest: str) -> None:
    if instruction == "COPY":
        _copy(stage, stages, shlex.split(rest))
    elif instruction == "RUN":
        _run(stage, rest)
    else:
        _set(stage, instruction, rest)


def _set(stage: Stage, instruction: str, rest: str) -> None:
    match instruction:
        case "ARG":
            name, has_default, value = rest.partition("=")
            stage.arguments |= {name: value} if has_default else {}
        case "ENV":
            stage.environ |= dict(word.split("=", 1) for word in shlex.split(rest))
        case "WORKDIR":
            stage.directory = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "EXPOSE" | "HEALTHCHECK":  # for engines only
            pass
        case _:
            raise ValueError(f"{DOCKERFILE.name}: {instruction} is not known here")


def _run(stage: Stage, line: str) -> None:
    for pattern, replacement in REPLACED.items():
        line = re.sub(pattern, replacement, line)
    subprocess.run(stage.command(["/bin/sh", "-c", line], stage.arguments), check=True)


def _copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    start, ignore = ROOT, shutil.ignore_patterns(*_IGNORED)
    if words[0].startswith("--from="):
        start, ignore = stages[words.pop(0).removeprefix("--from=")].root, shutil.ignore_patterns()
    *sources, target = words
    place = stage.root / os.path.join(stage.directory, target).lstrip("/")
    found = [path for source in sources for path in sorted(start.glob(source.strip("/")))]
    if not found:
        raise ValueError(f"{DOCKERFILE.name}: COPY {' '.join(words)}: there is no such file")
    for path in found:
        if path.is_dir():
            shutil.copytree(path, place, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        else:
            goal = place / path.name if target.endswith("/") else place
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, goal)


if __name__ == "__main__":
    sys.exit(main())
