"""The disk is full when the configuration is to be saved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.managed import Folder, local, skills


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Folder]:
    """A folder `config` of 256 KiB, which root can mount."""
    folder = Folder(tmp_path)
    place = tmp_path / "config"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_apply_when_the_disk_is_full_then_refused_and_everything_is_as_before(small_disk: Folder) -> None:
    file = small_disk.catalog("one.yaml", "one")
    small_disk.write(local("a", "one.yaml"))
    before = (small_disk.sources.read_bytes(), file.read_bytes())
    ballast = small_disk.root / "config/ballast"
    with small_disk.server() as managed:
        _fill(ballast)
        for source in (local("b", "one.yaml"), _with_content(skills(*(f"name-{number}" for number in range(500))))):
            answer = managed.apply(source)
            assert answer.status_code == 503, answer.text
            assert "No space left" in answer.json()["message"]
            assert (small_disk.sources.read_bytes(), file.read_bytes()) == before
            assert small_disk.leftovers() == []
        assert managed.names() == ["one"]
        assert managed.source("b") == {}
        assert managed.server.readiness()[0] == 200
        assert managed.config_error() == ""
        ballast.unlink()
        managed.applied(local("b", "one.yaml"))
        assert managed.names() == ["one", "one"]
        assert set(small_disk.configured()) == {"a", "b"}


def _with_content(text: str) -> dict[str, object]:
    source = local("a", "one.yaml")
    return {**source, "properties": {**source["properties"], "content": text}}


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return
