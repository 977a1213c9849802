"""Mutation testing of what keeps tenants apart and callers within their permissions; `make mutants` runs it.

Changes one thing at a time in the modules that mutants.toml names, in a clone of the checkout, and says which no test
noticed. Exit status 1: there is one that is not in ACCEPTED.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLONE = ROOT / ".data" / "mutants"
CONFIGURATION = "tools/mutants.toml"
ACCEPTED = {
    "core/ReplaceComparisonOperator_Is_Eq: if answer is True:": "an answer is True, False or a future",
    "core/ReplaceBinaryOperator_Mul_Div: def tenancy(allowed: Collection[str], *, is_shared: bool) -> Middleware:": (
        "the star of keyword-only arguments is no multiplication, and types see what it is"
    ),
}
"""Survivors that mean nothing, without their place, and why."""


def main() -> int:
    shutil.rmtree(CLONE, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(CLONE)], check=True)
    (CLONE / ".venv").symlink_to(ROOT / ".venv")
    cosmic_ray("init", CONFIGURATION, "session.sqlite")
    cosmic_ray("baseline", CONFIGURATION)
    cosmic_ray("exec", CONFIGURATION, "session.sqlite")
    results = [json.loads(line) for line in cosmic_ray("dump", "session.sqlite").splitlines()]
    survivors = [describe(item) for item, result in results if result is None or result["test_outcome"] != "killed"]
    for place, change in survivors:
        print(f"survived: {place}: {change}" + (f" (accepted: {ACCEPTED[change]})" if change in ACCEPTED else ""))
    print(f"{len(results)} mutants, {len(survivors)} survived")
    return 1 if {change for _, change in survivors} - set(ACCEPTED) else 0


def cosmic_ray(*arguments: str) -> str:
    # The clone's own modules go before those that the environment was made for.
    environ = {**os.environ, "PYTHONPATH": "src"}
    command = [str(ROOT / ".venv/bin/cosmic-ray"), *arguments]
    return subprocess.run(command, cwd=CLONE, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout


def describe(item: dict[str, Any]) -> tuple[str, str]:
    """Where it is, and what was changed."""
    found = item["mutations"][0]
    line = found["start_pos"][0]
    text = (CLONE / found["module_path"]).read_text().splitlines()[line - 1].strip()
    return f"{found['module_path']}:{line}", f"{found['operator_name']}: {text}"


if __name__ == "__main__":
    sys.exit(main())
