"""Writes deploy/requirements.txt: the runtime dependencies of uv.lock with their hashes, for the image.

`--check`: write nothing, and fail when the file is stale.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy/requirements.txt"
_HEAD = "# Made from uv.lock by tools/gen_requirements.py. Do not edit.\n"


def render() -> str:
    options = ["--frozen", "--no-dev", "--no-emit-project", "--no-annotate", "--no-header", "--quiet"]
    uv = Path(sys.executable).with_name("uv")
    found = subprocess.run([uv, "export", *options], cwd=ROOT, check=True, capture_output=True, text=True)
    return _HEAD + found.stdout


def main(argv: list[str]) -> int:
    text = render()
    if "--check" in argv:
        if TARGET.exists() and TARGET.read_text() == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is stale; run: python tools/gen_requirements.py")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
