"""What the tests of the settings share: reading them with nothing but a home folder in the environment."""

from __future__ import annotations

from catalog_server.settings import Setting, Settings, load

HOME = {"HOME": "/home/op"}


def read(argv: list[str] | None = None, **environ: str) -> Settings:
    return load(argv or [], {**HOME, **environ})


def value_of(settings: Settings, row: Setting) -> object:
    group, _, name = row.path.partition(".")
    return getattr(getattr(settings, group), name)
