"""Models have names with slashes, and artifacts (spec plugins.md 1.1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.catalog_files import write_catalog, write_sources
from tests.http.client import MODELS, Client, open_client

SOURCES = "/api/model_catalog/v1alpha1/sources"
ONE = f"{SOURCES}/validated_ai_models/models/northwind-ai/harbor-chat-8b-instruct-fp8"
ODD_NAMES = ("a/b/c", "plain", "100%/done", "a b/ü", "x/artifact", "what?/#1", "plus+plus", "%2F", "a//b")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Models with awkward names."""
    folder = tmp_path_factory.mktemp("odd")
    file = write_catalog(folder / "m.yaml", "models", [{"name": name} for name in ODD_NAMES])
    with open_client(
        folder / "data", write_sources(folder / "s.yaml", {"models": [{"id": "s", "path": file}]})
    ) as client:
        yield client


def test_get(sample: Client) -> None:
    for item in sample.ok(MODELS, pageSize=100)["items"]:
        assert sample.ok(f"{SOURCES}/{item['source_id']}/models/{item['name']}") == item


@pytest.mark.parametrize("separator", ["/", "%2F", "%2f", "%252F", "%252f"])
def test_the_slash_may_be_encoded_once_or_twice(sample: Client, separator: str) -> None:
    path = ONE.replace("northwind-ai/harbor", f"northwind-ai{separator}harbor")
    assert sample.ok(path)["name"] == "northwind-ai/harbor-chat-8b-instruct-fp8"
    assert sample.ok(f"{path}/artifacts")["items"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(odd: Client, name: str) -> None:
    twice = "".join(f"%25{byte:02X}" for byte in name.encode())
    assert odd.ok(f"{SOURCES}/s/models/{twice}")["name"] == name
    assert odd.ok(f"{SOURCES}/s/models/{twice}/artifacts")["items"] == []
    if "%" not in name:  # a single encoding of `%2F` cannot be told from a double one of `/`
        once = "".join(f"%{byte:02X}" for byte in name.encode())
        assert odd.ok(f"{SOURCES}/s/models/{once}")["name"] == name


def test_not_found(sample: Client) -> None:
    error = sample.error(f"{SOURCES}/validated_ai_models/models/no/such", 404)
    assert error == {
        "error": "Not Found",
        "code": "Not Found",
        "message": "No model found 'no/such' in source 'validated_ai_models'",
    }
    # The right name under the wrong source is not found either.
    sample.error(ONE.replace("validated_ai_models", "organization_ai_models"), 404)
    sample.error(f"{SOURCES}/nowhere/models/a", 404)


def test_artifacts_of_an_unknown_model(sample: Client) -> None:
    error = sample.error(f"{SOURCES}/validated_ai_models/models/no/such/artifacts")
    assert error["code"] == "Bad Request"
    assert "no/such" in error["message"]


def test_artifact_envelope(sample: Client) -> None:
    page = sample.ok(f"{ONE}/artifacts")
    assert set(page) == {"items", "size", "pageSize", "nextPageToken", "totalSize"}
    assert page["pageSize"] == 10
    assert page["size"] == len(page["items"])
    for item in page["items"]:
        assert item["artifactType"] in ("model-artifact", "metrics-artifact")
        assert {"id", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"} <= set(item)


def test_artifact_types(sample: Client) -> None:
    def types(**parameters: object) -> set[str]:
        return {item["artifactType"] for item in sample.ok(f"{ONE}/artifacts", pageSize=100, **parameters)["items"]}

    both = {"model-artifact", "metrics-artifact"}
    assert types() == both
    assert types(artifactType="model-artifact") == {"model-artifact"}
    assert types(artifact_type="metrics-artifact") == {"metrics-artifact"}
    assert types(artifactType="model-artifact,metrics-artifact") == both
    assert types(artifactType="model-artifact", artifact_type="metrics-artifact") == both
    for name in ("artifactType", "artifact_type"):
        error = sample.error(f"{ONE}/artifacts", **{name: "recipe"})
        assert error["field"] == "artifactType"
        assert "recipe" in error["message"]


def test_artifact_filter_with_an_unknown_name_is_the_clients_fault(sample: Client) -> None:
    """A name that no artifact has is an error that names the filter and the nearest name."""
    error = sample.error(f"{ONE}/artifacts", filterQuery="nmae = 'x'")
    assert error["field"] == "filterQuery"
    assert "name" in error["message"]


def test_artifact_filter(sample: Client) -> None:
    every = sample.ok(f"{ONE}/artifacts", pageSize=100)["items"]
    fast = sample.ok(f"{ONE}/artifacts", filterQuery="ttft_p90 < 100", pageSize=100)["items"]
    slow = sample.ok(f"{ONE}/artifacts", filterQuery="ttft_p90.double_value >= 100", pageSize=100)["items"]
    measured = [item for item in every if "ttft_p90" in item.get("customProperties", {})]
    assert fast
    assert {item["id"] for item in fast} | {item["id"] for item in slow} == {item["id"] for item in measured}
    assert sample.ok(f"{ONE}/artifacts", filterQuery="uri LIKE 'oci://%'")["items"]
    error = sample.error(f"{ONE}/artifacts", filterQuery="ttft_p90 <")
    assert (error["field"], error["position"]) == ("filterQuery", 10)


@pytest.mark.parametrize("order", ["", "ID", "NAME", "CREATE_TIME", "LAST_UPDATE_TIME", "ttft_p90.double_value"])
def test_artifact_orders(sample: Client, order: str) -> None:
    every = {item["id"] for item in sample.ok(f"{ONE}/artifacts", pageSize=100)["items"]}
    for direction in ("ASC", "DESC"):
        walked = sample.walk(f"{ONE}/artifacts", "nextPageToken", orderBy=order, sortOrder=direction, pageSize=2)
        assert len(walked) == len(every)
        assert {item["id"] for item in walked} == every


def test_artifact_order_by_value(sample: Client) -> None:
    def values(direction: str) -> list[float]:
        items = sample.ok(
            f"{ONE}/artifacts", orderBy="ttft_p90.double_value", sortOrder=direction, filterQuery="ttft_p90 > 0"
        )
        return [item["customProperties"]["ttft_p90"]["double_value"] for item in items["items"]]

    assert len(values("ASC")) > 1
    assert values("ASC") == sorted(values("ASC")) == values("DESC")[::-1]


@pytest.mark.parametrize("order", ["ttft_p90.float_value", "ttft_p90.struct_value", "x.array_value"])
def test_wrong_suffix_of_an_artifact_order(sample: Client, order: str) -> None:
    assert sample.error(f"{ONE}/artifacts", orderBy=order)["field"] == "orderBy"


def test_an_artifact_token_belongs_to_one_model(sample: Client) -> None:
    token = sample.ok(f"{ONE}/artifacts", pageSize=1)["nextPageToken"]
    other = ONE.replace("harbor-chat-8b-instruct-fp8", "harbor-code-15b-w4a16")
    assert sample.ok(f"{other}/artifacts", pageSize=1)["nextPageToken"]
    sample.error(f"{other}/artifacts", pageSize=1, nextPageToken=token)
    sample.error(f"{ONE}/artifacts", pageSize=1, nextPageToken=token, artifactType="model-artifact")


def test_filter_options_is_no_model(sample: Client) -> None:
    assert "filters" in sample.ok(f"{MODELS}/filter_options")


def test_asset_view(sample: Client) -> None:
    asset = sample.ok(ONE, view="asset")
    assert asset["kind"] == "CatalogModel"
    assert asset["metadata"]["sourceRef"]["sourceId"] == "validated_ai_models"
    assert asset["metadata"]["createdAt"].endswith("Z")
    assert asset["spec"]["source_id"] == "validated_ai_models"
