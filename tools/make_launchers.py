"""Writes the programs of the image: one executable file for each script that pyproject.toml names, into a folder.

`healthcheck` is copied whole: it needs the standard library only, and runs every few seconds.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_STANDALONE = "healthcheck"
_SHEBANG = "#!/usr/bin/python3 -P\n"
# No site-packages, no variables of the environment: it starts in a fraction of the time.
_BARE_SHEBANG = "#!/usr/bin/python3 -IS\n"


def launcher(name: str, target: str) -> str:
    """The text of one program. `target` is `module:function`."""
    module, function = target.split(":")
    if name == _STANDALONE:
        source = ROOT.joinpath("src", *module.split(".")).with_suffix(".py")
        return _BARE_SHEBANG + source.read_text()
    return f"{_SHEBANG}import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        program = folder / name
        program.write_text(launcher(name, target))
        program.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
