"""Rows of the table, and the defaults that are derived from other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_server.settings import TABLE, SettingsError, load
from tests.unit.settings.reading import read


class TestRows:
    def test_every_row_has_a_purpose(self) -> None:
        for row in TABLE:
            assert row.purpose.endswith(".")


class TestFolders:
    def test_data_dir_follows_xdg_then_home(self) -> None:
        assert read().paths.data_dir == Path("/home/op/.local/share/catalog-server")
        assert read(XDG_DATA_HOME="/xdg").paths.data_dir == Path("/xdg/catalog-server")
        assert read(XDG_DATA_HOME="relative").paths.data_dir == Path("/home/op/.local/share/catalog-server")
        assert read(CATALOG_DATA_DIR="/data").paths.data_dir == Path("/data")

    def test_no_home_asks_for_the_data_dir(self) -> None:
        with pytest.raises(SettingsError, match=r"^CATALOG_DATA_DIR: "):
            load([], {})
        assert load([], {"CATALOG_DATA_DIR": "/data"}).paths.data_dir == Path("/data")

    def test_data_roots_when_unset_then_are_left_to_the_layout(self) -> None:
        assert read().paths.data_roots == ()
        assert read(CATALOG_DATA_ROOTS="/x,/y").paths.data_roots == (Path("/x"), Path("/y"))

    def test_lease_namespace_follows_the_pod(self) -> None:
        assert read(POD_NAMESPACE="ml").leader_election.lease_namespace == "ml"
        both = read(POD_NAMESPACE="ml", CATALOG_LEADER_LEASE_NAMESPACE="locks")
        assert both.leader_election.lease_namespace == "locks"

    def test_pod_name_defaults_to_the_host_name(self) -> None:
        assert read().leader_election.pod_name
        assert read(POD_NAME="catalog-0").leader_election.pod_name == "catalog-0"

    def test_without_a_dsn_the_embedded_database_is_used(self) -> None:
        for settings in (read(CATALOG_DATA_DIR="/var/data"), read(["--db-type=sqlite"], CATALOG_DATA_DIR="/var/data")):
            assert settings.database.type == "sqlite"
            assert settings.database.dsn.reveal() == "sqlite:////var/data/catalog.db"

    def test_embedded_path_is_escaped(self) -> None:
        assert read(CATALOG_DATA_DIR="/a b?").database.dsn.reveal() == "sqlite:////a%20b%3F/catalog.db"
