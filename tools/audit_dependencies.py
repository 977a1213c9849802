"""Looks for known vulnerabilities in what uv.lock names, with pip-audit: one that is found fails the check.

pip-audit asks a service for advisories. Where that cannot be reached, or does not know the packages, as behind a
mirror, that is said and nothing fails: a check that needs the network must not stop who works without it.
Further arguments are handed on to pip-audit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
SHOWN = 5
OUT_OF_REACH = re.compile(r"ConnectionError|Could not connect|ServiceError|Timeout|Max retries|network may be blocking")


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        export(requirements)
        found = run("pip-audit", "--requirement", str(requirements), "--disable-pip", "--format=json", *arguments)
    try:
        return report(json.loads(found.stdout)["dependencies"])
    except ValueError:
        if OUT_OF_REACH.search(found.stderr) is None:
            print(found.stderr, file=sys.stderr)
            return 1
        return not_audited("the service for advisories cannot be reached", [])


def export(requirements: Path) -> None:
    """What the lock file names, with hashes, which pip-audit takes as a sign that nothing has to be resolved."""
    done = run(
        "uv",
        "export",
        "--frozen",
        "--all-groups",
        "--all-extras",
        "--no-emit-project",
        "--quiet",
        f"--output-file={requirements}",
    )
    if done.returncode:
        sys.exit(done.stderr)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def report(dependencies: list[dict[str, Any]]) -> int:
    vulnerable = [one for one in dependencies if one.get("vulns")]
    for one in vulnerable:
        for vulnerability in one["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in {fixed}")
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    if skipped:
        not_audited("the service for advisories does not know them", skipped)
    return 1 if vulnerable else 0


def not_audited(reason: str, names: list[str]) -> int:
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    print(f"audit_dependencies: NOT AUDITED: {shown or 'all dependencies'}: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
