"""The command catalog-gen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ParamSpec

import click

from catalog_server import __version__
from catalog_server.errors import Invalid

_FAILED = 1
P = ParamSpec("P")


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
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to; by default NAME.")
def init(name: str, entity: str, output: Path | None) -> None:
    """Write a package with a plugin that works: declaration, samples, tests."""
    from catalog_server.cli.gen.package import write_package

    folder = output or Path(name)
    for path in write_package(folder, name, entity):
        click.echo(f"wrote {path}")
    click.echo(f"\nNext: cd {folder}; pip install -e '.[test]'; pytest; catalog-gen validate --governance")


@commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--governance", is_flag=True, help="Also what an index asks of a plugin: owners, versions, licence.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the report.")
def validate(folder: Path, governance: bool, output: str) -> None:
    """Check the plugin in FOLDER, that with its plugin.yaml. It has to be installed. Exit status 1: a check failed."""
    from catalog_server.cli.gen.checks import validate as check_all

    findings = list(check_all(folder, governance=governance))
    passed = all(one.passed for one in findings)
    if output == "json":
        checks = [{"name": one.name, "passed": one.passed, **_message(one.message)} for one in findings]
        click.echo(json.dumps({"pluginDir": str(folder), "passed": passed, "checks": checks}, indent=2))
    else:
        for one in findings:
            click.echo(
                f"[{'PASS' if one.passed else 'FAIL'}] {one.name}" + (f" -- {one.message}" if one.message else "")
            )
        click.echo(f"{sum(one.passed for one in findings)} of {len(findings)} checks passed")
    sys.exit(0 if passed else _FAILED)


def _message(text: str) -> dict[str, str]:
    return {"message": text} if text else {}


@commands.command("bump-version")
@click.argument("part", type=click.Choice(["major", "minor", "patch"]))
@click.option("--dir", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
def bump_version(part: str, folder: Path) -> None:
    """Raise the version in plugin.yaml, and in pyproject.toml where it is the same."""
    from catalog_server.cli.gen.versions import PARTS, bump

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
        sys.exit(f"Error: {field}{error.message}" if field not in error.message else f"Error: {error.message}")
