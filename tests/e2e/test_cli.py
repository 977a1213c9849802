"""catalog-cli against a real server: every command there is, in every format, well and badly."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import click
import pytest
import yaml

from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.main import run
from catalog_server.cli.client.rendering import FORMATS
from catalog_server.cli.client.session import Flags, Session
from catalog_server.cli.client.tree import root
from tests.client import COMMAND, Client, Done
from tests.e2e.test_ninth_plugin import DATA, MODULE, install
from tests.server import ROOT, SAMPLE, RunningServer, running

NEW = """\
plugin: skills
id: new
name: Neu ü
type: yaml
properties: {yamlCatalogPath: ../plugins/skills/data/skills.yaml}
"""
SETTINGS = {"single": {}, "namespace": {"CATALOG_TENANCY_MODE": "namespace"}}

# Words that each built-in command takes to succeed, in an order in which they can be run one after the other.
WORDS = {
    "plugins list": "",
    "plugins get": "mcp",
    "entities list": "model --limit 3",
    "entities get": "skills web-search",
    "entities filters": "mcp",
    "entities search": "kubernetes",
    "assets list": "--kind Agent",
    "assets get": "Skill web-search",
    "sources list": "",
    "sources get": "mcp-default",
    "sources validate": "-f new.yaml",
    "sources diff": "-f new.yaml --prune",
    "sources apply": "-f new.yaml",
    "sources disable": "new --plugin skills",
    "sources enable": "new --plugin skills",
    "sources delete": "new --plugin skills -y",
    "sources revisions": "--plugin skills",
    "sources rollback": "{revision} --plugin skills -y",
    "sources diagnostics": "--plugin agents",
    "sources test": "agents-git",
    "refresh": "--plugin mcp --source mcp-default --wait",
    "jobs list": "",
    "jobs get": "{job}",
    "jobs watch": "{job}",
    "jobs cancel": "{job}",
    "audit list": "",
    "audit get": "{event}",
    "audit export": "",
    "governance get": "skills Skill web-search",
    "governance set": "skills Skill web-search --owner olivia --risk high",
    "governance lifecycle set": "agents Agent scout approved --reason ready",
    "governance lifecycle deprecate": "agents Agent scout",
    "governance lifecycle archive": "agents Agent scout -y",
    "governance lifecycle restore": "agents Agent scout --reason missed",
    "governance policies": "",
    "governance bind": "agents Agent scout --env dev --version {version}",
    "versions list": "agents Agent scout",
    "versions create": "agents Agent scout --label 1.0",
    "bindings": "agents Agent scout",
    "promote": "agents Agent scout --from dev --to stage",
    "rollback": "agents Agent scout --env dev --version {version} -y",
    "approvals list": "--status all",
    "approvals get": "{request}",
    "approvals approve": "{request} --comment fine",
    "approvals reject": "{request}",
    "approvals cancel": "{request}",
    "history": "agents Agent scout",
    "namespaces": "",
    "status": "",
    "health": "",
    "api": "/api/assets --query pageSize=2",
    "config view": "",
    "config set": "role operator",
    "doctor": "",
    "completion": "fish",
    "ui": "",
    "version": "",
    "help": "sources apply",
}
CHANGING = (
    *("sources disable", "sources enable", "sources delete", "sources apply", "sources rollback", "refresh"),
    *("governance set", *(f"governance lifecycle {step}" for step in ("set", "deprecate", "archive", "restore"))),
    *("approvals approve", "approvals reject", "approvals cancel"),
    *("governance bind", "versions create", "promote", "rollback"),
)
POLICIES = "policies: [{id: skills, selector: {kinds: [Skill], transitions: [{to: approved}]}}]"
ENDED, RATE_LIMITED = 6, 7
"""A job that has ended cannot be canceled any more: the one command that does not succeed above."""
ALONE = ("completion", "ui", "help", "config view", "config set")
"""They need no server."""


@dataclass
class World:
    """A server over a copy of the sample catalog, and a client who is an operator of it."""

    server: RunningServer
    client: Client
    session: Session
    numbers: Iterator[int] = field(default_factory=count)

    def leaves(self) -> Iterator[tuple[str, click.Command]]:
        """Every command of the whole tree, also of plugins."""
        context = click.Context(root, obj=self.session)
        names = [*root.list_commands(context), *(one.name for one in self.session.discovery.plugins())]
        pending = [(name, root.get_command(context, name), context) for name in names if name != "plugin"]
        for words, command, parent in pending:
            assert command is not None, words
            inner = click.Context(command, info_name=command.name, parent=parent)
            if isinstance(command, click.Group):
                names = command.list_commands(inner)
                pending += [(f"{words} {name}", command.get_command(inner, name), inner) for name in names]
            else:
                yield words, command

    def known(self, text: str) -> list[str]:
        """The words of a command line, with ids that there are."""
        if "{request}" in text:
            text = text.replace("{request}", self.new_request())
        ids = {"{job}": "jobs list", "{event}": "audit list", "{revision}": "sources revisions --plugin skills"}
        ids["{version}"] = "versions list agents Agent scout"
        for hole, listing in ids.items():
            if hole in text:
                text = text.replace(hole, self.client.ok(*listing.split(), "-o", "name").lines[-1])
        return text.split()

    def new_request(self) -> str:
        """An approval request of somebody else, that waits."""
        ask = ("governance", "lifecycle", "set", "skills", "Skill", f"s-{next(self.numbers)}", "approved")
        request_id: str = self.client.ok(*ask, "--user", "peter", "-o", "json").json["data"]["requestId"]
        return request_id


@pytest.fixture(scope="module", params=SETTINGS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    shutil.copytree(ROOT / "catalog", folder / "catalog")
    home = folder / "home"
    home.mkdir()
    (home / "new.yaml").write_text(NEW)
    flags = [] if request.param == "single" else ["-n", "default"]
    (folder / "policies.yaml").write_text(POLICIES)
    settings = {**SETTINGS[request.param], "CATALOG_APPROVAL_POLICIES": str(folder / "policies.yaml")}
    with running(folder / "data", folder / "catalog/config/sources.yaml", **settings) as server:
        client = Client(home, server.url, [*flags, "--role", "operator", "--user", "olivia"])
        session = Session(Flags(server=server.url, namespace="default", no_cache=True))
        world = World(server, client, session)
        world.new_request()  # so that no list of governance is empty
        client.ok("governance", "set", "agents", "Agent", "scout", "--owner", "peter")
        client.ok("governance", "lifecycle", "set", "agents", "Agent", "scout", "approved")
        scout = ("agents", "Agent", "scout")
        version = client.ok("versions", "create", *scout, "--label", "0.1", "-o", "name").lines[0]
        client.ok("governance", "bind", *scout, "--env", "dev", "--version", version)
        yield world


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests share a server, in any order: sources that one has added are gone before the next."""
    yield
    if "world" not in request.fixturenames:
        return
    server = request.getfixturevalue("world").server
    headers = {"X-User-Role": "operator", "X-Namespace": "default"}
    sections = yaml.safe_load(SAMPLE.read_text())["catalogs"].values()
    known = {source["id"] for section in sections for source in section["sources"]}
    for plugin in server.get("/api/plugins", headers=headers).json()["plugins"]:
        url = f"{server.url}{plugin['basePath']}/management/sources"
        for source in server.client.get(url, headers=headers).json()["sources"]:
            if source["id"] not in known:
                assert server.client.delete(f"{url}/{source['id']}", headers=headers).status_code == 200


def dynamic_words(world: World, words: str) -> str | None:
    """What a command of a plugin takes; None for one that is unknown here."""
    plugin, *rest = words.split()
    if rest in (["actions"], ["sources", "list"], ["sources", "refresh"]):
        return ""
    plural, verb = rest
    names = world.client.ok("entities", "list", plugin, plural, "-o", "name").lines
    return {
        "list": "",
        "filters": "",
        "get": f"-- {names[0]}",
        "tag": f"{names[0]} --tag a --dry-run",
        "annotate": f"{names[0]} --annotation a=b --dry-run",
        "deprecate": f"{names[0]} --phase draft --dry-run",
    }.get(verb)


def test_every_command_when_asked_for_json_then_a_document(world: World) -> None:
    """`catalog-cli ... -o json | python -m json.tool` holds for every command; a new one has to be added here."""
    builtin, dynamic = {}, []
    for words, _ in world.leaves():
        if words in WORDS:
            builtin[words] = WORDS[words]
        else:
            dynamic.append(words)
    assert set(builtin) == set(WORDS)
    for words, more in WORDS.items():
        done = world.client.run(*words.split(), *world.known(more), "-o", "json")
        assert done.status == (ENDED if words == "jobs cancel" else 0), done
        assert isinstance(done.json, dict | list), done
    for words in dynamic:
        given = dynamic_words(world, words)
        assert given is not None, f"{words} is not tested; give it words above"
        done = world.client.run(*words.split(), "-o", "json", *given.split())
        # Another test may have asked for the same refresh less than half a minute ago.
        assert done.status in ((0, RATE_LIMITED) if words.endswith("refresh") else (0,)), done
        assert isinstance(done.json, dict), words


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
def test_every_command_that_reads_then_in_every_format(world: World, form: str) -> None:
    for words, more in WORDS.items():
        if words in CHANGING or words == "jobs cancel":
            continue
        done = world.client.ok(*words.split(), *world.known(more), "-o", form)
        assert done.out or form in ("name", "jsonl"), done
        if form == "jsonl":
            assert [json.loads(line) for line in done.lines], done
        if form == "yaml" and words != "audit export":
            asked = world.client.ok(*words.split(), *world.known(more), "-o", "json").json
            assert type(yaml.safe_load(done.out)) is type(asked), done
            assert isinstance(asked, list) or list(yaml.safe_load(done.out)) == list(asked), done


def test_every_command_when_it_fails_then_the_error_is_json(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors are objects on stderr, and on stdout where something is parsed; an exit status and no stack trace."""
    for name, value in world.client.environ.items():
        monkeypatch.setenv(name, value)
    for words, command in world.leaves():
        for more, codes in ((["--no-such-flag"], (2,)), (["--server", "http://127.0.0.1:1"], (0, 2, 8))):
            given = WORDS.get(words, "").replace("{", "").replace("}", "").split()
            code = run([*world.client.flags, *words.split(), *given, *more, "-o", "json"])
            out, err = capfd.readouterr()
            done = Done([*words.split(), *more], code, out, err)
            assert code in codes, done
            assert isinstance(done.json, dict | list), done
            if code == 2 or (code == 8 and words not in ("version", "doctor")):
                assert {"status", "error", "message", "details"} <= set(done.error), done
            assert (code == 0) <= (words in ALONE), done
        assert isinstance(command, Command)


def test_every_example_of_the_help_when_run_then_it_works(world: World) -> None:
    """Help texts show examples that are true."""
    (world.client.home / "sources.yaml").write_text(NEW)
    for words, command in world.leaves():
        for example in getattr(command, "examples", ()):
            if "watch JOB" in example or "cancel JOB" in example or "8080" in example:
                continue  # run above, and in the how-to page; it would change the server of this test
            line = example.replace("JOB", "{job}").replace("EVENT", "{event}").replace("VERSION", "{revision}")
            line = line.replace("REQUEST", "{request}").replace("{revision}_ID", "{version}")
            for hole in ("{job}", "{event}", "{revision}", "{request}", "{version}"):
                if hole in line:
                    line = line.replace(hole, world.known(hole)[0])
            prune = line.replace("--prune --yes", "--prune --dry-run").replace("delete mcp-default", "delete new")
            done = shell(world.client, prune.replace("--plugin mcp --yes", "--plugin skills --yes"))
            allowed = (0, 5) if words == "sources validate" else (0, 7) if words == "refresh" else (0,)
            assert done.returncode in allowed, f"{example}\n{done.stdout}\n{done.stderr}"


def shell(client: Client, line: str) -> subprocess.CompletedProcess[str]:
    """A line as it would be typed."""
    program = " ".join([*COMMAND, *client.flags])
    return subprocess.run(
        ["bash", "-c", f"{program} {line}"],
        env=client.environ,
        cwd=client.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    "line",
    [
        *("-v", "--version", "help", "completion bash", "plugins list", "plugins get mcp", "plugins"),
        *("sources list --plugin agents --api-version v1alpha1", "-o JSON plugins"),
        "sources apply --plugin prompts --id by-flags --name Flags --type yaml --enabled=false "
        "--property yamlCatalogPath=../plugins/prompts/data/prompt-templates.yaml",
        "sources validate --plugin skills --id skills-default --name Skills --type yaml "
        "--property yamlCatalogPath=../plugins/skills/data/skills.yaml",
        *(
            "sources enable skills-default --plugin skills",
            "sources diagnostics --plugin skills --source skills-default",
        ),
        *(
            "refresh trigger --plugin prompts --source prompts-default",
            "status",
            "status --plugin mcp --api-version v1alpha1",
        ),
        *("health", "namespaces", "mcp actions", "mcp sources list", "guardrails sources refresh guardrails-default"),
        "mcp mcpservers list --filter toolCount>5 --order-by name --sort ASC --page-size 3",
        *("mcp mcpservers list --all -o yaml", "mcp mcpservers get github-mcp-server"),
        "mcp mcpservers deprecate github-mcp-server --params phase=active --dry-run",
    ],
)
def test_words_of_older_clients_then_they_still_work(world: World, line: str) -> None:
    """Both documented vocabularies work (spec cli-and-ui.md 1.2 and 1.3)."""
    assert world.client.ok(*line.split()).out


def test_output_when_piped_into_a_parser_then_it_parses_also_an_error(world: World) -> None:
    for line, status in (("plugins", 0), ("skills skills get nope", 3), ("plugins get nope", 3), ("plugins --nope", 2)):
        piped = shell(world.client, f"{line} -o json | python3 -m json.tool >/dev/null; echo ${{PIPESTATUS[@]}}")
        assert piped.stdout == f"{status} 0\n", piped.stderr
        both = shell(world.client, f"{line} -o json 2>&1 | python3 -m json.tool >/dev/null; echo ${{PIPESTATUS[@]}}")
        assert both.stdout == f"{status} 0\n", both.stdout


def test_apply_when_run_again_then_nothing_changes_and_prune_takes_the_rest(world: World) -> None:
    client, file = world.client, world.client.home / "apply"
    file.mkdir()
    (file / "one.yaml").write_text(NEW)
    (file / "two.json").write_text(json.dumps({**yaml.safe_load(NEW), "id": "two", "labels": ["no"]}))
    before = client.ok("sources", "diff", "-f", "apply", "-o", "json").json
    assert before["summary"] == {"create": 2, "update": 0, "delete": 0, "unchanged": 0}
    assert client.ok("sources", "apply", "-f", "apply", "--dry-run", "-o", "json").json["summary"] == before["summary"]
    assert "two" not in client.ok("sources", "list", "-o", "name").lines
    assert client.ok("sources", "apply", "-f", "apply", "-o", "json").json["mode"] == "applied"
    assert client.ok("sources", "apply", "-f", "apply").lines[-1].endswith("2 unchanged")
    (file / "two.json").unlink()
    assert "delete skills/two" in client.ok("sources", "diff", "-f", "apply", "--prune").lines
    assert "skills/two" in client.run("sources", "apply", "-f", "apply", "--prune", status=2).err
    kept = client.ok("sources", "get", "skills-default", "--plugin", "skills", "-o", "yaml").out
    (file / "kept.yaml").write_text(kept)
    done = client.ok("sources", "apply", "-f", "apply", "--prune", "--yes", "-o", "json").json
    assert done["summary"] == {"create": 0, "update": 0, "delete": 1, "unchanged": 2}
    client.ok("sources", "delete", "new", "--plugin", "skills", "-y")


def test_apply_when_one_source_is_not_valid_then_none_is_applied(world: World) -> None:
    text = f"{NEW}---\n{NEW.replace('id: new', 'id: broken').replace('skills.yaml', 'nope.yaml')}"
    done = world.client.run("sources", "apply", "-f", "-", "-o", "json", stdin=text, status=5)
    assert [one["id"] for one in done.error["details"]["errors"]] == ["broken"]
    assert "new" not in world.client.ok("sources", "list", "-o", "name").lines


def test_namespace_when_missing_then_told_how_to_name_it(world: World, tmp_path: Path) -> None:
    if world.server.json("/api/tenancy/v1alpha1/namespaces")["mode"] != "namespace":
        assert world.client.ok("plugins", "-o", "name").lines
        return
    bare = Client(tmp_path, world.client.url)
    error = bare.run("plugins", status=5).err
    assert "-n" in error
    assert "CATALOG_NAMESPACE" in error
    assert "-n, CATALOG_NAMESPACE" in bare.run("doctor", status=1).out
    assert Client(tmp_path, world.client.url, variables={"CATALOG_NAMESPACE": "default"}).ok("plugins")


def test_token_then_kept_private_and_shown_to_nobody(world: World, tmp_path: Path) -> None:
    client = Client(tmp_path, world.client.url, ["-n", "default"])
    shown = client.ok("config", "set", "token", "s3cret-token").out
    file = tmp_path / ".config/catalog-cli/config.json"
    assert (file.stat().st_mode & 0o777, "s3cret-token" in file.read_text()) == (0o600, True)
    for words in ("config view", "config view -o json", "doctor -o json", "plugins -o json", "--help"):
        shown += str(client.run(*words.split()))
    assert "s3cret-token" not in shown
    file.chmod(0o644)
    assert "chmod 600" in client.run("doctor").out


def test_ninth_plugin_then_its_commands_are_there(tmp_path: Path) -> None:
    """A plugin from another package needs no change of the client."""
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, MODULE)
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump({"datasets": DATA}))
    source = {
        "id": "d",
        "name": "D",
        "type": "yaml",
        "properties": {"yamlCatalogPath": str(tmp_path / "datasets.yaml")},
    }
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"catalogs": {"datasets": {"sources": [source]}}}))
    with running(tmp_path / "data", tmp_path / "sources.yaml", PYTHONPATH=str(packages)) as server:
        client = Client(tmp_path, server.url, ["--role", "operator"])
        listed = client.ok("datasets", "datasets", "list", "--filter", "rows > 500").lines
        assert listed[0].split() == ["NAME", "MODALITY", "ROWS", "OWNER"]
        assert listed[1].split() == ["letters", "text", "2000", "archive"]
        assert "Owner:    vision" in client.ok("datasets", "datasets", "get", "faces").out
        assert "sourceId: d" in client.ok("datasets", "datasets", "get", "faces", "-o", "wide").out
        client.ok("datasets", "datasets", "tag", "faces", "--tag", "new")
        assert client.ok("datasets", "sources", "list", "-o", "name").lines == ["d"]
        assert "datasets" in client.ok("--help").out
