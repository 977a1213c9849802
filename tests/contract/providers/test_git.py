"""The git provider on real repositories: local folders, a git server on loopback, and hostile ones of both."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog_server.errors import CatalogError, TooLarge, Unavailable
from catalog_server.providers.base import Fetched
from catalog_server.providers.git import GitProgram
from tests.contract.providers.git_bench import A, B, GitBench
from tests.repositories import LINK, MODULE, GitServer, Repository, Special, processes_with
from tests.server import FOREVER_SECONDS, wait_until


def names(fetched: Fetched) -> list[str]:
    return [file.shown for file in fetched.files]


def commands_run(program: str, log: Path) -> GitProgram:
    """Stands in for `git`: notes its arguments, then does what git does."""
    script = log.with_suffix(".sh")
    script.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\necho >> {log}\nexec {program} "$@"\n')
    script.chmod(0o755)
    return GitProgram(git=str(script))


class TestRevisions:
    def test_default_branch_main_then_all_yaml_files(self, bench: GitBench) -> None:
        repository = bench.repository({"a.yaml": A, "x/y/b.yaml": B, "c.txt": "c", ".github/d.yaml": A})
        fetched = bench.fetch(repository.url)
        assert fetched.commit_sha == repository.heads["main"]
        assert [(file.shown, file.data.decode()) for file in fetched.files] == [
            (".github/d.yaml", A),
            ("a.yaml", A),
            ("x/y/b.yaml", B),
        ]
        assert bench.provider.watched({}, bench.files) == ()
        assert bench.provider.sync_interval({"syncInterval": "5m"}) == timedelta(minutes=5)

    def test_path_relative_to_sources_file_then_same_repository(self, bench: GitBench) -> None:
        repository = bench.repository()
        for url in ("../repositories/r.git", str(repository.path), f"file://localhost{repository.path}"):
            assert bench.fetch(url).commit_sha == repository.heads["main"]

    def test_branch_tag_and_commit_then_that_one(self, bench: GitBench) -> None:
        repository = bench.repository()
        first = repository.heads["main"]
        repository.git("tag", "light")
        repository.git("-c", "user.name=t", "-c", "user.email=t@x", "tag", "-a", "-m", "t", "annotated")
        second = repository.commit({"b.yaml": B})
        other = repository.commit({"c.yaml": B}, "feature/c")
        wanted = {
            **{("branch", "main"): second, ("branch", "feature/c"): other, ("tag", "light"): first},
            **{("tag", "annotated"): first, ("commit", first): first, ("commit", first.upper()): first},
            **{("commit", first[:7]): first, ("commit", other[:12]): other, ("commit", other): other},
        }
        for (key, name), commit in wanted.items():
            for shallow in (True, False):
                given: dict[str, Any] = {key: name, "shallowClone": shallow}
                assert bench.fetch(repository.url, **given).commit_sha == commit, given

    def test_unknown_revision_then_invalid_and_default_branch_named(self, bench: GitBench) -> None:
        repository = Repository.create(bench.root / "r.git", {"a.yaml": A}, branch="trunk")
        repository.git("tag", "tree", "trunk^{tree}")
        error = bench.refused(repository.url)
        assert error.message == "the repository has no branch 'main'; the default branch is 'trunk'"
        for key, name in (("tag", "v1"), ("tag", "tree"), ("commit", "abcdef1"), ("commit", "a" * 40)):
            given: dict[str, Any] = {key: name}
            error = bench.refused(repository.url, **given)
            assert (error.field, error.code) == (f"properties.{key}", "revision_missing"), name

    def test_empty_repository_then_invalid(self, bench: GitBench) -> None:
        repository = Repository.create(bench.root / "r.git")
        assert bench.refused(repository.url).code == "revision_missing"

    def test_short_commit_when_ambiguous_then_invalid(self, bench: GitBench, tmp_path: Path) -> None:
        """Two commits that begin alike are too rare to be made; git says so in these words."""
        bench.repository()
        script = tmp_path / "git.sh"
        script.write_text(
            '#!/bin/sh\ncase "$*" in *rev-parse*abcdef1*) echo "error: short object ID abcdef1 is ambiguous" >&2;'
            ' exit 128;; esac\nexec git "$@"\n'
        )
        script.chmod(0o755)
        provider = bench.build(GitProgram(git=str(script)))
        error = bench.refused(str(bench.root / "r.git"), provider, commit="abcdef1")
        assert error.code == "revision_ambiguous"


class TestUpdates:
    def test_new_commit_then_picked_up(self, bench: GitBench) -> None:
        repository = bench.repository()
        first = bench.fetch(repository.url)
        second_sha = repository.commit({"a.yaml": B})
        second = bench.fetch(repository.url)
        assert (first.commit_sha, second.commit_sha) == (first.commit_sha, second_sha)
        assert second.files[0].data.decode() == B

    def test_branch_rewritten_then_new_history(self, bench: GitBench) -> None:
        repository = bench.repository()
        bench.fetch(repository.url, shallowClone=False)
        del repository.heads["main"]
        assert bench.fetch(repository.url, shallowClone=False).commit_sha != repository.commit({"b.yaml": B})
        assert names(bench.fetch(repository.url, shallowClone=False)) == ["b.yaml"]

    def test_nothing_new_then_nothing_is_fetched(self, bench: GitBench, tmp_path: Path) -> None:
        repository = bench.repository()
        log = tmp_path / "git.log"
        provider = bench.build(commands_run("git", log))
        first = bench.fetch(repository.url, provider)
        assert " fetch " in log.read_text()
        log.unlink()
        assert bench.fetch(repository.url, provider) == first
        assert " fetch " not in log.read_text()
        assert len(log.read_text().splitlines()) == 4

    def test_branch_deleted_then_invalid_and_mirror_not_asked(self, bench: GitBench) -> None:
        repository = bench.repository()
        repository.commit({"b.yaml": B}, "feature")
        bench.fetch(repository.url, branch="feature")
        repository.git("branch", "-D", "feature")
        assert bench.refused(repository.url, branch="feature").code == "revision_missing"

    def test_repository_deleted_then_invalid_even_for_a_known_commit(self, bench: GitBench, server: GitServer) -> None:
        repository = bench.repository()
        commit = repository.heads["main"]
        for url in (repository.url, f"{server.url}/r.git"):
            bench.fetch(url, commit=commit)
        repository.path.rename(bench.root / "elsewhere")
        assert bench.refused(repository.url, commit=commit).code == "path_missing"
        assert bench.refused(f"{server.url}/r.git", commit=commit).code == "repository_missing"

    def test_many_changes_then_mirror_starts_again(self, bench: GitBench) -> None:
        repository = bench.repository()
        bench.fetch(repository.url)
        packs = bench.mirror() / "objects/pack"
        pack = next(packs.glob("*.pack"))
        for number in range(50):
            os.link(pack, packs / f"pack-{number:040x}.pack")
        commit = repository.commit({"a.yaml": B})
        assert bench.fetch(repository.url).commit_sha == commit
        assert len(list(packs.glob("*.pack"))) == 1


class TestDamage:
    def truncate_packs(self, mirror: Path) -> None:
        for pack in (mirror / "objects/pack").glob("*.pack"):
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:40])

    def flip_a_byte(self, mirror: Path) -> None:
        for pack in (mirror / "objects/pack").glob("*.pack"):
            pack.chmod(0o600)
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 0xFF
            pack.write_bytes(data)

    def remove_head(self, mirror: Path) -> None:
        (mirror / "HEAD").unlink()

    def remove_objects(self, mirror: Path) -> None:
        for file in (mirror / "objects/pack").iterdir():
            file.unlink()

    def leave_lock(self, mirror: Path) -> None:
        (mirror / "shallow.lock").touch()
        for ref in list((mirror / "refs/catalog").iterdir()):
            ref.with_suffix(".lock").touch()

    def write_nonsense(self, mirror: Path) -> None:
        (mirror / "config").write_text("[core\n")

    @pytest.mark.parametrize(
        ("damage", "key"),
        [
            *(("truncate_packs", "branch"), ("flip_a_byte", "branch"), ("remove_head", "branch")),
            *(("remove_objects", "branch"), ("write_nonsense", "branch")),
            *(("truncate_packs", "commit"), ("remove_objects", "commit")),
        ],
    )
    def test_damaged_mirror_then_made_again(self, bench: GitBench, damage: str, key: str) -> None:
        repository = bench.repository({"a.yaml": A, "b.yaml": os.urandom(5000).hex()})
        wanted: dict[str, Any] = {key: "main" if key == "branch" else repository.heads["main"]}
        first = bench.fetch(repository.url, **wanted)
        getattr(self, damage)(bench.mirror())
        assert bench.fetch(repository.url, **wanted) == first

    @pytest.mark.parametrize("damage", ["truncate_packs", "leave_lock"])
    def test_damaged_mirror_when_there_is_news_then_made_again(self, bench: GitBench, damage: str) -> None:
        repository = bench.repository()
        bench.fetch(repository.url)
        commit = repository.commit({"a.yaml": B})
        getattr(self, damage)(bench.mirror())
        assert bench.fetch(repository.url).commit_sha == commit

    def test_killed_server_then_its_left_overs_go(self, bench: GitBench) -> None:
        repository = bench.repository()
        bench.fetch(repository.url)
        repository.commit({"a.yaml": B})
        left = [bench.mirror() / "objects/pack/tmp_pack_x", bench.mirror().parent / "work/key"]
        for path in left:
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")
        bench.fetch(repository.url)
        assert not any(path.exists() for path in left)

    def test_folder_for_mirrors_not_writable_then_unavailable(self, bench: GitBench) -> None:
        repository = bench.repository()
        bench.mirrors.write_text("a file")
        with pytest.raises(Unavailable, match="folder for mirrors") as caught:
            bench.fetch(repository.url)
        assert str(bench.mirrors) not in caught.value.message

    def test_no_git_then_unavailable(self, bench: GitBench) -> None:
        repository = bench.repository()
        with pytest.raises(Unavailable, match="not installed"):
            bench.fetch(repository.url, bench.build(GitProgram(git="/nowhere/git")))


class TestFiles:
    FILES = ("a.yaml", "b.yml", "data/c.yaml", "data/x/d.yaml", "data/x/y/e.yaml", "other/f.yaml")

    @pytest.mark.parametrize(
        ("globs", "expected"),
        [
            ("**/*.yaml", "a.yaml data/c.yaml data/x/d.yaml data/x/y/e.yaml other/f.yaml"),
            ("data/**/*.yaml", "data/c.yaml data/x/d.yaml data/x/y/e.yaml"),
            ("data/*.yaml", "data/c.yaml"),
            ("*.yaml", "a.yaml"),
            ("?.y?ml", "a.yaml"),
            ("data/**", "data/c.yaml data/x/d.yaml data/x/y/e.yaml"),
            (["b.yml", "other/*"], "b.yml other/f.yaml"),
            ("**/x/*", "data/x/d.yaml"),
        ],
    )
    def test_glob_then_files_as_in_the_spec(self, bench: GitBench, globs: Any, expected: str) -> None:
        repository = bench.repository(dict.fromkeys(self.FILES, A))
        assert names(bench.fetch(repository.url, path=globs)) == expected.split()

    def test_no_match_then_invalid(self, bench: GitBench) -> None:
        error = bench.refused(bench.repository().url, path="agents/*.yaml")
        assert (error.field, error.code) == ("properties.path", "no_files")

    def test_odd_names_and_contents_then_exact(self, bench: GitBench) -> None:
        data = bytes(range(256)) * 300
        files = {"ä ö.yaml": data, "empty.yaml": b"", "same.yaml": data, "-x.yaml": "x", "bad\udcff.yaml": "y"}
        fetched = bench.fetch(bench.repository(files).url)
        found = {file.shown: file.data for file in fetched.files}
        assert found == {
            **{"ä ö.yaml": data, "empty.yaml": b"", "same.yaml": data},
            **{"-x.yaml": b"x", "bad\\xff.yaml": b"y"},
        }

    def test_attributes_of_the_repository_then_no_filter_runs(self, bench: GitBench, tmp_path: Path) -> None:
        pointer = "version https://git-lfs.github.com/spec/v1\n"
        attributes = "*.yaml filter=lfs text eol=crlf ident working-tree-encoding=UTF-16\n"
        repository = bench.repository({"a.yaml": pointer, ".gitattributes": attributes})
        repository.git("config", "filter.lfs.smudge", f"touch {tmp_path}/smudged")
        assert bench.fetch(repository.url).files[0].data.decode() == pointer
        assert not (tmp_path / "smudged").exists()

    def test_symbolic_link_then_invalid_and_named(self, bench: GitBench) -> None:
        repository = bench.repository({"a.yaml": A, "x/passwd.yaml": Special(LINK, "/etc/passwd")})
        error = bench.refused(repository.url)
        assert error.code == "symlink_refused"
        assert "x/passwd.yaml" in error.message
        assert names(bench.fetch(repository.url, path="*.yaml")) == ["a.yaml"]

    def test_submodule_then_skipped(self, bench: GitBench) -> None:
        modules = '[submodule "m"]\n\tpath = m.yaml\n\turl = http://127.0.0.1:1/never\n'
        files = {"a.yaml": A, "m.yaml": Special(MODULE, "a" * 40), ".gitmodules": modules}
        assert names(bench.fetch(bench.repository(files).url)) == ["a.yaml"]


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "code", "problem"),
        [
            ({"file_count": 2}, "too_many_files", "3 files, more than the limit of 2"),
            ({"file_bytes": 500}, "content_too_large", "'b.yaml' has|b.yaml has"),
            ({"total_bytes": 1000}, "content_too_large", "together"),
            ({"listing_bytes": 100}, "content_too_large", "more than 100 bytes"),
        ],
    )
    def test_over_a_limit_then_too_large(
        self, bench: GitBench, limits: dict[str, Any], code: str, problem: str
    ) -> None:
        repository = bench.repository({"a.yaml": A, "b.yaml": "b" * 600, "c.yaml": "c" * 450})
        with pytest.raises(TooLarge, match=problem) as caught:
            bench.fetch(repository.url, bench.build(**limits))
        assert caught.value.code == code
        assert len(bench.fetch(repository.url).files) == 3

    def test_large_repository_then_cut_off_early_and_nothing_kept(self, bench: GitBench, server: GitServer) -> None:
        bench.repository({"a.yaml": A, "big.bin": os.urandom(30_000_000)})
        server.chunk_pause_seconds = 0.004  # some 15 MB/s
        with pytest.raises(TooLarge) as caught:
            bench.fetch(f"{server.url}/r.git", bench.build(repository_bytes=10_000_000))
        assert (caught.value.code, caught.value.field) == ("repository_too_large", "properties.repoUrl")
        assert server.sent_bytes < 20_000_000
        assert bench.kept() == []

    def test_mirror_grown_over_time_then_one_new_start(self, bench: GitBench) -> None:
        repository = bench.repository({"a.yaml": os.urandom(700_000)})
        provider = bench.build(repository_bytes=1_000_000)
        bench.fetch(repository.url, provider)
        commit = repository.commit({"a.yaml": os.urandom(700_000)})
        assert bench.fetch(repository.url, provider).commit_sha == commit

    @pytest.mark.parametrize("use_property", [True, False])
    def test_hanging_server_then_unavailable_in_time_and_no_process_left(
        self, bench: GitBench, server: GitServer, use_property: bool
    ) -> None:
        bench.repository()
        server.delay_seconds = FOREVER_SECONDS
        provider = None if use_property else bench.build(timeout_seconds=1.0)
        with pytest.raises(Unavailable, match="within 1 s"):
            bench.fetch(f"{server.url}/r.git", provider, **({"timeout": "1s"} if use_property else {}))
        wait_until("the git processes to be gone", lambda: not processes_with(server.url))
        assert bench.fetch(bench.root.joinpath("r.git").as_uri()).files

    def test_tree_bomb_then_too_large(self, bench: GitBench) -> None:
        repository = bench.repository()
        blob = repository.git("hash-object", "-w", "--stdin", given=b"x")
        kind, child = "100644 blob", blob
        for _ in range(8):  # 10 ** 8 paths out of eight trees
            lines = "".join(f"{kind} {child}\t{number}{'.yaml' if kind[0] == '1' else ''}\n" for number in range(10))
            child, kind = repository.git("mktree", given=lines.encode()), "040000 tree"
        commit = repository.git("-c", "user.name=t", "-c", "user.email=t@x", "commit-tree", "-m", "bomb", child)
        repository.git("update-ref", "refs/heads/main", commit)
        with pytest.raises(TooLarge):
            bench.fetch(repository.url, bench.build(listing_bytes=1_000_000))


class TestTogether:
    def test_threads_on_one_repository_then_all_served(self, bench: GitBench) -> None:
        repository = bench.repository()
        other = repository.commit({"b.yaml": B}, "other")
        with ThreadPoolExecutor(6) as pool:
            found = [pool.submit(bench.fetch, repository.url, branch=name) for name in ("main", "other") * 3]
        assert [one.result().commit_sha for one in found] == [repository.heads["main"], other] * 3

    def test_mirror_held_too_long_then_unavailable(self, bench: GitBench, server: GitServer) -> None:
        bench.repository()
        server.delay_seconds = 3
        url = f"{server.url}/r.git"
        holder = threading.Thread(target=lambda: bench.fetch(url, timeout="10s"))
        holder.start()
        wait_until("the first fetch", lambda: server.seen)
        with pytest.raises(Unavailable, match="another fetch"):
            bench.fetch(url, timeout="1s")
        server.released.set()
        holder.join(10)
        assert not holder.is_alive()


class TestAccess:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Repository:
        return Repository.create(tmp_path / "outside.git", {"a.yaml": A})

    def test_repository_outside_the_roots_then_refused(self, bench: GitBench, outside: Repository) -> None:
        (bench.root / "link").symlink_to(outside.path)
        linked = bench.root / "tree"
        linked.mkdir()
        (linked / ".git").symlink_to(outside.path)
        for url in (outside.url, "../outside.git", str(bench.root / "link"), str(linked), "file:///etc", "/"):
            assert bench.refused(url).code == "path_outside_roots", url
        assert bench.kept() == []

    def test_repository_that_leads_outside_then_refused(self, bench: GitBench, outside: Repository) -> None:
        worktree = bench.root / "tree"
        worktree.mkdir()
        (worktree / ".git").write_text(f"gitdir: {outside.path}\n")
        assert "linked work tree" in bench.refused(str(worktree)).message
        borrower = Repository.create(bench.root / "borrower.git")
        (borrower.path / "objects/info").mkdir(exist_ok=True)
        (borrower.path / "objects/info/alternates").write_text(f"{outside.path}/objects\n")
        assert bench.refused(borrower.url).code == "path_outside_roots"
        thief = Repository.create(bench.root / "thief.git")
        (thief.path / "refs").rename(thief.path / "old")
        (thief.path / "refs").symlink_to(outside.path / "refs")
        error = bench.refused(thief.url)
        assert error.code == "path_outside_roots"
        assert str(outside.path) not in error.message

    def test_folder_without_repository_then_refused(self, bench: GitBench) -> None:
        (bench.root / "empty").mkdir()
        assert bench.refused(str(bench.root / "empty")).code == "repository_missing"
        assert bench.refused(str(bench.root / "missing")).code == "path_missing"

    def test_inner_repository_of_a_bare_one_then_not_taken_instead(self, bench: GitBench) -> None:
        repository = bench.repository()
        inner = Repository.create(repository.path / ".git", {"inner.yaml": A})
        assert bench.fetch(repository.url).commit_sha == inner.heads["main"]
        innermost = Repository.create(inner.path / ".git", {"innermost.yaml": A})
        assert bench.fetch(repository.url).commit_sha != innermost.heads["main"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_repository_of_another_user_then_read(self, bench: GitBench) -> None:
        repository = bench.repository(name='r " $x.git')
        for path in (repository.path, *repository.path.rglob("*")):
            os.chown(path, 12345, 12345)
        assert bench.fetch(str(repository.path)).commit_sha == repository.heads["main"]

    def test_commands_in_a_repository_then_not_run(self, bench: GitBench, tmp_path: Path) -> None:
        repository = bench.repository()
        mark = tmp_path / "was-run"
        script = f"#!/bin/sh\ntouch {mark}\n"
        for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-update", "fsmonitor-watchman"):
            path = repository.path / "hooks" / hook
            path.parent.mkdir(exist_ok=True)
            path.write_text(script)
            path.chmod(0o755)
        for key in (
            *("uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "core.gitProxy", "gpg.program"),
            *("core.alternateRefsCommand", "credential.helper", "core.askPass", "remote.origin.uploadpack"),
        ):
            repository.git("config", key, str(repository.path / "hooks/post-update"))
        repository.git("config", "remote.origin.url", str(repository.path))
        repository.git("config", "remote.origin.promisor", "true")
        bench.fetch(repository.url)
        repository.commit({"b.yaml": B})
        bench.fetch(repository.url, shallowClone=False)
        assert not mark.exists()

    def test_missing_objects_of_a_partial_repository_then_not_fetched_by_it(
        self, bench: GitBench, tmp_path: Path
    ) -> None:
        mark = tmp_path / "was-run"
        repository = bench.repository()
        blob = repository.git("rev-parse", "main:a.yaml")
        (repository.path / "objects" / blob[:2] / blob[2:]).unlink()
        repository.git("config", "remote.origin.url", str(repository.path))
        repository.git("config", "remote.origin.uploadpack", f"touch {mark}; git-upload-pack")
        repository.git("config", "remote.origin.promisor", "true")
        repository.git("config", "extensions.partialClone", "origin")
        repository.git("config", "core.repositoryFormatVersion", "1")
        with pytest.raises(CatalogError):
            bench.fetch(repository.url)
        assert not mark.exists()

    @pytest.mark.parametrize(
        "properties",
        [
            {"repoUrl": "--upload-pack=touch MARK"},
            {"repoUrl": "-c"},
            {"repoUrl": "ext::sh -c touch% MARK"},
            {"repoUrl": "ssh://-oProxyCommand=touch%20MARK/x"},
            {"branch": "--upload-pack=touch MARK"},
            {"tag": "--output=MARK"},
            {"commit": "--output=MARK"},
            {"path": "--output=MARK"},
        ],
    )
    def test_option_in_a_property_then_refused(
        self, bench: GitBench, tmp_path: Path, properties: dict[str, Any]
    ) -> None:
        mark = tmp_path / "mark"
        given: dict[str, Any] = {key: value.replace("MARK", str(mark)) for key, value in properties.items()}
        url = given.pop("repoUrl", None) or bench.repository().url
        bench.refused(url, **given)
        assert not mark.exists()


def test_sample_repository_then_its_agents(bench: GitBench) -> None:
    """What catalog/sample-repos holds, built by tools/make_sample_repo.py."""
    root = Path(__file__).parents[3]
    tool = [sys.executable, str(root / "tools/make_sample_repo.py"), "--target", str(bench.root / "agents-repo")]
    assert subprocess.run([*tool, "--check"], capture_output=True, check=False).returncode == 1
    subprocess.run(tool, check=True, capture_output=True)
    before = (bench.root / "agents-repo").stat().st_mtime_ns
    for again in ([], ["--check"]):
        assert subprocess.run([*tool, *again], capture_output=True, check=True).stdout == b""
    assert (bench.root / "agents-repo").stat().st_mtime_ns == before
    fetched = bench.fetch("../repositories/agents-repo")
    assert names(fetched) == ["agents/incident-summariser.yaml", "agents/release-notes-writer.yaml"]
    agents = [agent for file in fetched.files for agent in yaml.safe_load(file.data)["agents"]]
    assert [agent["name"] for agent in agents] == ["incident-summariser", "release-notes-writer"]
