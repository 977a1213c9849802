"""The roots that data may come from, as far as no disk is needed; the rest is in tests/contract/sources."""

from __future__ import annotations

from pathlib import Path

from catalog_server.sources.paths import Roots, default_roots, folder_of


def test_default_roots_then_beside_the_sources_file_and_of_the_image() -> None:
    roots = default_roots(Path("/srv/app/config/sources.yaml"), [Path("/data")])
    expected = ("/srv/app/config", "/srv/app/plugins", "/srv/app/sample-repos", "/plugins", "/sample-repos", "/data")
    assert roots == Roots(tuple(map(Path, expected)))


def test_default_roots_when_file_is_in_root_directory_then_machine_stays_closed() -> None:
    assert default_roots(Path("/sources.yaml")).paths == (Path("/plugins"), Path("/sample-repos"))


def test_folder_of_origin_when_it_is_no_file_then_none() -> None:
    assert folder_of("/srv/app/sources.yaml") == Path("/srv/app")
    assert [folder_of(origin) for origin in ("configmap:ns/name[sources.yaml]", "api", "")] == [None, None, None]
