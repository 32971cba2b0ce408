"""The bill of materials of a version, as CycloneDX 1.6 (ECMA-424) has it for machine learning.

It is made here because no library writes model cards yet (docs/decisions); a test checks it
against the standard's own schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from modelog_common.domain.ids import derived_id
from modelog_proto.registry.v1 import dataset_pb2, model_pb2

from modelog_registry.card.build import Known, card_of, facts_of

SPEC_VERSION = "1.6"
# Identifiers that the schema knows for sure; any other license is told by its name.
SPDX = frozenset({
    "AGPL-3.0-only", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0",
    "CC0-1.0", "GPL-2.0-only", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0",
    "Unlicense",
})  # fmt: skip
_APPROACHES = {
    model_pb2.MODEL_TYPE_SUPERVISED: "supervised",
    model_pb2.MODEL_TYPE_UNSUPERVISED: "unsupervised",
    model_pb2.MODEL_TYPE_REINFORCEMENT: "reinforcement-learning",
}
_MODEL = "model"


def bom_json(known: Known) -> str:
    """The document: the same content always makes the same text."""
    return json.dumps(bom_of(known), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def bom_of(known: Known) -> dict[str, Any]:
    """The model is what the document is about; data and packages are what it depends on."""
    version = known.version
    parts = [*(_data(dataset) for dataset in known.datasets), *_packages(known)]
    serial = derived_id("bom", known.model.id, version.version, str(version.position))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": version.updated_at.ToJsonString(),
            "tools": {"components": [{"type": "application", "name": "modelog"}]},
            "component": _model(known),
        },
        "components": parts,
        "dependencies": [{"ref": _MODEL, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def _model(known: Known) -> dict[str, Any]:
    version, card = known.version, card_of(known)
    details = card["model_details"]
    found = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": version.model,
        "version": version.version,
        "description": details.get("overview", ""),
        "authors": [{"name": owner["name"]} for owner in details["owners"]],
        "licenses": [_license(one) for one in details.get("licenses", [])],
        "hashes": [_sha256(version.artifact.digest)] if version.HasField("artifact") else [],
        "externalReferences": list(_references(known)),
        "components": [_file(artifact) for artifact in version.artifacts],
        "modelCard": _model_card(known, card),
        "properties": list(_properties(known)),
    }
    return _kept(found)


def _model_card(known: Known, card: Mapping[str, Any]) -> dict[str, Any]:
    parameters, said = card["model_parameters"], card.get("considerations", {})
    approach = _APPROACHES.get(known.model.type)
    written = {
        "users": [one["description"] for one in said.get("users", [])],
        "useCases": [one["description"] for one in said.get("use_cases", [])],
        "technicalLimitations": [one["description"] for one in said.get("limitations", [])],
        "performanceTradeoffs": [one["description"] for one in said.get("tradeoffs", [])],
        "ethicalConsiderations": [
            {"name": risk["name"], "mitigationStrategy": risk["mitigation_strategy"]}
            for risk in said.get("ethical_considerations", [])
        ],
    }
    built = {
        "approach": {"type": approach} if approach else {},
        "modelArchitecture": parameters.get("model_architecture", ""),
        "datasets": [{"ref": _data_ref(dataset)} for dataset in known.datasets],
        "inputs": [{"format": one["value"]} for one in parameters.get("input_format_map", [])],
        "outputs": [{"format": one["value"]} for one in parameters.get("output_format_map", [])],
    }
    metrics = card.get("quantitative_analysis", {}).get("performance_metrics", [])
    return _kept({
        "modelParameters": _kept(built),
        "quantitativeAnalysis": {"performanceMetrics": [_metric(one) for one in metrics]} if metrics else {},
        "considerations": _kept(written),
    })  # fmt: skip


def _metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    interval = metric.get("confidence_interval", {})
    ends = {"lowerBound": interval.get("lower_bound", ""), "upperBound": interval.get("upper_bound", "")}
    return _kept({"type": metric["type"], "value": metric["value"], "confidenceInterval": _kept(ends)})


def _data(dataset: dataset_pb2.DatasetVersion) -> dict[str, Any]:
    described = f"{dataset.rows} rows. {dataset.label} {dataset.description}".strip()
    return {
        "type": "data",
        "bom-ref": _data_ref(dataset),
        "name": dataset.dataset,
        "version": str(dataset.version),
        "hashes": [_sha256(dataset.digest)],
        "data": [{"type": "dataset", "name": f"{dataset.dataset} {dataset.version}", "description": described}],
    }


def _data_ref(dataset: dataset_pb2.DatasetVersion) -> str:
    return f"data:{quote(dataset.dataset, safe='')}:{dataset.version}"


def _packages(known: Known) -> Iterator[dict[str, Any]]:
    """Python packages by their names on PyPI."""
    packages: Mapping[str, str] = facts_of(known).get("environment", {}).get("packages", {})
    for name, version in sorted(packages.items()):
        purl = f"pkg:pypi/{quote(name.lower().replace('_', '-'), safe='')}"
        # A file of requirements may name a package without a version.
        purl += f"@{quote(version, safe='')}" if version else ""
        named = {"name": name, "version": version} if version else {"name": name}
        yield {"type": "library", "bom-ref": purl, **named, "purl": purl}


def _file(artifact: model_pb2.Artifact) -> dict[str, Any]:
    ref = f"file:{quote(artifact.path, safe='')}"
    return {"type": "file", "bom-ref": ref, "name": artifact.path, "hashes": [_sha256(artifact.digest)]}


def _license(license: Mapping[str, str]) -> dict[str, Any]:
    identifier = license.get("identifier", "")
    if identifier in SPDX:
        return {"license": {"id": identifier}}
    if identifier:
        return {"license": {"name": identifier}}
    return {"license": {"name": "custom", "text": {"content": license["custom_text"]}}}


def _references(known: Known) -> Iterator[dict[str, str]]:
    for reference in known.written.parts.references:
        yield {"type": "documentation", "url": reference}
    if urlsplit(known.version.source).scheme:
        yield {"type": "source-distribution", "url": known.version.source}


def _properties(known: Known) -> Iterator[dict[str, str]]:
    facts = facts_of(known)
    environment = facts.get("environment", {})
    for name, value in (
        ("modelog:stage", facts["stage"]),
        ("modelog:run", known.version.run_id),
        ("modelog:flavor", known.version.flavor),
        ("modelog:python", environment.get("python", "")),
        ("modelog:git_commit", environment.get("git_commit", "")),
        ("modelog:container_image", environment.get("container_image", "")),
        ("modelog:position", str(known.version.position)),
    ):
        if value:
            yield {"name": name, "value": value}


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in found.items() if value not in ("", [], {})}
