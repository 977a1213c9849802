"""The table of settings: complete, frozen, free of side effects; and the page that is generated from it."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from catalog_server.settings import GROUPS, TABLE, Cache, Setting
from tests.unit.settings.reading import read, value_of

ROOT = Path(__file__).resolve().parents[3]

SPECIFIED_TEXT = """
DATABASE_TYPE DATABASE_DSN CATALOG_CONFIG_STORE_MODE CATALOG_TENANCY_MODE CATALOG_AUTHZ_MODE CATALOG_AUDIT_ENABLED
CATALOG_AUDIT_RETENTION_DAYS CATALOG_AUDIT_LOG_DENIED CATALOG_JOB_CONCURRENCY CATALOG_JOB_MAX_RETRIES
CATALOG_JOB_ENABLED CATALOG_CACHE_ENABLED CATALOG_CACHE_DISCOVERY_TTL CATALOG_CACHE_CAPABILITIES_TTL
CATALOG_CACHE_MAX_SIZE CATALOG_LEADER_ELECTION_ENABLED CATALOG_LEADER_ELECTION_MODE CATALOG_MIGRATIONS
CATALOG_MIGRATION_LOCK_ENABLED CATALOG_NAMESPACES POD_NAME
POD_NAMESPACE CATALOG_LEADER_LEASE_NAME CATALOG_LEADER_LEASE_NAMESPACE CATALOG_LEADER_LEASE_DURATION
CATALOG_LEADER_RENEW_DEADLINE CATALOG_LEADER_RETRY_PERIOD CATALOG_CONFIG_NAMESPACE CATALOG_CONFIG_CONFIGMAP_NAME
CATALOG_CONFIG_CONFIGMAP_KEY CATALOG_AUTH_MODE CATALOG_JWT_ROLE_CLAIM CATALOG_JWT_OPERATOR_VALUE
CATALOG_JWT_PUBLIC_KEY_PATH CATALOG_JWT_ISSUER CATALOG_JWT_AUDIENCE CATALOG_JWT_ALLOW_UNVERIFIED CATALOG_JWT_JWKS
CATALOG_JWT_GROUPS_CLAIM
CATALOG_GOVERNANCE_CONFIG CATALOG_APPROVAL_POLICIES CATALOG_JOB_POLL_INTERVAL_SECONDS
CATALOG_JOB_CLAIM_TIMEOUT_MINUTES CATALOG_JOB_RETENTION_DAYS CATALOG_DATA_ROOTS CATALOG_SECRETS_DIR
CATALOG_TRUSTED_PROXIES CATALOG_ALLOW_HEADER_AUTH CATALOG_DATA_DIR CATALOG_LOG_FORMAT CATALOG_LOG_LEVEL
CATALOG_MAX_CONNECTIONS CATALOG_HEAD_TIMEOUT_SECONDS CATALOG_STALLED_TIMEOUT_SECONDS CATALOG_IDLE_TIMEOUT_SECONDS
CATALOG_MAX_FILE_BYTES CATALOG_CORS_ORIGINS CATALOG_RESPONSE_CACHE_BYTES CATALOG_WATCH_ENABLED
CATALOG_ALLOWED_NETWORKS CATALOG_SECRET_NAMESPACES HF_API_KEY HF_TOKEN CATALOG_RECONCILE_INTERVAL_SECONDS
KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT CATALOG_KUBERNETES_URL CATALOG_KUBECONFIG
CATALOG_HF_HOSTS CATALOG_METRICS_LISTEN CATALOG_OTLP_ENDPOINT CATALOG_TRACE_SAMPLE_PERCENT
"""


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
            *("--listen", "--sources", "--db-type", "--db-dsn", "--config-store", "--migrations")
        }

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
