"""The server, ended by SIGKILL at a step: `python -P tests/mortal_server.py FILE ARGUMENTS-OF-THE-SERVER`.

FILE names the step, once it is there; it is removed just before the end, so that the next start lives.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from catalog_server.cli.server import main


def die_when_told(file: Path, step: str) -> None:
    if file.exists() and file.read_text() == step:
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    told = Path(sys.argv.pop(1))
    main(at_step=lambda step: die_when_told(told, step))
