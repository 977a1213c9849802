"""Holds tests/unit to the shape of src/catalog_server, so that the tests of a module are found without a search.

Both ways: tests/unit/a/test_b.py needs a source src/catalog_server/a/b.py (or the package a/b/), and a module with code
in the pure packages needs its test file. Modules named sql are not pure: tests/contract runs them on real databases.
Exceptions stand in tools/mirror_allowlist.txt, `PATH  # REASON` each, where PATH is the file without its twin.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from allowlist import ROOT, read_allowlist, report

ALLOWLIST = "mirror_allowlist.txt"
SOURCE = ROOT / "src" / "catalog_server"
UNIT = ROOT / "tests" / "unit"
PURE = ("query", "schema", "sources", "errors", "scope", "settings", "health")


def main() -> int:
    allowed = read_allowlist(ALLOWLIST)
    found = dict([*tests_without_source(), *sources_without_test()])
    faults = [fault for name, fault in found.items() if name not in allowed]
    return report("check_test_mirror", faults, set(allowed) - set(found), ALLOWLIST)


def tests_without_source() -> Iterator[tuple[str, str]]:
    for test in UNIT.rglob("test_*.py"):
        module = SOURCE / test.parent.relative_to(UNIT) / test.stem.removeprefix("test_")
        if not module.with_suffix(".py").exists() and not (module / "__init__.py").exists():
            yield name_of(test), f"{name_of(test)}: there is no {name_of(module)}.py"


def sources_without_test() -> Iterator[tuple[str, str]]:
    for source in pure_sources():
        test = UNIT / source.parent.relative_to(SOURCE) / f"test_{source.name}"
        if has_code(source) and not test.exists():
            yield name_of(source), f"{name_of(source)}: there is no {name_of(test)}"


def pure_sources() -> Iterator[Path]:
    for name in PURE:
        modules = [SOURCE / f"{name}.py", *(SOURCE / name).rglob("*.py")]
        yield from (module for module in modules if module.exists() and module.stem not in ("__init__", "sql"))


def has_code(source: Path) -> bool:
    """Whether there is anything to test: a function with a body. Tables, plain classes and protocols have none."""
    nodes = ast.walk(ast.parse(source.read_text(), str(source)))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(not is_stub(function) for function in functions)


def is_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the body is only a docstring or `...`, as in a protocol."""
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in function.body)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    sys.exit(main())
