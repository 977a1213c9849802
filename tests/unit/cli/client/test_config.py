"""The configuration file: private, whole, and with known keys only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from catalog_server.cli.client.config import changed, load, parse_seconds, redacted, save
from catalog_server.cli.client.failures import ExitCode, Usage


def test_config_when_saved_then_loaded_again_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    save(path, {"server": "http://ü", "token": "secret"})
    assert load(path) == {"server": "http://ü", "token": "secret"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["config.json"]


def test_config_when_there_is_none_then_empty(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"server": 1}', '{"sever": "x"}', "\xff"])
def test_config_when_broken_then_a_usage_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Usage, match=r"config\.json") as caught:
        load(path)
    assert caught.value.code == ExitCode.USAGE


def test_config_when_a_value_is_set_then_others_stay_and_empty_removes() -> None:
    assert changed({"server": "a"}, "namespace", "red") == {"server": "a", "namespace": "red"}
    assert changed({"server": "a", "namespace": "red"}, "namespace", "") == {"server": "a"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("nope", "1"), ("timeout", "soon"), ("timeout", "-1"), ("output", "xml"), ("insecure-skip-verify", "1")],
)
def test_config_when_a_value_is_not_allowed_then_refused(key: str, value: str) -> None:
    with pytest.raises(Usage):
        changed({}, key, value)


def test_token_then_never_shown() -> None:
    assert "secret" not in str(redacted({"token": "secret", "server": "x"}))


@pytest.mark.parametrize("text", ["nan", "inf", "0", "", "x"])
def test_seconds_when_not_a_time_then_refused(text: str) -> None:
    with pytest.raises(Usage):
        parse_seconds(text)
