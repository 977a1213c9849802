"""`jobs`: refreshes that wait, run or have ended. `await_job` is for every command that takes `--wait`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from threading import Event
from typing import Any, Final

import click

from catalog_server.cli.client.commands.entity_listing import paging_of
from catalog_server.cli.client.commands.options import fetch_list, page_options, page_view, plugin_option
from catalog_server.cli.client.config import parse_seconds
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.rendering import STRUCTURED
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column
from catalog_server.cli.client.text import one_line
from catalog_server.cli.client.views import View, record_view

PATH: Final = "/api/jobs/v1alpha1/refresh"
STATES: Final = ("queued", "running", "succeeded", "failed", "canceled")
_ENDED: Final = ("succeeded", "failed", "canceled")
_WAIT_SECONDS: Final = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_ERASE_LINE: Final = "\r\x1b[K"

_COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("Plugin", "plugin"),
    Column("Source", lambda job: job.get("sourceId") or "(all)"),
    Column("State", "state"),
    Column("Loaded", "entitiesLoaded", is_spare=True),
    Column("Requested At", "requestedAt", is_whole=True, is_spare=True),
    Column("Requested By", "requestedBy", is_spare=True),
    Column("Attempts", "attemptCount", is_wide=True),
    Column("Duration", lambda job: show_milliseconds(job.get("durationMs")), is_wide=True),
    Column("Message", lambda job: job.get("lastError") or job.get("message"), is_wide=True),
)

jobs = Group("jobs", help="Refreshes that wait, run or have ended. Without a command: list.", default="list")


@jobs.command("list", cls=Command, examples=["jobs list", "jobs list --plugin agents --state succeeded -o wide"])
@plugin_option(help="Jobs of this plugin only.")
@click.option("--source", metavar="ID", help="Jobs of this source only; _all: of whole plugins.")
@click.option("--state", type=click.Choice(STATES), help="Jobs in this state only.")
@click.option("--requested-by", metavar="NAME", help="Jobs that this user asked for.")
@page_options
@click.pass_obj
def list_jobs(
    session: Session,
    /,
    plugin: str | None,
    source: str | None,
    state: str | None,
    requested_by: str | None,
    **options: Any,
) -> View:
    """List jobs, newest first."""
    query = [("plugin", plugin), ("sourceId", source), ("state", state), ("requestedBy", requested_by)]
    found = fetch_list(session, PATH, query, "jobs", paging_of(options))
    return page_view(found, _COLUMNS, "No jobs found.")


@jobs.command("get", cls=Command, examples=["jobs get JOB"])
@click.argument("job")
@click.pass_obj
def get_job(session: Session, /, job: str) -> View:
    """Show one job."""
    return job_view(_read(session, job))


@jobs.command("cancel", cls=Command, examples=["jobs cancel JOB"])
@click.argument("job")
@click.pass_obj
def cancel_job(session: Session, /, job: str) -> View:
    """Cancel a job that waits, or ask one that runs to stop. One that has ended is a conflict."""
    document = session.post(f"{PATH}/{segment(job)}:cancel")
    fields = [("Job", document.get("jobId", job)), ("Status", document.get("status"))]
    return record_view(document, fields, str(document.get("jobId", job)))


@jobs.command("watch", cls=Command, examples=["jobs watch JOB", "jobs watch JOB --timeout 60"])
@click.argument("job")
@click.pass_obj
def watch_job(session: Session, /, job: str) -> View:
    """Wait until a job has ended. Exit status 1 unless it succeeded."""
    return await_job(session, job)


def await_job(session: Session, job_id: str) -> View:
    """Look at a job until it has ended, with its progress on stderr for people.

    Raises:
        Failure: it has not ended in time. It goes on.
    """
    seconds = parse_seconds(session.flags.timeout) if session.flags.timeout else _WAIT_SECONDS
    deadline = time.monotonic() + seconds
    progress = _Progress(is_shown=session.form not in STRUCTURED)
    pause, never = _FIRST_PAUSE, Event()
    try:
        while True:
            job = _read(session, job_id)
            progress.show(job)
            if job.get("state") in _ENDED:
                return job_view(job, ExitCode.OK if job["state"] == "succeeded" else ExitCode.OTHER)
            if time.monotonic() + pause > deadline:
                raise Failure(
                    f"job {job_id} is still {job.get('state')} after {seconds:g} s; it goes on",
                    word="timeout",
                    details=job,
                )
            never.wait(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    finally:
        progress.end()


def job_view(job: Mapping[str, Any], code: ExitCode = ExitCode.OK) -> View:
    fields = [
        ("Job", job.get("id")),
        ("Plugin", job.get("plugin")),
        ("Source", job.get("sourceId") or "(all)"),
        ("State", job.get("state")),
        ("Requested", f"{job.get('requestedAt')} by {job.get('requestedBy')}"),
        ("Started", job.get("startedAt")),
        ("Finished", job.get("finishedAt")),
        ("Attempts", job.get("attemptCount")),
        ("Loaded", job.get("entitiesLoaded")),
        ("Removed", job.get("entitiesRemoved", 0)),
        ("Duration", show_milliseconds(job.get("durationMs"))),
        ("Message", job.get("message")),
        ("Error", job.get("lastError")),
    ]
    return View(job, record_view(job, fields, "").parts, [str(job.get("id"))], code=code)


def show_milliseconds(value: Any) -> str:
    """`850 ms`, `2.31 s`."""
    if not isinstance(value, int | float):
        return ""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def _read(session: Session, job_id: str) -> dict[str, Any]:
    return session.get(f"{PATH}/{segment(job_id)}")


class _Progress:
    """One line that is written over in a terminal; elsewhere a line for each new state."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._is_terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._state = ""

    def show(self, job: Mapping[str, Any]) -> None:
        if not self._is_shown:
            return
        loaded, removed = job.get("entitiesLoaded", 0), job.get("entitiesRemoved", 0)
        seconds = time.monotonic() - self._started
        doing = f" ({job['progress']})" if job.get("progress") else ""
        line = one_line(f"{job.get('state')}{doing}: loaded {loaded}, removed {removed}, {seconds:.1f} s")
        if self._is_terminal:
            sys.stderr.write(f"{_ERASE_LINE}{line}")
        elif job.get("state") != self._state:
            sys.stderr.write(f"{line}\n")
        self._state = str(job.get("state"))
        sys.stderr.flush()

    def end(self) -> None:
        if self._is_shown and self._is_terminal:
            sys.stderr.write(_ERASE_LINE)
            sys.stderr.flush()
