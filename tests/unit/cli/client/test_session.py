"""Whom a run asks, as whom: flags, then variables, then the file, then defaults."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from catalog_server.cli.client.failures import Failure, Usage
from catalog_server.cli.client.session import Flags, Session


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CATALOG_SERVER", "CATALOG_SERVER_BASE_URL", "CATALOG_NAMESPACE", "CATALOG_TOKEN", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def configure(home: Path, **values: str) -> None:
    path = home / ".config/catalog-cli/config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key.replace("_", "-"): value for key, value in values.items()}))


def test_server_then_flag_before_variables_before_file_before_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Session(Flags()).server == "http://localhost:8080"
    configure(home, server="http://file/")
    assert Session(Flags()).server == "http://file"
    monkeypatch.setenv("CATALOG_SERVER_BASE_URL", "http://base")
    assert Session(Flags()).server == "http://base"
    monkeypatch.setenv("CATALOG_SERVER", "http://variable")
    assert Session(Flags()).server == "http://variable"
    assert Session(Flags(server="http://flag")).server == "http://flag"


def test_headers_then_identity_and_namespace(home: Path) -> None:
    assert Session(Flags()).headers == {}
    configure(home, namespace="red", user="olivia", role="operator", groups="a,b")
    assert Session(Flags()).headers == {
        "X-Namespace": "red",
        "X-User-Role": "operator",
        "X-Remote-User": "olivia",
        "X-Remote-Group": "a,b",
    }
    flags = Flags(namespace="blue", user="vera", role="viewer", group=("c", "d"))
    assert Session(flags).headers == {
        "X-Namespace": "blue",
        "X-User-Role": "viewer",
        "X-Remote-User": "vera",
        "X-Remote-Group": "c,d",
    }


def test_token_then_flag_before_file_flag_before_variable_before_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "token"
    file.write_text(" from-file\n")
    configure(home, token_file=str(file))
    assert Session(Flags()).headers["Authorization"] == "Bearer from-file"
    configure(home, token="configured")
    assert Session(Flags()).headers["Authorization"] == "Bearer configured"
    monkeypatch.setenv("CATALOG_TOKEN", "variable")
    assert Session(Flags()).headers["Authorization"] == "Bearer variable"
    assert Session(Flags(token_file=str(file))).headers["Authorization"] == "Bearer from-file"
    assert Session(Flags(token="flag", token_file="nowhere")).headers["Authorization"] == "Bearer flag"


def test_token_then_not_in_the_words_of_a_session() -> None:
    session = Session(Flags(token="hidden-token"))
    assert "hidden-token" not in repr(session.flags)
    assert "hidden-token" not in repr(session.transport.target)


def test_token_file_when_it_cannot_be_read_then_a_usage_error(home: Path) -> None:
    (home / "empty").write_text("\n")
    for name in ("missing", "empty"):
        with pytest.raises(Usage, match="token-file"):
            _ = Session(Flags(token_file=str(home / name))).headers


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x?y"]
)
def test_server_when_it_is_no_url_of_one_then_a_usage_error(url: str) -> None:
    with pytest.raises(Usage, match="server"):
        _ = Session(Flags(server=url)).transport


def test_question_when_nobody_is_there_then_refused_without_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(Usage, match="--yes"):
        Session(Flags()).confirm("Delete it?")
    Session(Flags(yes=True)).confirm("Delete it?")


@pytest.mark.parametrize(
    ("answer", "is_yes"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_question_when_asked_in_a_terminal_then_only_yes_is_yes(
    answer: str, is_yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    if is_yes:
        Session(Flags()).confirm("Delete 'x\x1b'?", ["delete x"])
    else:
        with pytest.raises(Failure, match="not confirmed"):
            Session(Flags()).confirm("Delete 'x\x1b'?", ["delete x"])
    assert capsys.readouterr().err == "delete x\nDelete 'x\\x1b'? [y/N] "
