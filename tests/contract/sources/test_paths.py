"""Paths of sources on a real disk: relative starts, symlinks, odd files, bounded reads."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from catalog_server.errors import Invalid, TooLarge
from catalog_server.sources.paths import Roots, default_roots, read_file, resolve_path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`<home>/config/sources.yaml`, `<home>/plugins/data.yaml`, and `<home>/secret.yaml` outside the roots."""
    for folder in ("config/sub", "plugins", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("config/sources.yaml", "config/sub/a.yaml", "plugins/data.yaml", "secret.yaml", "outside/b.yaml"):
        (tmp_path / file).write_text(file)
    return tmp_path.resolve()


def resolve(home: Path, value: str, origin: str | None = None) -> Path:
    sources = home / "config/sources.yaml"
    start = str(sources) if origin is None else origin
    return resolve_path(value, origin=start, base=home / "config", roots=default_roots(sources))


def code_of(home: Path, value: str, origin: str | None = None) -> str | None:
    with pytest.raises(Invalid) as caught:
        resolve(home, value, origin)
    assert str(home / "secret.yaml") not in caught.value.message or value.startswith("/")
    return caught.value.code


def test_relative_path_then_starts_at_origin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home / "outside")
    assert resolve(home, "sub/a.yaml") == home / "config/sub/a.yaml"
    assert resolve(home, "../plugins/data.yaml") == home / "plugins/data.yaml"
    assert resolve(home, "a.yaml", str(home / "config/sub/over.yaml")) == home / "config/sub/a.yaml"
    assert resolve(home, str(home / "plugins/data.yaml")) == home / "plugins/data.yaml"
    assert code_of(home, "b.yaml") == "path_missing"


@pytest.mark.parametrize("origin", ["configmap:ns/name[sources.yaml]", "", "relative/sources.yaml"])
def test_relative_path_when_origin_is_no_file_then_starts_at_base(home: Path, origin: str) -> None:
    assert resolve(home, "sub/a.yaml", origin) == home / "config/sub/a.yaml"


@pytest.mark.parametrize(
    "value",
    [
        *("../secret.yaml", "../nothing-here.yaml", "/etc/passwd", "sub/../../secret.yaml", "../plugins-evil/x", ".."),
        *("a\0b", "a\nb", "a\x1b[0m", "a\x85", "a\ud800"),
    ],
)
def test_path_that_leads_out_or_is_hostile_then_outside_roots(home: Path, value: str) -> None:
    assert code_of(home, value) == "path_outside_roots"


@pytest.mark.parametrize("value", ["none.yaml", "", "  ", "sub", ".", "sources.yaml/x", "x" * 5000, "x" * 300])
def test_path_that_is_no_regular_file_then_missing(home: Path, value: str) -> None:
    assert code_of(home, value) == "path_missing"


def test_symlink_inside_then_allowed_and_leading_out_then_refused(home: Path) -> None:
    (home / "config/inside.yaml").symlink_to("sub/a.yaml")
    (home / "config/escape.yaml").symlink_to(home / "secret.yaml")
    (home / "config/way-out").symlink_to(home / "outside")
    (home / "config/ring").symlink_to("ring")
    assert resolve(home, "inside.yaml") == home / "config/sub/a.yaml"
    assert code_of(home, "escape.yaml") == "path_outside_roots"
    assert code_of(home, "way-out/b.yaml") == "path_outside_roots"
    assert code_of(home, "ring") == "path_missing"


def test_root_that_is_a_symlink_then_followed(home: Path) -> None:
    (home / "mounted").symlink_to("outside")
    roots = Roots((home / "mounted",))
    found = resolve_path("b.yaml", origin=str(home / "mounted/sources.yaml"), base=home, roots=roots)
    assert found == home / "outside/b.yaml"


def test_directory_when_wanted_then_found(home: Path) -> None:
    roots = Roots((home / "config",))
    assert resolve_path("sub", origin="", base=home / "config", roots=roots, want="directory") == home / "config/sub"
    with pytest.raises(Invalid, match="not a directory"):
        resolve_path("sub/a.yaml", origin="", base=home / "config", roots=roots, want="directory")


def test_read_file_then_bytes_up_to_the_limit(home: Path) -> None:
    file = home / "config/big"
    file.write_bytes(b"x" * 3_000_000)
    assert len(read_file(file, 3_000_000)) == 3_000_000
    with pytest.raises(TooLarge) as caught:
        read_file(file, 2_999_999)
    assert caught.value.code == "content_too_large"


@pytest.mark.timeout(10)
def test_read_file_when_it_is_a_fifo_device_socket_or_directory_then_refused_at_once(home: Path) -> None:
    fifo, door = home / "config/fifo", home / "config/door"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(door))  # an absolute path may be too long for a socket
        for path in (fifo, door, Path("/dev/zero"), Path("/dev/null"), home / "config", home / "absent"):
            with pytest.raises(Invalid) as caught:
                read_file(path, 100)
            assert caught.value.code == "path_missing"
    assert code_of(home, "fifo") == "path_missing"


def test_read_file_when_refused_then_descriptor_is_closed(home: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(Invalid):
            read_file(home / "config", 100)
    assert len(os.listdir("/proc/self/fd")) == before
