"""promtool, Prometheus' own checker of metrics: that of the machine, else out of its Debian package, not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def find_promtool(folder: Path) -> str:
    """The program. The test is skipped, with the reason, where there is none and no Debian package can be had."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("promtool is not installed, and this is no Debian to take it from")
    fetched = _run("apt-get", "download", "--quiet", "prometheus", cwd=folder)
    if fetched.returncode != 0:
        pytest.skip(f"promtool is not installed, and its package cannot be fetched: {fetched.stderr.strip()}")
    (package,) = folder.glob("prometheus_*.deb")
    assert _run("dpkg-deb", "-x", str(package), "unpacked", cwd=folder).returncode == 0
    return str(folder / "unpacked/usr/bin/promtool")


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
