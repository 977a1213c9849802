"""The file store on a real disk: crashes, full and read-only disks, links, modes, other processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalog_server.errors import Conflict, Invalid, TooLarge, Unavailable
from catalog_server.sources.stores.file import STEPS, FileStore
from catalog_server.sources.stores.history import KEPT
from tests.contract.stores.conftest import FIRST

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


def save(store: FileStore, data: bytes, **details: str) -> str:
    return store.save(data, store.load().version, **details)


def snapshots(path: Path) -> list[Path]:
    return sorted((path.parent / ".history").glob("*.yaml"))


def others(path: Path) -> list[str]:
    """Files beside the sources file that have no business there."""
    expected = {path.name, ".history", f".{path.name}.lock"}
    return [name for name in os.listdir(path.parent) if name not in expected]


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from catalog_server.sources.stores.file import FileStore
    path, step = Path(sys.argv[1]), sys.argv[2]
    def at_step(name):
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)
    store = FileStore(path, at_step=at_step)
    store.save(b"new", store.load().version, author="ann")
"""


@pytest.mark.parametrize("step", STEPS)
def test_save_when_killed_then_old_or_new_file_whole_and_the_next_save_works(sources_file: Path, step: str) -> None:
    save(FileStore(sources_file), b"old", author="bob")
    assert run_python(KILLED, sources_file, step).returncode == -signal.SIGKILL
    is_new = STEPS.index(step) >= STEPS.index("renamed")
    store = FileStore(sources_file)
    assert sources_file.read_bytes() == (b"new" if is_new else b"old")
    current = store.list_revisions()[0]
    assert (current.author, current.current) == ("ann" if is_new else "bob", True)
    hashes = [one.hash for one in store.list_revisions()]
    assert len(set(hashes)) == len(hashes)
    save(store, b"next", author="eve")
    assert others(sources_file) == []
    found = [store.read_revision(one.hash) for one in store.list_revisions()]
    assert found == [b"next", *([b"new"] if is_new else []), b"old", FIRST]
    assert len(list((sources_file.parent / ".history").iterdir())) == 2 * len(snapshots(sources_file)) + 1


RACER = """
    import sys
    from pathlib import Path
    from catalog_server.errors import Conflict
    from catalog_server.sources.stores.file import FileStore
    store, name = FileStore(Path(sys.argv[1])), sys.argv[2]
    won = 0
    print("ready", flush=True)
    sys.stdin.readline()
    while won < 20:
        stored = store.load()
        try:
            store.save(stored.data + name.encode(), stored.version)
            won += 1
        except Conflict:
            pass
"""


def test_save_when_two_processes_race_then_nothing_is_lost(sources_file: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(RACER), str(sources_file)]
    racers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.communicate("go\n", timeout=60)
        assert racer.returncode == 0
    assert sorted(sources_file.read_bytes().removeprefix(FIRST)) == sorted(b"ab" * 20)
    assert len(snapshots(sources_file)) == KEPT


def test_save_when_another_holds_the_lock_then_unavailable(sources_file: Path) -> None:
    inner: list[str] = []

    def at_step(name: str) -> None:
        if name == "locked":
            with pytest.raises(Unavailable, match="locked by another process"):
                save(FileStore(sources_file, lock_seconds=0.05), b"inner")
            inner.append(name)

    save(FileStore(sources_file, at_step=at_step), b"outer")
    assert inner == ["locked"]
    assert sources_file.read_bytes() == b"outer"


def test_changing_when_held_then_nobody_else_saves_in_between(sources_file: Path) -> None:
    store, other = FileStore(sources_file), FileStore(sources_file, lock_seconds=0.05)
    with store.changing():
        with pytest.raises(Unavailable, match="locked by another process"):
            save(other, b"other")
        save(store, b"first")
        with pytest.raises(Unavailable, match="locked by another process"):  # also after a save of one's own
            save(other, b"other")
        save(store, b"second")
    save(other, b"other")
    assert sources_file.read_bytes() == b"other"


def test_save_when_edited_by_hand_then_that_state_is_kept(sources_file: Path) -> None:
    store = FileStore(sources_file)
    save(store, b"second", author="ann")
    sources_file.write_bytes(b"by hand")
    with pytest.raises(Conflict):
        store.save(b"third", hashlib.sha256(b"second").hexdigest())
    save(store, b"third", author="bob")
    found = [(store.read_revision(one.hash), one.author) for one in store.list_revisions()]
    assert found == [(b"third", "bob"), (b"by hand", ""), (FIRST, "")]


def test_save_then_mode_and_owner_stay_and_history_is_not_more_open(sources_file: Path) -> None:
    sources_file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(sources_file, NOBODY, 12345)
    before = sources_file.stat()
    save(FileStore(sources_file), b"new")
    for path in (sources_file, *snapshots(sources_file)):
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_save_when_file_is_a_link_then_its_target_is_written(sources_file: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    link = links / "sources.yaml"
    link.symlink_to("../config/sources.yaml")
    store = FileStore(link)
    save(store, b"new")
    assert link.is_symlink()
    assert sources_file.read_bytes() == b"new"
    assert os.listdir(links) == ["sources.yaml"]
    assert len(store.list_revisions()) == 2


def test_history_then_names_in_order_and_of_the_former_server_too(sources_file: Path) -> None:
    history = sources_file.parent / ".history"
    history.mkdir()
    former = b"former"
    short = hashlib.sha256(former).hexdigest()[:8]
    (history / f"1900000000_{short}.yaml").write_bytes(former)
    (history / f"1900000001_{short}.yaml").write_bytes(b"damaged")
    (history / "notes.txt").write_text("kept")
    (history / "x_12345678.yaml").write_text("kept")
    # A snapshot of the future: the clock has gone back since.
    (history / f"{10**18 * 4}_{short}.yaml").write_bytes(former)
    store = FileStore(sources_file)
    for index in range(3):
        save(store, b"%d" % index)
    assert [store.read_revision(one.hash) for one in store.list_revisions()] == [
        b"2",
        b"1",
        b"0",
        FIRST,
        former,
        former,
    ]
    numbers = [int(path.name.partition("_")[0]) for path in snapshots(sources_file) if path.name[0] != "x"]
    assert len(set(numbers)) == len(numbers)
    assert (history / "notes.txt").exists()
    assert store.read_revision(short) == former


def test_history_when_pruned_then_sidecars_go_too(sources_file: Path) -> None:
    store = FileStore(sources_file)
    for index in range(KEPT + 5):
        save(store, b"%d" % index, author="a")
    assert len(snapshots(sources_file)) == KEPT
    assert len(list((sources_file.parent / ".history").glob("*_*.json"))) == KEPT


def test_read_revision_when_digits_fit_several_then_conflict(
    sources_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_hash(data: bytes) -> str:
        return "a" * 32 + hashlib.md5(data, usedforsecurity=False).hexdigest()

    for module in ("file", "history"):
        monkeypatch.setattr(f"catalog_server.sources.stores.{module}.version_of", short_hash)
    store = FileStore(sources_file)
    save(store, b"second")
    with pytest.raises(Conflict, match="more digits"):
        store.read_revision("a" * 8)
    assert store.read_revision(short_hash(FIRST)) == FIRST


def test_path_that_leads_up_then_invalid(tmp_path: Path) -> None:
    for path in ("../sources.yaml", "a/../../sources.yaml"):
        with pytest.raises(Invalid, match="must not lead up"):
            FileStore(Path(path))
    FileStore(tmp_path / "a" / ".." / "sources.yaml")


def test_load_when_missing_no_file_or_too_large_then_refused(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    with pytest.raises(Unavailable, match="No such file"):
        FileStore(path).load()
    os.mkfifo(path)
    with pytest.raises(Unavailable, match="not a regular file"):
        FileStore(path).load()
    path.unlink()
    with path.open("wb") as file:
        file.truncate(10 * 1024**4)  # a file of holes: reading it would take for ever
    with pytest.raises(TooLarge, match="config file exceeds maximum allowed size"):
        FileStore(path).load()


def check_read_only(path: Path, reason: str) -> None:
    """The store knows from the start that it cannot write, still reads, and says so with each save."""
    store = FileStore(path)
    problem = store.is_writable()
    assert problem is not None
    assert reason in problem
    version = store.load().version
    with pytest.raises(Unavailable, match="config store is read-only") as caught:
        store.save(b"new", version)
    assert reason in caught.value.message
    assert store.load().data == FIRST
    assert [one.hash for one in store.list_revisions()] == [version]


@contextmanager
def mounted(target: Path, *arguments: str) -> Iterator[None]:
    done = subprocess.run(["mount", *arguments, str(target)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


@needs_root
def test_save_when_mounted_read_only_then_refused_until_mounted_anew(sources_file: Path) -> None:
    folder = sources_file.parent
    with mounted(folder, "--bind", str(folder)):
        store = FileStore(sources_file)
        assert store.is_writable() is None
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        check_read_only(sources_file, "Read-only file system")
        assert store.is_writable() is None
        with pytest.raises(Unavailable, match="read-only"):
            save(store, b"new")
        assert store.is_writable() is not None
        subprocess.run(["mount", "-o", "remount,bind,rw", str(folder)], check=True)
        assert store.is_writable() is None
        save(store, b"new")


@needs_root
def test_save_when_file_is_mounted_by_itself_then_refused(sources_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other file.yaml"
    other.write_bytes(FIRST)
    with mounted(other, "--bind", str(sources_file)):
        check_read_only(other, "mounted by itself")


AS_NOBODY = """
    import os, sys
    from pathlib import Path
    from catalog_server.sources.stores.file import FileStore
    from tests.contract.stores.test_file import check_read_only
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    check_read_only(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize(("mode", "reason"), [(0o755, "Permission denied"), (0o777, "is read-only")])
def test_save_when_permissions_forbid_then_refused(mode: int, reason: str) -> None:
    """As another user, because root may write anywhere; so not in pytest's folders, which are private."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config" / "sources.yaml"
        path.parent.mkdir()
        path.write_bytes(FIRST)
        path.chmod(0o444)
        if os.geteuid() != 0:
            path.parent.chmod(mode & 0o577 if mode == 0o755 else mode)
            check_read_only(path, reason)
            path.parent.chmod(0o755)
            return
        Path(folder).chmod(0o755)
        path.parent.chmod(mode)
        done = run_python(AS_NOBODY, path, reason)
        assert done.returncode == 0, done.stderr


def check_full(path: Path, old: bytes, fill: Callable[[], None]) -> None:
    store = FileStore(path)
    version = store.load().version
    fill()
    with pytest.raises(Unavailable, match="could not be saved"):
        store.save(b"n" * 700_000, version)
    assert path.read_bytes() == old
    assert others(path) in ([], ["filler"])
    assert store.is_writable() is None
    leftovers = [name for name in os.listdir(path.parent / ".history") if name.endswith(".tmp")]
    assert leftovers == []


@needs_root
@pytest.mark.parametrize("free", [0, 100_000, 500_000])
def test_save_when_disk_is_full_then_old_file_whole_and_the_rest_gone(tmp_path: Path, free: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        path = disk / "sources.yaml"
        path.write_bytes(b"old" * 100_000)
        (disk / ".history").mkdir()

        def fill() -> None:
            with suppress_full(), (disk / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            os.truncate(disk / "filler", (disk / "filler").stat().st_size - free)

        check_full(path, b"old" * 100_000, fill)
        (disk / "filler").unlink()
        save(FileStore(path), b"new")
        assert path.read_bytes() == b"new"


@contextmanager
def suppress_full() -> Iterator[None]:
    with pytest.raises(OSError, match="No space left"):
        yield


def test_save_when_file_may_not_grow_then_old_file_whole(sources_file: Path) -> None:
    """The same for those who cannot mount: a limit on file sizes breaks the write in the middle."""
    code = """
        import resource, signal, sys
        from pathlib import Path
        from tests.contract.stores.conftest import FIRST
        from tests.contract.stores.test_file import check_full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        check_full(Path(sys.argv[1]), FIRST, limit)
    """
    done = run_python(code, sources_file)
    assert done.returncode == 0, done.stderr
