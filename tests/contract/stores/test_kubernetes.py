"""The ConfigMap store against a real HTTP server: creation, conflicts, snapshots, what the former server left."""

from __future__ import annotations

import hashlib
import json

import pytest

from catalog_server.errors import Conflict, NotFound, Unavailable
from catalog_server.sources.stores.base import save_with_retry
from catalog_server.sources.stores.configmap_revisions import KEPT
from catalog_server.sources.stores.kubernetes import ConfigMapStore, Place
from tests.contract.stores.conftest import FIRST, Kubernetes
from tests.fake_kubernetes import KubeObject

NAME = "catalog-sources"
PLACE = Place()
PREFIX = "catalog.kubeflow.org/"


def open_store(kubernetes: Kubernetes, place: Place = PLACE) -> ConfigMapStore:
    return ConfigMapStore(kubernetes.client, place, initial=lambda: FIRST)


def save(store: ConfigMapStore, data: bytes, **details: str) -> str:
    return store.save(data, store.load().version, **details)


def configmap(kubernetes: Kubernetes) -> KubeObject:
    found = kubernetes.cluster.find("configmaps", "default", NAME)
    assert found is not None
    return found


def put(kubernetes: Kubernetes, text: str, **metadata: object) -> None:
    kubernetes.cluster.put(
        "configmaps", "default", {"metadata": {"name": NAME, **metadata}, "data": {"sources.yaml": text}}
    )


def snapshot_names(kubernetes: Kubernetes) -> list[str]:
    return [name for name in kubernetes.cluster.names("configmaps", "default") if "-rev-" in name]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_load_when_deleted_while_the_server_runs_then_unavailable_and_not_made_anew(kubernetes: Kubernetes) -> None:
    """What was changed since the start would be lost without a word."""
    store = ConfigMapStore(kubernetes.client, Place(), initial=lambda: FIRST)
    version = store.load().version
    kubernetes.cluster.objects.clear()
    with pytest.raises(Unavailable, match="was deleted"):
        store.load()
    with pytest.raises(Unavailable, match="was deleted"):
        store.save(b"new", version)
    assert kubernetes.cluster.objects == {}
    assert ConfigMapStore(kubernetes.client, Place(), initial=lambda: FIRST).load().data == FIRST


def test_load_when_absent_then_made_from_the_file(kubernetes: Kubernetes) -> None:
    place = Place("team-a", "other", "conf.yaml")
    assert open_store(kubernetes, place).load().data == FIRST
    made = kubernetes.cluster.find("configmaps", "team-a", "other")
    assert made is not None
    assert made["data"] == {"conf.yaml": FIRST.decode()}
    assert open_store(kubernetes, place).describe() == "configmap:team-a/other[conf.yaml]"
    with pytest.raises(Unavailable, match="no such ConfigMap"):
        ConfigMapStore(kubernetes.client, Place()).load()


def test_load_when_another_replica_makes_it_first_then_that_one(kubernetes: Kubernetes) -> None:
    def before(method: str, path: str) -> None:
        if method == "POST":
            kubernetes.cluster.before = lambda method, path: None
            put(kubernetes, "theirs")

    kubernetes.cluster.before = before
    assert open_store(kubernetes).load().data == b"theirs"


def test_load_when_key_is_missing_then_says_which_are_there(kubernetes: Kubernetes) -> None:
    kubernetes.cluster.put("configmaps", "default", {"metadata": {"name": NAME}, "data": {"source.yaml": ""}})
    with pytest.raises(Unavailable, match=r"lacks the key; it has: source\.yaml"):
        open_store(kubernetes).load()


def test_save_when_changed_between_read_and_write_then_conflict(kubernetes: Kubernetes) -> None:
    store = open_store(kubernetes)
    version = store.load().version

    def before(method: str, path: str) -> None:
        if method == "PUT":
            kubernetes.cluster.before = lambda method, path: None
            put(kubernetes, "theirs")

    kubernetes.cluster.before = before
    with pytest.raises(Conflict, match="retry the operation"):
        store.save(b"mine", version)
    assert store.load().data == b"theirs"
    kubernetes.cluster.before = before
    assert save_with_retry(store, lambda data: data + b" and mine").data == b"theirs and mine"


def test_save_then_other_keys_and_annotations_stay(kubernetes: Kubernetes) -> None:
    body: KubeObject = {"metadata": {"name": NAME, "labels": {"a": "b"}, "annotations": {"x": "y"}}}
    kubernetes.cluster.put("configmaps", "default", {**body, "data": {"sources.yaml": "", "other": "kept"}})
    save(open_store(kubernetes), b"new")
    found = configmap(kubernetes)
    assert found["data"] == {"sources.yaml": "new", "other": "kept"}
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found["metadata"]["annotations"]["x"] == "y"


def test_save_when_large_and_often_then_annotations_stay_small(kubernetes: Kubernetes) -> None:
    store = open_store(kubernetes)
    for index in range(KEPT + 3):
        save(store, (f"# {index}\n" * 60_000).encode(), author="ann", reason="r" * 1000)
    annotations = configmap(kubernetes)["metadata"]["annotations"]
    assert sum(map(len, annotations.values())) < 20_000
    assert len(snapshot_names(kubernetes)) == KEPT
    assert all(len(name) == len(f"{NAME}-rev-") + 8 for name in snapshot_names(kubernetes))


def test_save_when_a_state_returns_then_listed_once(kubernetes: Kubernetes) -> None:
    store = open_store(kubernetes)
    for data in (b"a", b"b", b"a", b"b", b"c"):
        save(store, data)
    index = json.loads(configmap(kubernetes)["metadata"]["annotations"][f"{PREFIX}revisions"])
    assert [entry["hash"] for entry in index] == [digest(b"b"), digest(b"a"), digest(FIRST)]
    assert [store.read_revision(one.hash) for one in store.list_revisions()] == [b"c", b"b", b"a", FIRST]


def test_revisions_of_the_former_server_then_read_and_moved_out(kubernetes: Kubernetes) -> None:
    old = [f"old {index} é\n" for index in range(3)]
    shorts = [digest(text.encode())[:8] for text in old]
    index = [{"version": short, "timestamp": "2031-04-01T10:00:00Z", "size": 5} for short in shorts]
    annotations = {f"{PREFIX}rev-{short}": text for short, text in zip(shorts, old, strict=True)}
    put(kubernetes, "now", annotations={**annotations, f"{PREFIX}revisions": json.dumps(index)})
    store = open_store(kubernetes)
    for _ in range(2):
        listed = [one.version for one in store.list_revisions()]
        assert [version for version in listed if version in shorts] == shorts
        assert [store.read_revision(short) for short in shorts] == [text.encode() for text in old]
        save(store, store.load().data + b"!")
    assert not [key for key in configmap(kubernetes)["metadata"]["annotations"] if "/rev-" in key]


def test_snapshot_when_gone_or_damaged_then_not_found(kubernetes: Kubernetes) -> None:
    store = open_store(kubernetes)
    save(store, b"second")
    [name] = snapshot_names(kubernetes)
    found = kubernetes.cluster.find("configmaps", "default", name)
    assert found is not None
    kubernetes.cluster.put("configmaps", "default", {**found, "binaryData": {"sources.yaml.gz": "AAAA"}})
    with pytest.raises(NotFound, match="is gone"):
        store.read_revision(digest(FIRST))


def test_snapshot_when_its_name_is_taken_then_kept_under_a_longer_one(kubernetes: Kubernetes) -> None:
    taken = f"{NAME}-rev-{digest(FIRST)[:8]}"
    kubernetes.cluster.put("configmaps", "default", {"metadata": {"name": taken}, "data": {"a": "b"}})
    store = open_store(kubernetes)
    save(store, b"second")
    assert store.read_revision(digest(FIRST)) == FIRST
    assert snapshot_names(kubernetes) == [taken, f"{NAME}-rev-{digest(FIRST)}"]


def test_prune_then_old_orphans_go_and_young_ones_stay(kubernetes: Kubernetes) -> None:
    for name, created in (("old", "2020-01-01T00:00:00Z"), ("young", None)):
        metadata = {"name": f"{NAME}-rev-{name}", "labels": {f"{PREFIX}revision-of": NAME}}
        extra = {"creationTimestamp": created} if created else {}
        kubernetes.cluster.put("configmaps", "default", {"metadata": {**metadata, **extra}})
    store = open_store(kubernetes)
    for index in range(KEPT + 1):
        save(store, b"%d" % index)
    assert f"{NAME}-rev-old" not in snapshot_names(kubernetes)
    assert f"{NAME}-rev-young" in snapshot_names(kubernetes)


@pytest.mark.parametrize("verb", ["PUT", "POST"])
def test_save_when_role_forbids_then_read_only(kubernetes: Kubernetes, verb: str) -> None:
    store = open_store(kubernetes)
    store.load()
    kubernetes.cluster.forbidden.add((verb, "configmaps"))
    with pytest.raises(Unavailable, match="config store is read-only"):
        save(store, b"new")
    assert "forbidden" in (store.is_writable() or "")
    kubernetes.cluster.forbidden.clear()
    save(store, b"new")
    assert store.is_writable() is None


def test_save_when_immutable_then_read_only(kubernetes: Kubernetes) -> None:
    kubernetes.cluster.put(
        "configmaps", "default", {"metadata": {"name": NAME}, "data": {"sources.yaml": ""}, "immutable": True}
    )
    with pytest.raises(Unavailable, match="read-only: the ConfigMap is immutable"):
        save(open_store(kubernetes), b"new")


@pytest.mark.parametrize("denied", [("DELETE", "configmaps"), ("POST", "events")])
def test_save_when_only_tidying_is_forbidden_then_saved(kubernetes: Kubernetes, denied: tuple[str, str]) -> None:
    kubernetes.cluster.forbidden.add(denied)
    store = open_store(kubernetes)
    for index in range(KEPT + 2):
        save(store, b"%d" % index)
    assert len(store.list_revisions()) == KEPT + 1


def test_save_then_event_says_who_and_why(kubernetes: Kubernetes) -> None:
    save(open_store(kubernetes), b"new", author="ann", reason="because")
    [name] = kubernetes.cluster.names("events", "default")
    event = kubernetes.cluster.find("events", "default", name)
    assert event is not None
    assert event["message"] == f"revision {digest(b'new')[:8]} by ann: because"
    assert event["involvedObject"]["name"] == NAME


def test_everything_when_the_api_is_down_then_unavailable(kubernetes: Kubernetes) -> None:
    kubernetes.cluster.tokens.clear()
    store = open_store(kubernetes)
    for call in (store.load, store.list_revisions, lambda: store.save(b"", ""), lambda: store.read_revision("0" * 8)):
        with pytest.raises(Unavailable, match="401"):
            call()
