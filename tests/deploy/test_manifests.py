"""deploy/: valid for Kubernetes, platform.md 10.3 to the letter, about settings and files that exist."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
import yaml

from catalog_server.access import permissions
from catalog_server.access.permissions import UNKNOWN, Permission
from catalog_server.access.reviews import API_GROUP
from catalog_server.bootstrap import leading
from catalog_server.catalog.registry import discover
from catalog_server.cli import server
from catalog_server.settings import load
from catalog_server.sources.parser import parse_sources
from tests.deploy.manifests import (
    BASE,
    DEPLOY,
    OVERLAYS,
    ROOT,
    Manifest,
    built,
    container_of,
    environ_of,
    faults_of,
    pick,
    read,
    read_one,
)
from tests.deploy.settings import unknown_flags, unknown_variables

FILES = sorted(
    str(path.relative_to(DEPLOY))
    for path in DEPLOY.rglob("*.yaml")
    if path.name != "kustomization.yaml"
    and path.relative_to(DEPLOY).parts[0] not in ("components", "plugin-index")  # parts of manifests; no manifests
)
WORKLOADS = ("Deployment", "Job")
CORE = ""


def deployment() -> Manifest:
    return read_one("catalog-server/deployment.yaml")


@pytest.mark.parametrize("file", FILES)
def test_file_then_valid(file: str) -> None:
    assert [fault for manifest in read(file) for fault in faults_of(manifest)] == []


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS])
def test_kustomization_then_valid_and_each_object_once(folder: str) -> None:
    manifests = built(folder)
    assert [fault for manifest in manifests for fault in faults_of(manifest)] == []
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS])
def test_kustomization_then_about_settings_that_are_known(folder: str) -> None:
    container = container_of(pick(built(folder), "Deployment"))
    assert unknown_variables(one["name"] for one in container["env"]) == set()
    assert unknown_flags(container["args"]) == set()


def test_misspelled_field_when_checked_then_a_fault() -> None:
    manifest = deployment()
    manifest["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    assert any("livenessProb" in fault for fault in faults_of(manifest))


@pytest.mark.parametrize("field", ["intervall", "port"])
def test_field_of_the_service_monitor_when_wrong_then_a_fault(field: str) -> None:
    manifest = read_one("components/prometheus/service-monitor.yaml")
    manifest["spec"]["endpoints"][0][field] = 9090
    assert any(field in fault for fault in faults_of(manifest))


def test_deployment_then_as_specified() -> None:
    manifest, labels = deployment(), {"app": "catalog-server"}
    assert manifest["metadata"] == {"name": "catalog-server", "namespace": "catalog-system", "labels": labels}
    assert manifest["spec"]["replicas"] == 1
    assert manifest["spec"]["selector"] == {"matchLabels": labels}
    assert manifest["spec"]["template"]["metadata"]["labels"] == labels
    assert manifest["spec"]["template"]["spec"]["serviceAccountName"] == "catalog-server"
    container = container_of(manifest)
    assert (container["name"], container["image"]) == ("catalog-server", "catalog-server:latest")
    assert container["ports"] == [{"containerPort": 8080}]
    assert container["startupProbe"] == probe("/readyz", failureThreshold=30, periodSeconds=2)
    assert container["livenessProbe"] == probe("/livez", failureThreshold=3, periodSeconds=10)
    assert container["readinessProbe"] == probe("/readyz", failureThreshold=3, periodSeconds=10)
    assert container["resources"] == {
        "requests": {"memory": "128Mi", "cpu": "100m"},
        "limits": {"memory": "512Mi", "cpu": "500m"},
    }


def probe(path: str, **numbers: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": 8080}, **numbers}


def test_rights_then_as_specified() -> None:
    manifests = read("catalog-server/rbac.yaml")
    assert [one["kind"] for one in manifests] == ["ServiceAccount", "Role", "RoleBinding"]
    manager = "catalog-server-configmap-manager"
    assert pick(manifests, "Role", manager)["rules"] == [
        rule(CORE, "configmaps", "get", "list", "watch", "create", "update", "patch"),
        rule(CORE, "secrets", "get"),
    ]
    assert pick(read("components/ha/leader-election.yaml"), "Role", "catalog-server-leader-election")["rules"] == [
        rule("coordination.k8s.io", "leases", "get", "create", "update")
    ]
    asking = pick(read("components/multi-tenant/sar.yaml"), "ClusterRole", "catalog-server-sar-creator")
    assert asking["rules"] == [rule("authorization.k8s.io", "subjectaccessreviews", "create")]


def rule(group: str, resource: str, *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS])
def test_bindings_then_give_roles_that_are_there_to_the_account_of_the_server(folder: str) -> None:
    manifests = built(folder)
    bindings = [one for one in manifests if one["kind"].endswith("Binding")]
    assert bindings
    for binding in bindings:
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "catalog-server", "namespace": "catalog-system"}
        ]
        role = pick(manifests, binding["roleRef"]["kind"], binding["roleRef"]["name"])
        assert role["metadata"].get("namespace") == binding["metadata"].get("namespace")


def test_deployment_then_hardened_and_able_to_write_where_it_must() -> None:
    spec, container = deployment()["spec"]["template"]["spec"], container_of(deployment())
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    empty = {one["name"] for one in spec["volumes"] if "emptyDir" in one}
    writable = {one["mountPath"] for one in container["volumeMounts"] if one["name"] in empty}
    image = (ROOT / "Dockerfile.catalog-server").read_text()
    assert "CATALOG_DATA_DIR=/var/lib/catalog-server" in image
    assert writable == {"/var/lib/catalog-server", "/tmp"}


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS])
def test_references_then_lead_to_objects_that_are_there(folder: str) -> None:
    manifests = built(folder)
    manifest = pick(manifests, "Deployment")
    for volume in manifest["spec"]["template"]["spec"]["volumes"]:
        if "configMap" in volume:
            pick(manifests, "ConfigMap", volume["configMap"]["name"])
    (secret,) = read("catalog-server/secret.example.yaml")
    wanted = environ_of(manifest)["DATABASE_DSN"]["secretKeyRef"]
    assert wanted["name"] == secret["metadata"]["name"]
    assert wanted["key"] in secret["stringData"]
    labels = manifest["spec"]["template"]["metadata"]["labels"].items()
    assert pick(manifests, "Service")["spec"]["selector"].items() <= labels
    assert pick(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    assert pick(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_variables_of_the_deployment_then_settings_that_load() -> None:
    given = environ_of(pick(built("overlays/production"), "Deployment"))
    from_pod = {"metadata.namespace": "catalog-system", "metadata.name": "catalog-server-0"}
    texts = {name: from_pod[one["fieldRef"]["fieldPath"]] for name, one in given.items() if "fieldRef" in one}
    texts |= {name: one for name, one in given.items() if isinstance(one, str)}
    (secret,) = read("catalog-server/secret.example.yaml")
    texts["DATABASE_DSN"] = secret["stringData"]["dsn"]
    assert texts.keys() == given.keys()
    environ = texts | {"HOME": "/home/nonroot"}
    settings = load(container_of(deployment())["args"], environ)
    assert settings.leader_election.enabled
    assert settings.leader_election.lease_namespace == "catalog-system"
    assert settings.config_store.namespace == "catalog-system"


def test_grace_period_then_longer_than_a_stop_takes() -> None:
    grace = deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > server._GRACE_SECONDS + leading._JOB_GRACE_SECONDS


def test_sources_then_valid_and_in_the_image() -> None:
    text = read_one("catalog-server/configmap.yaml")["data"]["sources.yaml"]
    sections = {plugin.section_key for plugin in discover()}
    parse_sources(text.encode(), file="sources.yaml", known_sections=sections)
    catalogs = yaml.safe_load(text)["catalogs"]
    assert catalogs.keys() == sections
    for source in (source for section in catalogs.values() for source in section["sources"]):
        path = next(value for key, value in source["properties"].items() if key in ("yamlCatalogPath", "repoUrl"))
        in_image = posixpath.normpath(f"/config/{path}")
        assert in_image == "/sample-repos/agents-repo" or (ROOT / f"catalog{in_image}").is_file()


def test_migration_job_then_like_the_deployment() -> None:
    job, serving = read_one("catalog-server/examples/migration-job.yaml"), deployment()
    assert container_of(job)["args"] == ["migrate"]
    assert unknown_variables(environ_of(job)) == set()
    assert environ_of(job).items() <= environ_of(serving).items()
    assert container_of(job)["image"] == container_of(serving)["image"]
    assert container_of(job)["securityContext"] == container_of(serving)["securityContext"]


def test_high_availability_then_three_replicas_one_leader() -> None:
    manifest = pick(built("overlays/ha"), "Deployment")
    assert manifest["spec"]["replicas"] == 3
    assert environ_of(manifest)["CATALOG_LEADER_ELECTION_ENABLED"] == "true"


def test_tenants_then_apart_and_nobody_trusted_yet() -> None:
    environ = environ_of(pick(built("overlays/multi-tenant"), "Deployment"))
    assert (environ["CATALOG_TENANCY_MODE"], environ["CATALOG_AUTHZ_MODE"]) == ("namespace", "sar")
    assert environ["CATALOG_TRUSTED_PROXIES"].startswith("192.0.2."), "an address that belongs to nobody (RFC 5737)"


def test_prometheus_then_finds_the_port_of_the_metrics() -> None:
    manifests = built("overlays/prometheus")
    (endpoint,) = pick(manifests, "ServiceMonitor")["spec"]["endpoints"]
    service = next(one for one in pick(manifests, "Service")["spec"]["ports"] if one["name"] == endpoint["port"])
    container = container_of(pick(manifests, "Deployment"))
    port = next(one for one in container["ports"] if one.get("name") == service["targetPort"])
    assert port["containerPort"] == 9090
    assert environ_of(pick(manifests, "Deployment"))["CATALOG_METRICS_LISTEN"] == ":9090"
    allowed = [one["port"] for rule in pick(manifests, "NetworkPolicy")["spec"]["ingress"] for one in rule["ports"]]
    assert sorted(allowed) == [8080, 9090]


EXAMPLES = "catalog-server/rbac-examples.yaml"
READ = {"get", "list"}


def granted(kind: str, name: str) -> set[tuple[str, str]]:
    rules = pick(read(EXAMPLES), kind, name)["rules"]
    assert all(one["apiGroups"] == [API_GROUP] for one in rules)
    return {(resource, verb) for one in rules for resource in one["resources"] for verb in one["verbs"]}


def test_examples_of_rights_then_fit_the_permissions() -> None:
    known = {tuple(one) for one in vars(permissions).values() if isinstance(one, Permission) and one is not UNKNOWN}
    engineer, viewer = granted("Role", "catalog-ai-engineer"), granted("Role", "catalog-viewer")
    operator = granted("ClusterRole", "catalog-platform-operator")
    assert known <= operator
    assert len(operator) == 8 * 7
    assert {verb for _, verb in viewer} == READ
    assert granted("ClusterRole", "catalog-cluster-viewer") == viewer
    assert viewer < engineer < operator
    governor = granted("Role", "catalog-governor")
    assert governor == {one for one in known if one[0] == "approvals"}
    assert known - engineer - governor == {("catalogsources", "delete")}
    assert not governor & engineer


def test_examples_of_bindings_then_lead_to_examples_of_roles() -> None:
    manifests = read(EXAMPLES)
    for kind, name, subject in (
        ("RoleBinding", "alice-ai-engineer", ("User", "alice")),
        ("ClusterRoleBinding", "ops-platform-operator", ("Group", "platform-ops")),
    ):
        binding = pick(manifests, kind, name)
        pick(manifests, binding["roleRef"]["kind"], binding["roleRef"]["name"])
        assert [(one["kind"], one["name"]) for one in binding["subjects"]] == [subject]
