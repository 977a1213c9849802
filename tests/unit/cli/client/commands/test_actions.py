"""Parameters of actions, with types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog_server.cli.client.commands.actions import gather_params, parse_param
from catalog_server.cli.client.failures import Failure, Usage


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("k=v", ("k", "v")),
        ("k=", ("k", "")),
        ("k=a=b,c", ("k", "a=b,c")),
        ("k:=3", ("k", 3)),
        ('k:=["a","b"]', ("k", ["a", "b"])),
        ('k:={"x": null}', ("k", {"x": None})),
        ("k=true", ("k", "true")),
    ],
)
def test_parameter_then_text_unless_it_is_marked_as_json(text: str, found: tuple[str, Any]) -> None:
    assert parse_param(text) == found


@pytest.mark.parametrize("text", ["", "k", "=v", ":=1", "k:=nope", "k:="])
def test_parameter_when_malformed_then_a_usage_error(text: str) -> None:
    with pytest.raises(Usage, match="parameter"):
        parse_param(text)


def test_parameters_when_repeated_then_a_list() -> None:
    assert gather_params(["tags=a", "tags=b", "mode=add"], None, None) == {"tags": ["a", "b"], "mode": "add"}
    assert gather_params([], "a=1,b=2", None) == {"a": "1", "b": "2"}


def test_parameters_then_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("tags: [no]\nmode: add\n")
    assert gather_params(["mode=remove"], None, str(file)) == {"tags": ["no"], "mode": "remove"}
    file.write_text("[1]")
    with pytest.raises(Usage, match="object"):
        gather_params([], None, str(file))
    file.write_text("a: [")
    with pytest.raises(Failure, match=r"p\.yaml:"):
        gather_params([], None, str(file))
