"""Shows that the image can be built without a compiler: every runtime dependency in uv.lock has a wheel for Alpine.

For each machine of `MACHINES` there must be a wheel for any platform, or one for musl libc, that CPython 3.12 takes.
One line per package that lacks it, and exit code 1. Tags and markers are judged by `packaging`, as pip does.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
PYTHON = (3, 12)
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Docker's name: that of wheels
_MUSL = ("1_2", "1_1")  # as in Dockerfile.catalog-server


def main() -> int:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    faults = list(missing(lock, requirements()))
    print("\n".join(faults) or f"wheels for {', '.join(MACHINES)}: all there")
    return 1 if faults else 0


def requirements() -> list[Requirement]:
    """What deploy/requirements.txt installs, without the hashes."""
    lines = (ROOT / "deploy/requirements.txt").read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]


def missing(lock: dict[str, Any], wanted: list[Requirement]) -> Iterator[str]:
    """One line for each package and machine for which there is no wheel."""
    locked = {
        (one["name"], one.get("version")): [wheel["url"] for wheel in one.get("wheels", ())] for one in lock["package"]
    }
    for docker_name, machine in MACHINES.items():
        tags, environment = tags_of(machine), environment_of(machine)
        for requirement in wanted:
            if requirement.marker is not None and not requirement.marker.evaluate(environment):
                continue
            wheels = locked[requirement.name, str(requirement.specifier).removeprefix("==")]
            if not any(tags & parse_wheel_filename(url.rpartition("/")[2])[3] for url in wheels):
                yield f"{requirement.name}: no wheel for {docker_name}"


def tags_of(machine: str) -> set[Tag]:
    """The tags that pip takes with the options of the Dockerfile."""
    platforms = [f"musllinux_{version}_{machine}" for version in _MUSL]
    return {*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, "cp312", platforms)}


def environment_of(machine: str) -> dict[str, str]:
    """What markers are judged by, for CPython 3.12 on Linux."""
    return {
        "implementation_name": "cpython",
        "implementation_version": "3.12.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": "3.12.0",
        "python_version": "3.12",
        "sys_platform": "linux",
    }


if __name__ == "__main__":
    sys.exit(main())
