"""Allow-lists of the house checks: `KEY  # REASON` a line; an exception without a reason is no exception.

check_sizes.py and check_test_mirror.py say what a key is. Blank lines and lines that begin with `#` are comments.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_allowlist(name: str) -> dict[str, str]:
    """The entries of tools/`name` as key -> reason; empty when there is no such file."""
    path = ROOT / "tools" / name
    if not path.exists():
        return {}
    entries: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, reason = map(str.strip, line.partition("#"))
        if not key:
            continue
        if not reason or key in entries:
            raise SystemExit(f"tools/{name}:{number}: {key!r} {'is listed twice' if reason else 'has no reason'}")
        entries[key] = reason
    return entries


def report(check: str, faults: list[str], unused: set[str], name: str) -> int:
    """Print what is wrong, also entries of the list `name` that nothing needs any more; return the exit code."""
    lines = sorted(faults) + [f"tools/{name}: {key!r} is no longer needed, remove it" for key in sorted(unused)]
    for line in lines:
        print(f"{check}: {line}")
    return 1 if lines else 0
