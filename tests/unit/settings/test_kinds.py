"""Every kind of value: what it takes, what it refuses and in which words, and secrets that stay secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.settings import (
    TABLE,
    Listen,
    Secret,
    Setting,
    SettingsError,
    UsageError,
    dsn_type,
    load,
    parse_boolean,
)
from tests.unit.settings.reading import HOME, read

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
    "list of hosts": ["a b", "http://a", "a:80", "-"],
    "address": ["8080", "host", ":70000", "::1:8080", "[::1]", "[x]:1", "a b:80", ":http", "http://h:80"],
    "Kubernetes name": ["Upper", "a..b", "-a", "a" * 254],
    "Kubernetes key": ["a/b", "a b"],
    "claim path": [".role", "a..b", "a b"],
}
BAD = [(row, bad) for row in TABLE for bad in BAD_BY_KIND[row.kind.name]]


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


class TestConnectionStrings:
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
