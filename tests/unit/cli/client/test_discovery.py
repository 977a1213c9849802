"""What a plugin says of itself, and the cache of that: never trusted, never in the way."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog_server.cli.client.discovery import Discovery, Entity, Plugin
from catalog_server.cli.client.failures import ExitCode, Failure, Unreachable

B = "/api/x_catalog/v1alpha1"


def answer(*names: str) -> dict[str, Any]:
    return {"plugins": [{"name": name, "basePath": B} for name in names]}


class Server:
    """Answers with what it is given, and counts."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        return answer(*self.names)


def test_plugins_when_seen_less_than_a_minute_ago_then_nobody_is_asked(tmp_path: Path) -> None:
    server = Server("a", "b")
    assert [one.name for one in Discovery(server, tmp_path, ["s"]).plugins()] == ["a", "b"]
    assert [one.name for one in Discovery(server, tmp_path, ["s"]).plugins()] == ["a", "b"]
    assert server.asked == 1
    assert [one.name for one in Discovery(server, tmp_path, ["other namespace"]).plugins()] == ["a", "b"]
    assert server.asked == 2
    assert oct((next(tmp_path.iterdir())).stat().st_mode)[-3:] == "600"


def test_plugins_without_a_cache_then_asked_each_time() -> None:
    server = Server("a")
    for _ in range(2):
        Discovery(server, None, ["s"]).plugins()
    assert server.asked == 2


def test_plugin_when_new_then_found_although_the_cache_does_not_know_it(tmp_path: Path) -> None:
    server = Server("a")
    Discovery(server, tmp_path, ["s"]).plugins()
    server.names = ("a", "ninth")
    assert Discovery(server, tmp_path, ["s"]).get("ninth").name == "ninth"
    assert server.asked == 2


def test_plugin_when_unknown_then_asked_once_and_not_found(tmp_path: Path) -> None:
    server = Server("a")
    with pytest.raises(Failure, match="there are: a") as caught:
        Discovery(server, tmp_path, ["s"]).get("z")
    assert caught.value.code == ExitCode.NOT_FOUND
    assert server.asked == 1


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 1, "time": "x", "answer": {}}',
        '{"format": 0, "time": 0, "answer": {"plugins": []}}',
        json.dumps({"format": 1, "time": time.time(), "answer": {"plugins": [1]}}),
        json.dumps({"format": 1, "time": time.time() + 3600, "answer": answer("future")}),
        json.dumps({"format": 1, "time": time.time() - 61, "answer": answer("old")}),
    ],
    ids=lambda stored: stored[:9] + stored[-12:],
)
def test_cache_when_broken_or_old_then_it_counts_as_none(tmp_path: Path, stored: str) -> None:
    Discovery(Server("a"), tmp_path, ["s"]).plugins()
    (file,) = tmp_path.iterdir()
    file.write_text(stored)
    server = Server("b")
    assert [one.name for one in Discovery(server, tmp_path, ["s"]).plugins()] == ["b"]
    assert server.asked == 1


def test_cache_when_the_folder_cannot_be_made_then_it_works_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = Server("a")
    assert [one.name for one in Discovery(server, tmp_path / "file", ["s"]).plugins()] == ["a"]


def test_cache_when_many_write_at_once_then_always_whole(tmp_path: Path) -> None:
    def work(number: int) -> list[str]:
        seen: list[str] = []
        for _ in range(40):
            discovery = Discovery(Server("a", "b"), tmp_path, ["s"])
            discovery.find(f"unknown {number}")  # asks, and writes
            seen += [one.name for one in discovery.seen()]
        return seen

    with ThreadPoolExecutor(4) as pool:
        for seen in pool.map(work, range(4)):
            assert seen == ["a", "b"] * 40
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("document", [None, [], {}, {"plugins": None}, {"plugins": ["a"]}])
def test_answer_when_it_is_none_of_a_catalog_server_then_said(document: Any) -> None:
    with pytest.raises(Failure, match="catalog-server"):
        Discovery(lambda: document, None, []).plugins()


def test_seen_then_old_ones_too_and_never_asked(tmp_path: Path) -> None:
    def fetch() -> Any:
        raise Unreachable("down")

    assert Discovery(fetch, tmp_path, ["s"]).seen() == []


def entity(get: str) -> Entity:
    return Entity(Plugin({"name": "x", "basePath": B}), {"plural": "xs", "endpoints": {"get": get}})


@pytest.mark.parametrize(
    ("get", "name", "source", "found"),
    [
        (f"{B}/xs/{{name}}", "a/b ü'\"", "", (f"{B}/xs/a%2Fb%20%C3%BC%27%22", {})),
        (f"{B}/xs/{{name}}", "a", "s", (f"{B}/xs/a", {"sourceId": "s"})),
        (f"{B}/sources/{{source_id}}/xs/{{name}}", "a/b", "s 1", (f"{B}/sources/s%201/xs/a%2Fb", {})),
        (f"{B}/sources/{{source_id}}/xs/{{name}}", "a/b", "", (f"{B}/management/entities/a%2Fb", {})),
        ("", "..", "", (f"{B}/management/entities/..", {})),
    ],
)
def test_path_of_an_entity_then_names_are_one_encoded_segment(get: str, name: str, source: str, found: Any) -> None:
    assert entity(get).get_path(name, source) == found


def test_kind_when_a_plugin_has_several_then_it_has_to_be_named() -> None:
    kinds = [{"plural": "as", "kind": "A"}, {"plural": "bs", "kind": "B"}]
    plugin = Plugin({"name": "x", "capabilitiesV2": {"entities": kinds}})
    assert plugin.entity("bs").kind == plugin.entity("B").kind == "B"
    for plural in ("", "cs"):
        with pytest.raises(Failure, match="as, bs"):
            plugin.entity(plural)
