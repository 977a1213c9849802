from __future__ import annotations

from dataclasses import replace

from catalog_server.jobs import transitions
from catalog_server.jobs.job import JobResult, JobState
from tests.unit.jobs.test_job import QUEUED

RUNNING = replace(QUEUED, state=JobState.RUNNING, started_at=1_000, attempt_count=1, worker="w#1")


def test_a_clock_that_went_back_makes_no_negative_duration() -> None:
    assert transitions.completed(RUNNING, JobResult(), 400)["duration_ms"] == 0


def test_a_failure_with_attempts_left_clears_the_run() -> None:
    changes = transitions.failed(RUNNING, "down", 2_000, retry_at=7_000)

    assert (changes["state"], changes["next_attempt_at"], changes["last_error"]) == ("queued", 7_000, "down")
    assert changes["worker"] is changes["started_at"] is changes["heartbeat_at"] is changes["deadline_at"] is None
    assert "active_key" not in changes


def test_a_failure_without_attempts_left_or_without_hope_ends_the_job() -> None:
    spent = transitions.failed(replace(RUNNING, attempt_count=3), "down", 2_000, retry_at=7_000)
    hopeless = transitions.failed(RUNNING, "gone", 2_000, retry_at=None)

    assert (spent["state"], spent["message"]) == ("failed", "Max retries exceeded: down")
    assert (hopeless["state"], hopeless["message"]) == ("failed", "Refresh failed: gone")
    assert spent["active_key"] is hopeless["active_key"] is None
    assert spent["progress"] is hopeless["progress"] is None


def test_a_cancel_that_was_asked_for_wins_over_everything_but_success() -> None:
    asked = replace(RUNNING, cancel_requested=True)

    assert transitions.failed(asked, "down", 2_000, retry_at=7_000)["state"] == "canceled"
    assert transitions.failed(asked, "gone", 2_000, retry_at=None)["state"] == "canceled"
    assert transitions.released(asked, 2_000)["state"] == "canceled"
    assert transitions.completed(asked, JobResult(), 2_000)["state"] == "succeeded"


def test_a_release_gives_the_attempt_back_and_never_goes_below_zero() -> None:
    assert transitions.released(RUNNING, 2_000)["attempt_count"] == 0
    assert transitions.released(replace(RUNNING, attempt_count=0), 2_000)["attempt_count"] == 0
