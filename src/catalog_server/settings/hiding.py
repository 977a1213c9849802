"""Keeps the environment from libraries that read it while they are imported.

What the server does is said by its settings, which loading.py reads. Some libraries read variables of their own
besides, and one that is wrong there would even keep such a library from being imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hide_variables(*prefixes: str) -> Iterator[None]:
    """Within, Python code finds no variables whose names begin with one of the `prefixes`; not even other threads do.

    Only the mapping is another one. To unset variables would be a risk: the C library reads them in other threads.
    """
    everything = os.environ
    shown = {name: value for name, value in everything.items() if not name.startswith(prefixes)}
    os.environ = shown  # type: ignore[assignment]  # noqa: B003 (child processes and C keep them)
    try:
        yield
    finally:
        os.environ = everything  # noqa: B003
