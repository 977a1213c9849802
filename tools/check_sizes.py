"""Holds files and functions to the budgets of the house: small enough to be read in one go.

Counted in a function are lines of code: no docstring, blank line or comment. Counted in a file are all lines.
Exceptions stand in tools/size_allowlist.txt, `KEY  # REASON` each, where KEY is `path` or `path::qualified.name`; no
entry lets a file grow beyond HARD_FILE_LINES. `global` statements have no exception.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from allowlist import ROOT, read_allowlist, report

ALLOWLIST = "size_allowlist.txt"
HARD_FILE_LINES = 600
NO_EXCEPTION = ""  # a key that no allow-list can hold
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Budget:
    file_lines: int
    function_lines: int


BUDGETS = {
    "src": Budget(file_lines=400, function_lines=40),
    "bench": Budget(file_lines=400, function_lines=40),
    "tools": Budget(file_lines=400, function_lines=40),
    "tests": Budget(file_lines=600, function_lines=60),
}


def main() -> int:
    allowed = read_allowlist(ALLOWLIST)
    faults: list[str] = []
    used: set[str] = set()
    for folder, budget in BUDGETS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for key, fault in find_faults(name, path.read_text(), budget):
                if key in allowed:
                    used.add(key)
                else:
                    faults.append(fault)
    return report("check_sizes", faults, set(allowed) - used, ALLOWLIST)


def find_faults(name: str, source: str, budget: Budget) -> Iterator[tuple[str, str]]:
    """Yield (allow-list key, message) for each budget that the file `name` breaks."""
    total = len(source.splitlines())
    if total > HARD_FILE_LINES:
        yield NO_EXCEPTION, f"{name}: {total} lines, never more than {HARD_FILE_LINES}"
    elif total > budget.file_lines:
        yield name, f"{name}: {total} lines, budget {budget.file_lines}"
    tree = ast.parse(source, name)
    code = code_lines(source)
    for qualified, function in functions_of(tree, ""):
        count = len(code & body_lines(function))
        if count > budget.function_lines:
            where = f"{name}:{function.lineno}"
            yield f"{name}::{qualified}", f"{where}: {qualified} has {count} code lines, budget {budget.function_lines}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield NO_EXCEPTION, f"{name}:{node.lineno}: `global {', '.join(node.names)}`; pass it as an argument"


def functions_of(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield prefix + child.name, child
        inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
        yield from functions_of(child, inner)


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold more than a comment; a string of many lines counts with each of them."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def body_lines(function: Function) -> set[int]:
    """The numbers of the lines from `def` to the end, without the docstrings of it and of what it holds."""
    lines = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    for node in ast.walk(function):
        if isinstance(node, Function | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines


if __name__ == "__main__":
    sys.exit(main())
