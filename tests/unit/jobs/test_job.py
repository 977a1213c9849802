from __future__ import annotations

from dataclasses import replace

from catalog_server.jobs.job import Job, JobResult, JobState, idempotency_key, job_document
from catalog_server.scope import Scope

QUEUED = Job(
    id="5f0c",
    namespace="team-a",
    plugin="model",
    source_id=None,
    requested_by="ann",
    requested_at=1_900_000_000_999,
    state=JobState.QUEUED,
    progress=None,
    message=None,
    started_at=None,
    finished_at=None,
    attempt_count=0,
    max_attempts=3,
    last_error=None,
    idempotency_key="team-a:model:_all",
    active_key="team-a:model:_all",
    entities_loaded=None,
    entities_removed=None,
    duration_ms=None,
    worker=None,
    heartbeat_at=None,
    next_attempt_at=1_900_000_000_999,
    deadline_at=None,
    cancel_requested=False,
    confirm_removal=False,
)


def test_the_document_of_a_fresh_job_holds_what_is_always_there() -> None:
    assert job_document(QUEUED) == {
        "id": "5f0c",
        "namespace": "team-a",
        "plugin": "model",
        "requestedBy": "ann",
        "requestedAt": "2030-03-17T17:46:40Z",
        "state": "queued",
        "attemptCount": 0,
    }


def test_the_document_of_a_finished_job_holds_all_and_no_secret_of_the_queue() -> None:
    done = replace(
        QUEUED,
        state=JobState.SUCCEEDED,
        source_id="models",
        progress="100 %",
        message="Loaded 6 entities",
        started_at=1_900_000_001_000,
        finished_at=1_900_000_003_500,
        attempt_count=2,
        last_error="host is down",
        entities_loaded=6,
        entities_removed=0,
        duration_ms=2_500,
        worker="pod-1#ab",
    )

    document = job_document(done)

    assert document.keys() == job_document(QUEUED).keys() | {
        *("sourceId", "progress", "message", "startedAt", "finishedAt", "lastError", "entitiesLoaded", "durationMs")
    }
    assert (document["startedAt"], document["finishedAt"]) == ("2030-03-17T17:46:41Z", "2030-03-17T17:46:43Z")
    assert (document["state"], document["entitiesLoaded"], document["durationMs"]) == ("succeeded", 6, 2_500)


def test_keys_differ_wherever_namespace_plugin_or_source_differ() -> None:
    assert idempotency_key(Scope("a"), "model", "x:y") == "a:model:x:y"
    assert idempotency_key(Scope("a"), "model", None) == "a:model:_all"


def test_states_that_are_terminal() -> None:
    assert {str(state) for state in JobState if state.is_terminal} == {"succeeded", "failed", "canceled"}


def test_a_summary_mentions_removals_only_when_there_are_some() -> None:
    assert JobResult(entities_loaded=6).summary == "Loaded 6 entities"
    assert JobResult(entities_loaded=6, entities_removed=2).summary == "Loaded 6 entities, removed 2"


def test_a_job_knows_its_scope() -> None:
    assert QUEUED.scope == Scope("team-a")
