"""Counts and durations: each goes where it belongs, also from many threads."""

from __future__ import annotations

import threading

from catalog_server.telemetry.measurements import Durations, Series, Tally


def test_a_duration_falls_under_the_first_bound_that_is_not_below_it() -> None:
    durations = Durations([0.1, 1.0])
    for seconds in (0.05, 0.1, 0.2, 1.0, 5.0):
        durations.add(("GET",), seconds)
    assert durations.read() == {("GET",): Series((2, 2, 1), 6.35)}


def test_labels_are_counted_apart() -> None:
    tally = Tally()
    for result in ("hit", "miss", "hit"):
        tally.add("answers", result)
    assert tally.read() == {("answers", "hit"): 2, ("answers", "miss"): 1}


def test_what_is_read_does_not_change_any_more() -> None:
    durations, tally = Durations([1.0]), Tally()
    durations.add((), 0.5)
    tally.add()
    read = durations.read(), tally.read()
    durations.add((), 0.5)
    tally.add()
    assert read == ({(): Series((1, 0), 0.5)}, {(): 1})


def test_no_count_is_lost_between_threads() -> None:
    durations, tally = Durations([1.0]), Tally()

    def work() -> None:
        for _ in range(5000):
            durations.add(("a",), 0.5)
            tally.add("a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.read() == {("a",): 20_000}
    assert durations.read()["a",].counts == (20_000, 0)
