"""Variables that a library must not find while it is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from catalog_server.settings.hiding import hide_variables


def read() -> tuple[str | None, str | None]:
    return os.getenv("ODD_ONE"), os.environ.get("OTHER")


def test_hidden_then_not_found_within_and_there_again_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_ONE", "1")
    monkeypatch.setenv("OTHER", "2")
    with hide_variables("ODD_", "NONE_"):
        assert read() == (None, "2")
    assert read() == ("1", "2")


def test_error_within_then_there_again() -> None:
    before = os.environ
    with pytest.raises(ZeroDivisionError), hide_variables("ODD_"):
        raise ZeroDivisionError
    assert os.environ is before


def test_hidden_then_child_processes_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment itself is not touched: that would be unsafe beside other threads."""
    monkeypatch.setenv("ODD_ONE", "1")
    with hide_variables("ODD_"):
        program = "import os, sys; sys.exit(os.environ.get('ODD_ONE') != '1')"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
