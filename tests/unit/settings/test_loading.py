"""From flags and environment to settings: precedence, checks that span settings, the command line, ways to end."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from catalog_server import __version__
from catalog_server.settings import (
    TABLE,
    Secret,
    Setting,
    SettingsError,
    TextRequested,
    UsageError,
    load,
    load_or_exit,
    usage_text,
)
from tests.unit.settings.reading import HOME, read


class TestPrecedence:
    def test_flag_wins_over_variable_and_variable_over_default(self) -> None:
        assert read().config_store.mode == "file"
        assert read(CATALOG_CONFIG_STORE_MODE="k8s").config_store.mode == "k8s"
        assert read(["--config-store=none"], CATALOG_CONFIG_STORE_MODE="k8s").config_store.mode == "none"

    def test_a_bad_variable_that_a_flag_overrides_is_not_read(self) -> None:
        assert read(["--config-store=none"], CATALOG_CONFIG_STORE_MODE="bogus").config_store.mode == "none"

    @pytest.mark.parametrize("blank", ["", " ", "\n"])
    @pytest.mark.parametrize("row", [row for row in TABLE if row.variable], ids=lambda row: row.path)
    def test_empty_is_unset(self, row: Setting, blank: str) -> None:
        assert load([], {**HOME, str(row.variable): blank}) == read()

    def test_empty_flag_falls_through_to_the_variable(self) -> None:
        settings = read(["--db-type="], DATABASE_TYPE="mysql", DATABASE_DSN="mysql://u@h/d")
        assert settings.database.type == "mysql"

    def test_surrounding_blanks_are_dropped(self) -> None:
        assert read(DATABASE_DSN=" postgres://h/d\n").database.dsn == Secret("postgres://h/d")

    def test_unknown_variables_are_left_alone(self) -> None:
        assert read(CATALOG_SERVER_PORT="tcp://10.0.0.1:80", CATALOG_NAMESPACE="UPPER") == read()

    def test_what_was_given_is_known_also_where_it_is_the_default(self) -> None:
        assert read(["--listen=:1"], CATALOG_AUDIT_RETENTION_DAYS="90").given == {
            "server.listen",
            "audit.retention_days",
        }


class TestDatabase:
    @pytest.mark.parametrize("db_type", ["postgres", "mysql"])
    def test_a_server_type_without_a_dsn_stops(self, db_type: str) -> None:
        for argv, environ in ((["--db-type", db_type], {}), ([], {"DATABASE_TYPE": db_type})):
            with pytest.raises(SettingsError, match="DATABASE_DSN or --db-dsn"):
                read(argv, **environ)

    def test_a_type_that_contradicts_the_dsn_stops(self) -> None:
        with pytest.raises(SettingsError) as caught:
            read(["--db-type=mysql"], DATABASE_DSN="postgres://u:hunter2@h/d")
        assert caught.value.message == (
            "--db-type: 'mysql' contradicts DATABASE_DSN, which is a postgres connection string; use 'postgres'"
        )
        with pytest.raises(SettingsError, match=r"^DATABASE_TYPE: 'postgres' contradicts --db-dsn"):
            read(["--db-dsn=sqlite:////d"], DATABASE_TYPE="postgres")


class TestCrossChecks:
    @pytest.mark.parametrize(("duration", "renew", "retry"), [(10, 10, 2), (15, 10, 10), (5, 10, 2), (15, 2, 10)])
    def test_lease_times_must_descend(self, duration: int, renew: int, retry: int) -> None:
        with pytest.raises(SettingsError) as caught:
            read(
                CATALOG_LEADER_LEASE_DURATION=str(duration),
                CATALOG_LEADER_RENEW_DEADLINE=str(renew),
                CATALOG_LEADER_RETRY_PERIOD=str(retry),
            )
        for name, value in (("LEASE_DURATION", duration), ("RENEW_DEADLINE", renew), ("RETRY_PERIOD", retry)):
            assert f"CATALOG_LEADER_{name} ({value})" in caught.value.message

    def test_the_given_lease_setting_is_blamed(self) -> None:
        with pytest.raises(SettingsError, match=r"^CATALOG_LEADER_RENEW_DEADLINE: "):
            read(CATALOG_LEADER_RENEW_DEADLINE="60")

    def test_jwt_needs_a_key_or_consent(self) -> None:
        with pytest.raises(SettingsError, match="CATALOG_JWT_PUBLIC_KEY_PATH"):
            read(CATALOG_AUTH_MODE="jwt")
        assert read(CATALOG_AUTH_MODE="jwt", CATALOG_JWT_PUBLIC_KEY_PATH="/k.pem").authentication.mode == "jwt"
        assert read(CATALOG_AUTH_MODE="jwt", CATALOG_JWT_JWKS="https://i/keys").authentication.mode == "jwt"
        assert read(CATALOG_AUTH_MODE="jwt", CATALOG_JWT_ALLOW_UNVERIFIED="on").authentication.mode == "jwt"

    def test_jwt_has_its_keys_from_one_place(self) -> None:
        both = {"CATALOG_JWT_PUBLIC_KEY_PATH": "/k.pem", "CATALOG_JWT_JWKS": "https://i/keys"}
        with pytest.raises(SettingsError, match=r"^CATALOG_JWT_JWKS: contradicts CATALOG_JWT_PUBLIC_KEY_PATH"):
            read(CATALOG_AUTH_MODE="jwt", **both)
        assert read(**both).authentication.mode == "header"


class TestFlags:
    @pytest.mark.parametrize(
        "argv", [["--listen", ":1"], ["-listen", ":1"], ["--listen=:1"], ["-listen=:1"], ["--listen=:2", "--listen=:1"]]
    )
    def test_spellings(self, argv: list[str]) -> None:
        assert read(argv).server.listen.port == 1

    def test_sources_repeat_and_split(self) -> None:
        settings = read(["--sources", "/a.yaml,/b.yaml", "-sources=/c.yaml", "--sources=/a.yaml"])
        assert settings.paths.sources == (Path("/a.yaml"), Path("/b.yaml"), Path("/c.yaml"))

    def test_compose_command_line(self) -> None:
        dsn = "postgres://catalog:catalog@postgres:5432/catalog?sslmode=disable"
        settings = read(["--listen=:8080", "--sources=/config/sources.yaml", "--db-type=postgres", f"--db-dsn={dsn}"])
        assert settings.database.dsn.reveal() == dsn

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--bogus"], "--bogus: unknown flag"),
            (["-bogus=hunter2"], "--bogus: unknown flag"),
            (["--listen"], "--listen: needs a value"),
            (["--listen=:1", "postgres://u:hunter2@h/d"], "argument 2: is not a flag"),
            (["--"], "argument 1: is not a flag"),
            (["---listen=:1"], "argument 1: is not a flag"),
            (["-postgres://u:hunter2@h/d"], "argument 1: is not a flag"),
        ],
    )
    def test_a_wrong_command_line_is_a_usage_error_without_values(self, argv: list[str], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            read(argv)
        assert caught.value.message.startswith(message)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("flag", ["--help", "-help", "-h"])
    def test_help_names_every_setting(self, flag: str) -> None:
        with pytest.raises(TextRequested) as caught:
            read([flag])
        assert caught.value.text == usage_text()
        for row in TABLE:
            assert (row.flag or str(row.variable)) in caught.value.text
            assert row.purpose in caught.value.text

    def test_version(self) -> None:
        with pytest.raises(TextRequested, match=re.escape(f"catalog-server {__version__}\n")):
            read(["--version"])


class TestLoadOrExit:
    def run(
        self, argv: list[str], capsys: pytest.CaptureFixture[str], **environ: str
    ) -> tuple[int | str | None, str, str]:
        with pytest.raises(SystemExit) as caught:
            load_or_exit(argv, {**HOME, **environ})
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    def test_help_goes_to_stdout(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(["--help"], capsys) == (0, usage_text(), "")

    def test_unknown_flag_shows_usage_and_exits_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = self.run(["--bogus"], capsys)
        assert (code, out) == (2, "")
        assert err == f"catalog-server: --bogus: unknown flag\n{usage_text(with_variables=False)}"

    def test_bad_value_is_one_line_and_exits_1(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = self.run([], capsys, CATALOG_TENANCY_MODE="multi")
        assert (code, out) == (1, "")
        assert err == "catalog-server: CATALOG_TENANCY_MODE: 'multi' is not allowed; use one of single, namespace\n"

    def test_process_arguments_and_environment_are_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["catalog-server", "--listen=:7"])
        monkeypatch.setenv("CATALOG_DATA_DIR", "/from-environ")
        settings = load_or_exit()
        assert settings.server.listen.port == 7
        assert settings.paths.data_dir == Path("/from-environ")
