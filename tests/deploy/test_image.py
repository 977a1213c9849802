"""Dockerfile.catalog-server as far as it can be read; tests/e2e/test_image.py follows its steps."""

from __future__ import annotations

import re
import runpy
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.manifests import ROOT
from tests.deploy.settings import unknown_flags, unknown_variables

DOCKERFILE = (ROOT / "Dockerfile.catalog-server").read_text()
RUNTIME = DOCKERFILE.rpartition("\nFROM ")[2]
TOOLS = ROOT / "tools"


def run_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOOLS / name, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_wheels_then_there_for_alpine_on_both_machines() -> None:
    done = run_tool("check_wheels.py")
    assert done.returncode == 0, done.stdout


def test_wheels_when_one_is_missing_then_told() -> None:
    tool = runpy.run_path(str(TOOLS / "check_wheels.py"))
    base = "https://files.example/thing-1.0-cp312-cp312"
    wheels = [{"url": f"{base}-musllinux_1_2_x86_64.whl"}, {"url": f"{base}-manylinux_2_28_aarch64.whl"}]
    lock = {"package": [{"name": "thing", "version": "1.0", "wheels": wheels}]}
    assert list(tool["missing"](lock, [Requirement("thing==1.0")])) == ["thing: no wheel for arm64"]
    assert list(tool["missing"](lock, [Requirement("thing==1.0; sys_platform == 'win32'")])) == []


def test_runtime_then_alpine_and_nobody_in_particular() -> None:
    assert RUNTIME.startswith("alpine:3.21\n")
    assert "adduser -D -u 65532 nonroot" in RUNTIME
    assert "\nUSER nonroot\nEXPOSE 8080\n" in RUNTIME
    assert RUNTIME.endswith('\nENTRYPOINT ["/catalog-server"]\n')
    assert "\nWORKDIR /\n" in RUNTIME
    assert re.findall(r"^ARG (\w+)", DOCKERFILE, re.M) == ["TARGETOS", "TARGETARCH", "SOURCE_DATE_EPOCH"]
    assert "FROM --platform=$BUILDPLATFORM" in DOCKERFILE


def test_runtime_then_holds_no_tool_of_the_build() -> None:
    added = re.findall(r"apk add --no-cache ([^&]+)", RUNTIME)
    assert [re.sub(r"~=\S+", "", one).split() for one in added] == [["ca-certificates", "git", "python3"]]


def test_git_then_trusts_the_sample_repository_only() -> None:
    assert re.findall(r"safe\.directory (\S+)", DOCKERFILE) == ["/sample-repos/agents-repo"]


def test_health_check_then_that_of_compose() -> None:
    assert 'CMD ["/usr/local/bin/healthcheck", "http://localhost:8080/readyz"]' in RUNTIME
    assert "--interval=10s --timeout=5s --start-period=30s --retries=5" in RUNTIME


def test_variables_then_known() -> None:
    names = re.findall(r"\b(CATALOG_\w+|DATABASE_\w+)=", RUNTIME)
    assert names == ["CATALOG_DATA_DIR"]
    assert unknown_variables(names) == set()


def test_launchers_then_one_for_each_script(tmp_path: Path) -> None:
    assert run_tool("make_launchers.py", str(tmp_path)).returncode == 0
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {path.name for path in tmp_path.iterdir()} == scripts.keys()
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o755 for path in tmp_path.iterdir())
    for path in tmp_path.iterdir():
        compile(path.read_text(), path.name, "exec")


@pytest.mark.parametrize("arguments", [[], ["ftp://localhost/"], ["http://localhost:1/"]])
def test_health_check_launcher_then_needs_the_standard_library_only(tmp_path: Path, arguments: list[str]) -> None:
    run_tool("make_launchers.py", str(tmp_path))
    done = subprocess.run([tmp_path / "healthcheck", *arguments], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(("usage: healthcheck", "healthcheck failed: "))
    assert len(done.stderr.splitlines()) == 1


def test_ignored_files_then_all_but_what_is_copied() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word.rstrip("/") for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M) for word in line.split()
    }
    assert kept == copied
    assert all((ROOT / path).exists() for path in kept)


def test_unknown_flag_then_noticed() -> None:
    assert unknown_flags(["--listen=:8080", "--no-such=1"]) == {"--no-such"}
