"""The program: runs a command, shows its answer, and turns whatever goes wrong into one line and an exit status."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from catalog_server.cli.client import config, environment
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Outcome, output_of
from catalog_server.cli.client.rendering import STRUCTURED, dump, render
from catalog_server.cli.client.tables import Layout
from catalog_server.cli.client.text import one_line
from catalog_server.cli.client.tree import root
from catalog_server.cli.client.views import View

if TYPE_CHECKING:
    from catalog_server.cli.client.session import Session

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
BROKEN_PIPE = 141
"""128 + SIGPIPE: who reads the output has seen enough."""


def main() -> None:
    """Entry point of `catalog-cli` and `catalogctl`."""
    sys.stdout, sys.stderr = (stream or _nowhere() for stream in (sys.stdout, sys.stderr))
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    program = Path(sys.argv[0]).name
    sys.exit(run(sys.argv[1:], program if program == "catalogctl" else environment.APPLICATION))


def run(arguments: Sequence[str], program: str = environment.APPLICATION) -> int:
    """Run one command line; return the exit status."""
    try:
        return _run(list(arguments), program)
    except click.Abort:
        sys.stderr.write("\n")
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard(sys.stdout)
        return BROKEN_PIPE
    except Failure as failure:
        return _tell(failure, arguments)
    except click.ClickException as error:
        return _tell(_usage(error), arguments)
    except Exception as error:  # noqa: BLE001 - the client's door: no fault of ours may show a stack trace
        return _tell(_fault(error), arguments)


def _run(arguments: list[str], program: str) -> int:
    # Its outcome is a View, or an exit status where click has shown help.
    outcome = root.main(arguments or ["--help"], prog_name=program, standalone_mode=False)
    if not isinstance(outcome, Outcome):
        return int(outcome or 0)
    _show(outcome.view, outcome.session)
    return int(outcome.view.code)


def _show(view: View, session: Session) -> None:
    form = view.form or session.form
    layout = layout_for(sys.stdout, form, has_headers=not session.flags.no_headers)
    _write(sys.stdout, render(view, form, layout))
    if form not in STRUCTURED:
        _write(sys.stderr, (f"{note}\n" for note in view.notes))


def layout_for(stream: TextIO, form: str, *, has_headers: bool) -> Layout:
    """The room that a stream has. Where it is no terminal, nothing is cut or coloured."""
    is_terminal = stream.isatty()
    can_ellipsis = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return Layout(
        width=shutil.get_terminal_size().columns if is_terminal else None,
        is_wide=form == "wide",
        has_headers=has_headers,
        has_colour=environment.wants_colour(is_terminal),
        ellipsis="…" if can_ellipsis else "...",
    )


def _tell(failure: Failure, arguments: Sequence[str]) -> int:
    """Say what went wrong: a line for people, an object for programs."""
    form = output_of(arguments) or _configured_form()
    with suppress(Failure, BrokenPipeError):  # where it cannot be told, the exit status tells
        if form not in STRUCTURED:
            _write(sys.stderr, [f"error: {one_line(failure.line)}\n"])
        else:
            _tell_programs(dump(failure.document, form), form)
    return int(failure.code)


def _tell_programs(text: str, form: str) -> None:
    """Who pipes the output into a parser gets the object, too, unless that stream has it already."""
    has_reader = form != "jsonl" and not sys.stdout.isatty() and not _are_same(sys.stdout, sys.stderr)
    _write(sys.stderr, [text])
    if has_reader:
        _write(sys.stdout, [text])


def _configured_form() -> str:
    try:
        return config.load(environment.config_path()).get("output", "")
    except Failure:
        return ""


def _are_same(one: TextIO, other: TextIO) -> bool:
    first, second = os.fstat(one.fileno()), os.fstat(other.fileno())
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _usage(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    hint = f" (see '{context.command_path} --help')" if context is not None else ""
    return Failure(f"{error.format_message().rstrip('.')}{hint}", ExitCode.USAGE, word="usage")


def _fault(error: Exception) -> Failure:
    """A fault of this program, with the place where it happened."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    return Failure(f"internal error, please report it: {type(error).__name__}: {error}{place}", word="internal")


def _write(stream: TextIO, chunks: Iterable[str]) -> None:
    try:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk
        _discard(stream)
        raise Failure(f"the output cannot be written: {error.strerror}") from error


def _nowhere() -> TextIO:
    """In the place of a stream that is closed."""
    return open(os.devnull, "w", encoding="utf-8")


def _discard(stream: TextIO) -> None:
    """What is left in its buffer would fail once more at the end of the process."""
    with _nowhere() as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


if __name__ == "__main__":
    main()
