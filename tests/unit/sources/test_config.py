"""The error that carries every fault of a configuration."""

from __future__ import annotations

from catalog_server.errors import Invalid, Location
from catalog_server.sources.config import ConfigWarning, InvalidConfig, Section, Source


def test_many_faults_then_message_lists_twenty_and_counts_the_rest() -> None:
    errors = [Invalid(f"fault {n}", field=f"f{n}", location=Location("s.yaml", n), code="c") for n in range(1, 26)]
    error = InvalidConfig(errors)
    lines = error.message.splitlines()
    assert lines[0] == "s.yaml:1: fault 1"
    assert lines[20:] == ["and 5 more errors"]
    assert (error.field, error.code, error.location) == ("f1", "c", Location("s.yaml", 1))
    assert error.errors == tuple(errors)


def test_few_faults_then_one_line_each() -> None:
    assert InvalidConfig([Invalid("a"), Invalid("b")]).message == "a\nb"


def test_warning_then_reads_like_an_error() -> None:
    assert str(ConfigWarning("odd", "kind", Location("s.yaml", 2, 1))) == "s.yaml:2:1: kind: odd"


def test_defaults_then_not_shared() -> None:
    first = Source(id="a", name="A", type="yaml", origin="/f", location=Location("f", 1))
    second = Source(id="b", name="B", type="yaml", origin="/f", location=Location("f", 1))
    assert first.properties is not second.properties
    assert Section("a").named_queries == {}
