"""The command catalog-gen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog_server import __version__
from catalog_server.cli.client.text import one_line
from catalog_server.errors import Invalid

if TYPE_CHECKING:
    from catalog_server.cli.gen.checks import Finding

_FAILED = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="catalog-gen")
def commands() -> None:
    """Begin a plugin package, check one, raise its version.

    \b
    Examples:
      catalog-gen init datasets --entity Dataset
      catalog-gen validate --governance datasets
      catalog-gen bump-version minor --dir datasets
    """


@commands.command()
@click.argument("name")
@click.option("--entity", required=True, metavar="KIND", help="Name of the kind in camel case, such as Dataset.")
@click.option("--plural", metavar="WORD", help="Its plural in addresses and files; by default KIND with an s.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to; by default NAME.")
def init(name: str, entity: str, plural: str | None, output: Path | None) -> None:
    """Write a package with a plugin that works: declaration, samples, tests. Nothing is overwritten."""
    from catalog_server.cli.gen.package import Names, write_package

    folder = output or Path(name)
    for path in write_package(folder, Names.of(name, entity, plural)):
        click.echo(f"wrote {path}")
    click.echo(f"\nNext: cd {folder}; pip install -e '.[test]'; pytest; catalog-gen validate --governance")


@commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--governance", is_flag=True, help="Also what an index asks of a plugin: owners, versions, licence.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the report.")
def validate(folder: Path, governance: bool, output: str) -> None:
    """Check the plugin in FOLDER, which holds its plugin.yaml. Its declaration is imported, installed or not.

    Exit status 1: a check failed.
    """
    from catalog_server.cli.gen.checks import validate as check_all

    findings = list(check_all(folder, governance=governance))
    passed = all(one.passed for one in findings)
    if output == "json":
        report = {"pluginDir": str(folder), "passed": passed, "checks": [_as_document(one) for one in findings]}
        click.echo(json.dumps(report, indent=2))
    else:
        for one in findings:
            click.echo(f"[{'PASS' if one.passed else 'FAIL'}] {one.name}")
            for fault in one.faults:
                click.echo(f"       {one_line(str(fault))}")
        click.echo(f"{sum(one.passed for one in findings)} of {len(findings)} checks passed")
    sys.exit(0 if passed else _FAILED)


def _as_document(finding: Finding) -> dict[str, Any]:
    if finding.passed:
        return {"name": finding.name, "passed": True}
    problems = [
        {
            "file": fault.location.file,
            "line": fault.location.line,
            **({} if fault.location.column is None else {"column": fault.location.column}),
            **({"field": fault.field} if fault.field else {}),
            "message": fault.message,
        }
        for fault in finding.faults
    ]
    return {"name": finding.name, "passed": False, "message": finding.message, "problems": problems}


@commands.command("bump-version")
@click.argument("part", type=click.Choice(["major", "minor", "patch"]))
@click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="The folder of the plugin; by default this one.",
)
def bump_version(part: str, folder: Path) -> None:
    """Raise the version in plugin.yaml and pyproject.toml; all else in them stays as it is."""
    from catalog_server.cli.gen.bump import bump
    from catalog_server.cli.gen.versions import PARTS

    old, new = bump(folder, next(one for one in PARTS if one == part))
    click.echo(f"{old} -> {new}")


@commands.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of plugin.yaml."""
    from catalog_server.cli.gen.manifest import schema

    click.echo(json.dumps(schema(), indent=2))


def main() -> None:
    """Entry point of `catalog-gen`."""
    try:
        commands()
    except Invalid as error:
        field = f"{error.field}: " if error.field else ""
        sys.exit(f"Error: {one_line(field + error.message)}")
    except OSError as error:
        sys.exit(f"Error: {one_line(f'{error.filename}: {error.strerror}')}")


if __name__ == "__main__":
    main()
