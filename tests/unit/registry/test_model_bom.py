"""Bills of materials against the standard's own schema, whatever is known."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import card_pb2, dataset_pb2, model_pb2
from modelog_registry.card.bom import SPDX, bom_json
from modelog_registry.card.build import Known

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
A, B, D = "a" * 64, "b" * 64, "d" * 64


def known(name: str = "flight-delay", packages: dict[str, str] | None = None, **written: Any) -> Known:
    version = model_pb2.ModelVersion(
        model=name, version="1.0.0", stage=model_pb2.STAGE_STAGING, author="alice", flavor="xgboost", position=7,
        datasets=[common.DatasetRef(dataset="flights", version=2)], metrics={"auc": 0.7, "auc_lower": 0.6},
        artifact=model_pb2.Artifact(path="model.ubj", digest=A, size_bytes=1),
        artifacts=[model_pb2.Artifact(path="model.ubj", digest=A, size_bytes=1)],
        signature=model_pb2.Signature(inputs=[model_pb2.TensorSpec(name="x", datatype="FP32")]),
        environment=model_pb2.ModelEnvironment(
            python="3.11", packages={"Typing_Extensions": "4.1"} if packages is None else packages
        ),
        source="https://example.com/m",
    )  # fmt: skip
    version.updated_at.FromJsonString("2026-01-01T00:00:00Z")
    data = dataset_pb2.DatasetVersion(dataset="flights", version=2, rows=5, digest=D)
    model = model_pb2.Model(id="m", name=name, type=model_pb2.MODEL_TYPE_SUPERVISED)
    return Known(model, version, card_pb2.ModelCard(parts=card_pb2.CardParts(**written)), [data])


def valid(one: Known) -> Any:
    text = bom_json(one)
    trouble = VALIDATOR.validate_str(text)
    assert trouble is None, trouble
    return json.loads(text)


def test_the_model_its_data_and_its_packages_with_their_digests() -> None:
    bom = valid(known(licenses=[card_pb2.CardLicense(identifier="Apache-2.0")], limitations=["snow"]))
    model = bom["metadata"]["component"]
    assert (model["type"], model["hashes"]) == ("machine-learning-model", [{"alg": "SHA-256", "content": A}])
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    card = model["modelCard"]
    assert card["considerations"] == {"technicalLimitations": ["snow"]}
    assert card["modelParameters"]["approach"] == {"type": "supervised"}
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "auc", "value": "0.7", "confidenceInterval": {"lowerBound": "0.6"}}
    ]
    data, package = bom["components"]
    assert (data["type"], data["hashes"][0]["content"]) == ("data", D)
    assert card["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]
    assert (package["type"], package["purl"]) == ("library", "pkg:pypi/typing-extensions@4.1")
    assert bom["dependencies"][0]["dependsOn"] == [data["bom-ref"], package["bom-ref"]]


def test_the_same_content_is_the_same_text() -> None:
    assert bom_json(known()) == bom_json(known())


def test_every_identifier_that_we_name_is_in_the_schema() -> None:
    for identifier in [*SPDX, "My-Own-1.0"]:
        valid(known(licenses=[card_pb2.CardLicense(identifier=identifier)]))
    valid(known(licenses=[card_pb2.CardLicense(custom_text="ask us")]))


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.lists(TEXTS, max_size=2))
def test_any_words_make_a_sound_document(name: str, packages: dict[str, str], texts: list[str]) -> None:
    valid(known(name, packages, overview=name, users=texts, tradeoffs=texts))
