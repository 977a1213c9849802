"""A batch: what people are shown of its problems."""

from __future__ import annotations

from catalog_server.catalog.records import MAX_PROBLEMS, Batch, Problem


def problem(severity: str, number: int) -> Problem:
    return Problem(severity, f"{severity} {number}", "f.yaml", number)


def test_problems_when_there_are_many_warnings_then_errors_are_shown_all_the_same() -> None:
    batch = Batch()
    for number in range(MAX_PROBLEMS + 50):
        batch.add_problem(problem("warning", number))
    for number in range(3):
        batch.add_problem(problem("error", number))
    assert (batch.warnings, batch.errors, len(batch.problems)) == (MAX_PROBLEMS + 50, 3, MAX_PROBLEMS)
    assert [one for one in batch.problems if one.severity == "error"] == [problem("error", n) for n in range(3)]
    assert batch.problems[: MAX_PROBLEMS - 3] == [problem("warning", n) for n in range(MAX_PROBLEMS - 3)]


def test_problems_when_there_are_many_errors_then_the_first_are_shown() -> None:
    batch = Batch()
    for number in range(MAX_PROBLEMS + 10):
        batch.add_problem(problem("error", number))
    assert batch.problems == [problem("error", number) for number in range(MAX_PROBLEMS)]
    assert batch.errors == MAX_PROBLEMS + 10
