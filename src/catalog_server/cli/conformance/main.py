"""The command catalog-conformance."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import click

from catalog_server import __version__
from catalog_server.cli.client.text import one_line
from catalog_server.cli.conformance.checks import CATEGORIES, Broken
from catalog_server.cli.conformance.runner import Report, Result, all_checks, as_json, run, wait_until_ready
from catalog_server.cli.conformance.subject import Expectations, Site

_NOT_CONFORMANT = 1
_NOT_CHECKED = 2
_LABELS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--server", metavar="URL", default="http://localhost:8080", show_default=True, help="The server to check."
)
@click.option("-p", "--plugin", metavar="NAME", default="", help="Check this plugin only.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "junit"]), default="table", help="Form of the report."
)
@click.option("-n", "--namespace", metavar="NAME", default="", help="The tenant whose catalogs are checked.")
@click.option("--user", metavar="NAME", default="conformance", show_default=True, help="Sent as X-Remote-User.")
@click.option("--role", metavar="ROLE", default="operator", show_default=True, help="Sent as X-User-Role.")
@click.option("--token-file", type=click.Path(exists=True, path_type=Path), help="File with a bearer token.")
@click.option("--ca-file", default="", metavar="FILE", help="Certificates to trust.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for one request.")
@click.option("--expect-kind", "kinds", multiple=True, metavar="KIND", help="A kind that must be there; repeatable.")
@click.option("--skip", multiple=True, type=click.Choice(list(CATEGORIES)), help="Leave a category out; repeatable.")
@click.option(
    "--writes", is_flag=True, help="Also make, change and remove a source, switched off, named conformance-…."
)
@click.option("--list", "is_list", is_flag=True, help="List the checks and what they are for; ask no server.")
@click.version_option(__version__, "--version", prog_name="catalog-conformance")
def command(  # noqa: PLR0913 - one for each option
    server: str,
    plugin: str,
    output: str,
    namespace: str,
    user: str,
    role: str,
    token_file: Path | None,
    ca_file: str,
    timeout: float,
    kinds: tuple[str, ...],
    skip: tuple[str, ...],
    writes: bool,
    is_list: bool,
) -> None:
    """Check a running server: does it keep what the catalog API promises?

    Exit status 0: all checks passed or did not apply; 1: some failed; 2: nothing could be checked.

    \b
    Examples:
      catalog-conformance --server http://localhost:8080
      catalog-conformance --plugin mcp --writes
      catalog-conformance -o junit > conformance.xml
    """
    if is_list:
        for check in all_checks():
            click.echo(f"{check.id:24} {one_line(check.purpose)}")
        return
    identity = {"X-Remote-User": user, "X-User-Role": role}
    if token_file is not None:
        identity = {"Authorization": f"Bearer {token_file.read_text(encoding='utf-8').strip()}"}
    site = Site(server, identity, namespace, timeout, ca_file, Expectations(kinds, writes))
    try:
        wait_until_ready(site)
        report = run(site, plugin, skip, _tell if output == "table" else None)
    except Broken as error:
        click.echo(f"error: {one_line(str(error))}", err=True)
        sys.exit(_NOT_CHECKED)
    _show(report, output)
    sys.exit(0 if report.is_conformant else _NOT_CONFORMANT)


def _tell(result: Result) -> None:
    click.echo(
        f"[{_LABELS[result.status]}] {result.name}" + (f" -- {one_line(result.message)}" if result.message else "")
    )


def _show(report: Report, output: str) -> None:
    if output == "json":
        click.echo(as_json(report))
    elif output == "junit":
        click.echo(as_junit(report))
    else:
        counts = ", ".join(f"{report.count(status)} {status}" for status in ("passed", "failed", "skipped"))
        click.echo(f"{report.server}: {counts}")


def as_junit(report: Report) -> str:
    """As XML, in the form that CI systems read."""
    root = ElementTree.Element("testsuites", name="catalog-conformance")
    for name, results in report.categories():
        failed, skipped = (sum(one.status == status for one in results) for status in ("failed", "skipped"))
        counts = {"tests": str(len(results)), "failures": str(failed), "skipped": str(skipped)}
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, "timestamp": report.timestamp, **counts})
        for one in results:
            case = ElementTree.SubElement(suite, "testcase", classname=one.check.id, name=one.name)
            if one.status != "passed":
                tag = "failure" if one.status == "failed" else "skipped"
                ElementTree.SubElement(case, tag, message=one_line(one.message))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def main() -> None:
    """Entry point of `catalog-conformance`."""
    command()


if __name__ == "__main__":
    main()
