"""settings.py: precedence, every kind of value, the cross checks, secrets, help, and the generated page."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server import __version__
from catalog_server.errors import Invalid
from catalog_server.settings import (
    GROUPS,
    TABLE,
    Cache,
    Listen,
    Secret,
    Setting,
    Settings,
    SettingsError,
    TextRequested,
    UsageError,
    dsn_type,
    load,
    load_or_exit,
    parse_boolean,
    usage_text,
)

ROOT = Path(__file__).resolve().parents[2]
HOME = {"HOME": "/home/op"}

SPECIFIED_TEXT = """
DATABASE_TYPE DATABASE_DSN CATALOG_CONFIG_STORE_MODE CATALOG_TENANCY_MODE CATALOG_AUTHZ_MODE CATALOG_AUDIT_ENABLED
CATALOG_AUDIT_RETENTION_DAYS CATALOG_AUDIT_LOG_DENIED CATALOG_JOB_CONCURRENCY CATALOG_JOB_MAX_RETRIES
CATALOG_JOB_ENABLED CATALOG_CACHE_ENABLED CATALOG_CACHE_DISCOVERY_TTL CATALOG_CACHE_CAPABILITIES_TTL
CATALOG_CACHE_MAX_SIZE CATALOG_LEADER_ELECTION_ENABLED CATALOG_MIGRATION_LOCK_ENABLED CATALOG_NAMESPACES POD_NAME
POD_NAMESPACE CATALOG_LEADER_LEASE_NAME CATALOG_LEADER_LEASE_NAMESPACE CATALOG_LEADER_LEASE_DURATION
CATALOG_LEADER_RENEW_DEADLINE CATALOG_LEADER_RETRY_PERIOD CATALOG_CONFIG_NAMESPACE CATALOG_CONFIG_CONFIGMAP_NAME
CATALOG_CONFIG_CONFIGMAP_KEY CATALOG_AUTH_MODE CATALOG_JWT_ROLE_CLAIM CATALOG_JWT_OPERATOR_VALUE
CATALOG_JWT_PUBLIC_KEY_PATH CATALOG_JWT_ISSUER CATALOG_JWT_AUDIENCE CATALOG_JWT_ALLOW_UNVERIFIED
CATALOG_GOVERNANCE_CONFIG CATALOG_APPROVAL_POLICIES CATALOG_JOB_POLL_INTERVAL_SECONDS
CATALOG_JOB_CLAIM_TIMEOUT_MINUTES CATALOG_JOB_RETENTION_DAYS CATALOG_DATA_ROOTS CATALOG_SECRETS_DIR
CATALOG_TRUSTED_PROXIES CATALOG_ALLOW_HEADER_AUTH CATALOG_DATA_DIR CATALOG_LOG_FORMAT CATALOG_LOG_LEVEL
CATALOG_MAX_FILE_BYTES CATALOG_CORS_ORIGINS CATALOG_RESPONSE_CACHE_BYTES CATALOG_WATCH_ENABLED
"""

BAD_BY_KIND = {
    "boolean": ["maybe", "2", "ja", "enabled", "truee"],
    "integer": ["three", "-1", "1.5", "1_0", "\u0661", "60s", "99999999999999999999", "0x10"],
    "choice": ["other", "none,file"],
    "text": ["a\nb", "\x07"],
    "secret text": ["postgres://u:hunter2\n@h/d"],
    "path": ["/a\nb"],
    "list of paths": [",", "/a,/b\x00"],
    "namespace": ["Team-A", "-a", "a" * 64, "a_b"],
    "list of namespaces": ["a,B", ",", "a b"],
    "list of networks": ["localhost", "10.0.0.0/33", "10.0.0.1,x"],
    "list of origins": ["example.com", "https://example.com/", "ftp://x", "null", "https://a:b"],
    "address": ["8080", "host", ":70000", "::1:8080", "[::1]", "[x]:1", "a b:80", ":http", "http://h:80"],
    "Kubernetes name": ["Upper", "a..b", "-a", "a" * 254],
    "Kubernetes key": ["a/b", "a b"],
    "claim path": [".role", "a..b", "a b"],
}
BAD = [(row, bad) for row in TABLE for bad in BAD_BY_KIND[row.kind.name]]


def read(argv: list[str] | None = None, **environ: str) -> Settings:
    return load(argv or [], {**HOME, **environ})


def value_of(settings: Settings, row: Setting) -> object:
    group, _, name = row.path.partition(".")
    return getattr(getattr(settings, group), name)


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_settings", ROOT / "tools" / "gen_settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestTable:
    def test_every_specified_variable_is_in_the_table_once(self) -> None:
        variables = [row.variable for row in TABLE if row.variable]
        assert sorted(variables) == sorted(SPECIFIED_TEXT.split())

    def test_flags_are_the_documented_ones(self) -> None:
        assert {row.flag for row in TABLE if row.flag} == {
            *("--listen", "--sources", "--db-type", "--db-dsn", "--config-store")
        }

    def test_every_row_has_a_purpose_and_a_status(self) -> None:
        for row in TABLE:
            assert row.purpose.endswith(".")
            assert row.since in ("active", "validated now, used by a later release")

    def test_every_field_has_a_docstring_with_unit_or_reason(self) -> None:
        notes = load_tool().read_docstrings()
        for row in TABLE:
            group, _, name = row.path.partition(".")
            assert notes[f"{GROUPS[group].__name__}.{name}"].endswith(".")

    @pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
    def test_default_is_what_the_group_has_without_load(self, row: Setting) -> None:
        if row.derive is None:
            assert value_of(read(), row) == row.kind.parse(row.default)

    def test_groups_are_usable_on_their_own(self) -> None:
        assert Cache(enabled=False).max_entries == 1000

    def test_everything_is_frozen(self) -> None:
        settings = read()
        for group in GROUPS:
            part = getattr(settings, group)
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, dataclasses.fields(part)[0].name, None)


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


class TestBadValues:
    @pytest.mark.parametrize(("row", "bad"), BAD, ids=[f"{row.path}-{bad[:12]!a}" for row, bad in BAD])
    def test_a_bad_value_stops_with_one_line_naming_origin_value_and_allowed(self, row: Setting, bad: str) -> None:
        if row.path == "jobs.max_retries" and bad == "0":
            return
        origin = row.variable or str(row.flag)
        argv, environ = ([], {origin: bad}) if row.variable else ([f"{origin}={bad}"], {})
        with pytest.raises(SettingsError) as caught:
            load(argv, {**HOME, **environ})
        message = caught.value.message
        assert isinstance(caught.value, Invalid)
        assert caught.value.field == origin
        assert message.startswith(f"{origin}: ")
        assert message.endswith(row.kind.allowed)
        assert len(message.splitlines()) == 1
        assert row.kind.secret or repr(bad)[:70] in message or len(bad) > 70
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("row", [row for row in TABLE if row.flag], ids=lambda row: row.path)
    def test_a_bad_flag_is_named_as_the_flag(self, row: Setting) -> None:
        with pytest.raises(SettingsError, match=f"^{row.flag}: ") as caught:
            load([str(row.flag), BAD_BY_KIND[row.kind.name][0]], {**HOME, str(row.variable): "x"})
        assert not isinstance(caught.value, UsageError)

    @pytest.mark.parametrize(
        ("name", "bad"),
        [
            ("CATALOG_JOB_CONCURRENCY", "0"),
            ("CATALOG_JOB_CONCURRENCY", "257"),
            ("CATALOG_AUDIT_RETENTION_DAYS", "0"),
            ("CATALOG_CACHE_MAX_SIZE", "0"),
            ("CATALOG_LEADER_RETRY_PERIOD", "0"),
            ("CATALOG_MAX_FILE_BYTES", "0"),
        ],
    )
    def test_limits(self, name: str, bad: str) -> None:
        with pytest.raises(SettingsError, match=f"^{name}: '{bad}' is not allowed; use a whole number from 1 to"):
            load([], {**HOME, name: bad})

    def test_long_values_are_cut(self) -> None:
        with pytest.raises(SettingsError) as caught:
            read(CATALOG_TENANCY_MODE="x" * 5000)
        assert len(caught.value.message) < 200


class TestGoodValues:
    @pytest.mark.parametrize("text", ["true", "True", "TRUE", "t", "T", "1", "yes", "Yes", "on", "ON"])
    def test_true(self, text: str) -> None:
        assert parse_boolean(text) is True
        assert read(CATALOG_LEADER_ELECTION_ENABLED=text).leader_election.enabled is True

    @pytest.mark.parametrize("text", ["false", "False", "FALSE", "f", "F", "0", "no", "No", "off", "OFF"])
    def test_false(self, text: str) -> None:
        assert parse_boolean(text) is False
        assert read(CATALOG_AUDIT_ENABLED=text).audit.enabled is False

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (":8080", Listen("", 8080)),
            ("127.0.0.1:0", Listen("127.0.0.1", 0)),
            ("catalog.local:65535", Listen("catalog.local", 65535)),
            ("[::1]:8080", Listen("::1", 8080)),
            ("[]:80", None),
        ],
    )
    def test_listen(self, text: str, expected: Listen | None) -> None:
        if expected is None:
            with pytest.raises(SettingsError):
                read(["--listen", text])
            return
        assert read(["--listen", text]).server.listen == expected
        assert str(expected) == text

    def test_lists(self) -> None:
        settings = read(
            CATALOG_NAMESPACES=" team-a, ,team-b,team-a",
            CATALOG_TRUSTED_PROXIES="10.0.0.1/8, ::1",
            CATALOG_CORS_ORIGINS="https://UI.example.com:8443,http://[::1]:9000",
        )
        assert settings.tenancy.namespaces == ("team-a", "team-b")
        assert [str(network) for network in settings.authentication.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
        assert settings.server.cors_origins == ("https://ui.example.com:8443", "http://[::1]:9000")

    def test_choices_ignore_case(self) -> None:
        assert read(CATALOG_LOG_LEVEL="INFO").logging.level == "info"

    def test_zero_switches_the_response_cache_off_and_means_no_retries(self) -> None:
        settings = read(CATALOG_RESPONSE_CACHE_BYTES="0", CATALOG_JOB_MAX_RETRIES="0")
        assert settings.cache.response_bytes == 0
        assert settings.jobs.max_retries == 0

    def test_lease_namespace_follows_the_pod(self) -> None:
        assert read(POD_NAMESPACE="ml").leader_election.lease_namespace == "ml"
        both = read(POD_NAMESPACE="ml", CATALOG_LEADER_LEASE_NAMESPACE="locks")
        assert both.leader_election.lease_namespace == "locks"

    def test_pod_name_defaults_to_the_host_name(self) -> None:
        assert read().leader_election.pod_name
        assert read(POD_NAME="catalog-0").leader_election.pod_name == "catalog-0"

    def test_given_settings_of_a_later_release_are_named(self) -> None:
        settings = read(["--config-store", "none", "--listen=:1"], CATALOG_TENANCY_MODE="namespace")
        assert settings.not_active_yet == ("--config-store", "CATALOG_TENANCY_MODE")


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

    def test_data_roots_follow_the_sources(self) -> None:
        assert read().paths.data_roots == (Path("/config"), Path("/plugins"), Path("/sample-repos"))
        roots = read(["--sources", "a/b/sources.yaml"]).paths.data_roots
        assert roots[:2] == (Path("a/b").absolute(), Path("a/plugins").absolute())
        assert read(CATALOG_DATA_ROOTS="/x,/y").paths.data_roots == (Path("/x"), Path("/y"))


class TestDatabase:
    def test_without_a_dsn_the_embedded_database_is_used(self) -> None:
        for settings in (read(CATALOG_DATA_DIR="/var/data"), read(["--db-type=sqlite"], CATALOG_DATA_DIR="/var/data")):
            assert settings.database.type == "sqlite"
            assert settings.database.dsn.reveal() == "sqlite:////var/data/catalog.db"

    def test_embedded_path_is_escaped(self) -> None:
        assert read(CATALOG_DATA_DIR="/a b?").database.dsn.reveal() == "sqlite:////a%20b%3F/catalog.db"

    @pytest.mark.parametrize("db_type", ["postgres", "mysql"])
    def test_a_server_type_without_a_dsn_stops(self, db_type: str) -> None:
        for argv, environ in ((["--db-type", db_type], {}), ([], {"DATABASE_TYPE": db_type})):
            with pytest.raises(SettingsError, match="DATABASE_DSN or --db-dsn"):
                read(argv, **environ)

    @pytest.mark.parametrize(
        ("dsn", "expected"),
        [
            ("postgres://u:p@h/d?sslmode=disable", "postgres"),
            ("postgresql://h/d", "postgres"),
            ("host=h dbname=d password=a@/b", "postgres"),
            ("host = h", "postgres"),
            ("mysql://u:p@h/d", "mysql"),
            ("MariaDB://u:p@h/d", "mysql"),
            ("u:p=x@tcp(h:3306)/d?parseTime=true", "mysql"),
            ("u://p@tcp(h)/d", "mysql"),
            ("u@unix(/run/my.sock)/d", "mysql"),
            ("u:p@/d", "mysql"),
            ("/d", "mysql"),
            ("sqlite:////d", "sqlite"),
            ("oracle://u:p@h/d", None),
            ("oracle://u:p@/d", None),
            ("nonsense", None),
        ],
    )
    def test_the_dsn_gives_the_type(self, dsn: str, expected: str | None) -> None:
        assert dsn_type(dsn) == expected
        if expected is None:
            with pytest.raises(SettingsError, match=r"^DATABASE_DSN: .* use postgres://"):
                read(DATABASE_DSN=dsn)
        else:
            assert read(DATABASE_DSN=dsn).database.type == expected
            assert read([f"--db-dsn={dsn}"]).database.dsn.reveal() == dsn

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
        assert read(CATALOG_AUTH_MODE="jwt", CATALOG_JWT_ALLOW_UNVERIFIED="on").authentication.mode == "jwt"


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


class TestSecrets:
    def test_secret_shows_nothing(self) -> None:
        secret = Secret("hunter2")
        assert "hunter2" not in f"{secret} {secret!r} {secret!s} {[secret]}"
        assert secret.reveal() == "hunter2"
        assert secret == Secret("hunter2") != Secret("other")
        assert hash(secret) == hash(Secret("hunter2"))

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6).map(lambda text: f"Zz{text}"))
    def test_password_is_in_no_repr_and_no_error(self, password: str) -> None:
        for dsn in (f"postgres://u:{password}@h/d", f"u:{password}@tcp(h)/d", f"host=h password={password}", password):
            for environ in ({"DATABASE_DSN": dsn}, {"DATABASE_DSN": dsn, "DATABASE_TYPE": "sqlite"}):
                try:
                    shown = repr(load([], {**HOME, **environ}))
                except SettingsError as error:
                    shown = f"{error} {error!r} {error.__cause__!r}"
                assert password not in shown

    @pytest.mark.parametrize("name", ["DATABASE_TYPE", "CATALOG_TENANCY_MODE", "CATALOG_JOB_CONCURRENCY"])
    def test_a_dsn_in_the_wrong_variable_is_not_shown(self, name: str) -> None:
        for dsn in ("postgres://u:hunter2@h/d", "host=h PASSWORD=hunter2"):
            with pytest.raises(SettingsError) as caught:
                load([], {**HOME, name: dsn})
            assert "hunter2" not in str(caught.value)


class TestReferencePage:
    def test_page_is_up_to_date(self) -> None:
        tool = load_tool()
        assert tool.PAGE.read_text(encoding="utf-8") == tool.render(), "run tools/gen_settings_reference.py"
        assert tool.main(["--check"]) == 0

    def test_check_fails_when_stale(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tool = load_tool()
        monkeypatch.setattr(tool, "PAGE", tmp_path / "docs" / "settings.md")
        assert tool.main(["--check"]) == 1
        assert tool.main([]) == 0
        assert tool.main(["--check"]) == 0
        tool.PAGE.write_text("old", encoding="utf-8")
        assert tool.main(["--check"]) == 1
        assert "stale" in capsys.readouterr().err

    def test_page_names_every_setting(self) -> None:
        page = load_tool().render()
        for row in TABLE:
            assert f"`{row.variable or row.flag}`" in page


def test_importing_reads_no_environment() -> None:
    code = (
        "import os\n"
        "class Refuse(dict):\n"
        "    def __getitem__(self, key): raise AssertionError(key)\n"
        "    get = __contains__ = __getitem__\n"
        "import dataclasses, ipaddress, pathlib, socket, typing, urllib.parse\n"
        "os.environ = Refuse()\n"
        "import catalog_server.settings\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ), timeout=30)
