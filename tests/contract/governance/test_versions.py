"""Versions of assets, and which of them an environment uses, on all databases (spec platform.md 9.4, 9.5, 9.7)."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import pytest
from sqlalchemy import select

from catalog_server.db.engine import Engine, reading
from catalog_server.db.tables import asset_versions
from catalog_server.errors import CatalogError, Conflict, Invalid, NotFound
from catalog_server.governance.actions import plan_action
from catalog_server.governance.binding import Move
from catalog_server.governance.version import VersionCursor
from tests.contract.governance.offices import AGENT, ASSET, ORIGIN, SHELF, Office
from tests.contract.jobs.queues import TEAM_A, TEAM_B


def approve(office: Office) -> None:
    office.decide(office.ask(), "bob")


def test_a_version_keeps_the_entity_and_the_record_as_they_are(engine: Engine, office: Office) -> None:
    office.records.patch(TEAM_A, ASSET, {"owner": {"principal": "ann"}}, office.by("ann"))
    version = office.versions.create(TEAM_A, ASSET, "v1 rc", "first", office.by("ann"), 201)
    assert version.version_id.startswith("v1 rc:")
    assert version.document == {
        "versionId": version.version_id,
        "versionLabel": "v1 rc",
        "createdAt": "2030-03-17T17:46:40Z",
        "createdBy": "ann",
        "contentDigest": f"sha256:{hashlib.sha256(SHELF[TEAM_A, ASSET].document).hexdigest()}",
        "provenance": {
            "sourceType": "git",
            "sourceUri": "servers/ünal.yaml",
            "sourceId": "main",
            "revisionId": ORIGIN.revision_id,
            "observedAt": "2030-03-17T17:46:40Z",
        },
    }
    assert office.versions.list_versions(TEAM_A, ASSET, page_size=9).versions == (version,)
    office.records.patch(TEAM_A, ASSET, {"owner": {"principal": "bob"}}, office.by("bob"))
    with reading(engine) as connection:
        (kept,) = connection.execute(select(asset_versions))
    assert kept.asset_snapshot.encode() == SHELF[TEAM_A, ASSET].document
    assert json.loads(kept.governance_snapshot) == {
        "owner": {"principal": "ann"},
        "risk": {"level": "medium"},
        "lifecycle": {"state": "draft"},
    }
    (event,) = (one for one in office.history() if one.event_type == "governance.version.created")
    assert (event.reason, event.metadata["versionLabel"]) == ("first", "v1 rc")
    assert office.recorded[1] == 201


def test_an_asset_that_no_catalog_has_can_have_versions(office: Office) -> None:
    version = office.versions.create(TEAM_A, AGENT, "1", None, office.by("ann"), 201)
    assert (version.content_digest, version.provenance) == (None, None)
    assert "contentDigest" not in version.document


def test_labels_may_repeat_and_pages_hold_each_version_once(office: Office) -> None:
    made = []
    for number in range(5):
        made.append(office.keep("1.0"))
        office.clock.advance(number % 2)
    office.keep("other", AGENT)
    office.keep("other", ASSET, TEAM_B)
    found: list[str] = []
    after: VersionCursor | None = None
    while True:
        page = office.versions.list_versions(TEAM_A, ASSET, page_size=2, after=after)
        assert page.total_size == 5
        found += [one.version_id for one in page.versions]
        after = page.next
        if after is None:
            break
    assert office.versions.list_versions(TEAM_A, ASSET, page_size=5).next is None
    assert sorted(found) == sorted(set(made))
    assert len(set(made)) == 5


def test_a_draft_is_for_the_first_environment_only(office: Office) -> None:
    version = office.keep("1")
    assert office.do("promotion.bind", environment="dev", versionId=version) == {
        "environment": "dev",
        "versionId": version,
    }
    for environment in ("stage", "prod"):
        with pytest.raises(Invalid, match="draft assets cannot be bound to stage/prod"):
            office.do("promotion.bind", environment=environment, versionId=version)
    with pytest.raises(Invalid, match="is no environment; known: dev, stage, prod"):
        office.do("promotion.bind", environment="production", versionId=version)
    assert office.bound() == {"dev": version}
    assert office.recorded == [201, 200]


def test_promotion_takes_the_version_of_another_environment(office: Office) -> None:
    approve(office)
    one, two = office.keep("1"), office.keep("2")
    office.do("promotion.bind", environment="dev", versionId=one)
    assert office.do("promotion.promote", fromEnv="dev", toEnv="stage") == {
        "fromEnv": "dev",
        "toEnv": "stage",
        "versionId": one,
    }
    office.do("promotion.bind", environment="dev", versionId=two)
    moved = office.do("promotion.promote", fromEnvironment="dev", toEnvironment="stage")
    assert (moved["versionId"], moved["previousVersionId"]) == (two, one)
    with pytest.raises(Invalid, match="no binding found in prod"):
        office.do("promotion.promote", fromEnv="prod", toEnv="stage")
    with pytest.raises(Invalid, match="fromEnv and toEnv must be different"):
        office.do("promotion.promote", fromEnv="dev", toEnv="dev")
    assert office.bound() == {"dev": two, "stage": two}
    promoted, bound = office.history()[:2]
    assert (promoted.event_type, bound.event_type) == ("governance.promotion.promoted", "governance.promotion.bound")
    assert (promoted.metadata, bound.metadata) == ({"fromEnvironment": "dev"}, {})


def test_rollback_goes_back_where_there_is_something_to_go_back_from(office: Office) -> None:
    approve(office)
    one, two = office.keep("1"), office.keep("2")
    with pytest.raises(Conflict, match="nothing to roll back"):
        office.do("promotion.rollback", environment="prod", targetVersionId=one)
    office.do("promotion.bind", environment="prod", versionId=one)
    office.do("promotion.bind", environment="prod", versionId=two)
    rolled = office.do("promotion.rollback", environment="prod", versionId=one)
    assert rolled == {"environment": "prod", "versionId": one, "previousVersionId": two}
    (event,) = (found for found in office.history() if found.event_type == "governance.promotion.rollback")
    assert event.old_value == {"environment": "prod", "versionId": two}
    assert event.new_value == {"environment": "prod", "versionId": one}


def test_what_is_deprecated_is_bound_with_a_warning_and_what_is_archived_is_not(office: Office) -> None:
    approve(office)
    version = office.keep("1")
    office.do("promotion.bind", environment="stage", versionId=version)
    office.act("deprecate")
    assert office.do("promotion.bind", environment="prod", versionId=version)["warning"] == "the asset is deprecated"
    office.act("archive")
    for action, params in (
        ("promotion.bind", {"environment": "dev", "versionId": version}),
        ("promotion.promote", {"fromEnv": "stage", "toEnv": "dev"}),
        ("promotion.rollback", {"environment": "prod", "targetVersionId": version}),
    ):
        with pytest.raises(Invalid, match="archived assets cannot be bound"):
            office.do(action, **params)
    assert office.keep("2"), "what is archived can still be kept"


def test_a_version_of_another_asset_or_namespace_is_none_of_this_one(office: Office) -> None:
    """D73."""
    for version in (office.keep("1", AGENT), office.keep("1", ASSET, TEAM_B), "1:00000000", "x" * 500):
        with pytest.raises(Invalid, match="of this asset not found"):
            office.do("promotion.bind", environment="dev", versionId=version)
        with pytest.raises(NotFound):
            office.bindings.move(TEAM_A, ASSET, Move("promotion.bind", "dev", version), office.by("ann"))
    assert office.bound() == {}


def test_binding_the_same_version_again_changes_nothing(office: Office) -> None:
    version = office.keep("1")
    for _ in range(2):
        office.do("promotion.bind", environment="dev", versionId=version)
    assert sum(event.event_type == "governance.promotion.bound" for event in office.history()) == 1
    (binding,) = office.bindings.list_bindings(TEAM_A, ASSET)
    assert binding.previous_version_id is None


@pytest.mark.parametrize(
    ("action", "params", "data"),
    [
        ("version.create", {"versionLabel": "2"}, {"versionLabel": "2", "lifecycleState": "draft"}),
        ("promotion.bind", {"environment": "dev", "versionId": "VERSION"}, {"environment": "dev"}),
    ],
)
def test_a_preview_changes_nothing(office: Office, action: str, params: dict[str, Any], data: dict[str, Any]) -> None:
    version = office.keep("1")
    params = {name: version if value == "VERSION" else value for name, value in params.items()}
    done = office.actions.preview(TEAM_A, ASSET, plan_action(action, params), "ann")
    assert done.document["status"] == "dry-run"
    assert done.document["data"].items() >= data.items()
    assert office.bound() == {}
    assert office.versions.list_versions(TEAM_A, ASSET, page_size=9).total_size == 1


def test_many_who_bind_at_once_leave_one_binding(office: Office) -> None:
    versions = [office.keep(str(number)) for number in range(5)]
    failures: list[CatalogError] = []

    def bind(version: str) -> None:
        try:
            office.do("promotion.bind", environment="dev", versionId=version)
        except CatalogError as error:
            failures.append(error)

    threads = [threading.Thread(target=bind, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    (binding,) = office.bindings.list_bindings(TEAM_A, ASSET)
    assert binding.version_id in versions
    bound = [event for event in office.history() if event.event_type == "governance.promotion.bound"]
    assert len(bound) == 5
    chain = {(event.new_value or {})["versionId"]: (event.old_value or {}).get("versionId") for event in bound}
    assert set(chain) == set(versions)
    assert len(set(chain.values())) == 5, "each saw the one before"
