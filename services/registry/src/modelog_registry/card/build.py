"""A model card as JSON, after the schema 0.0.2 of Google's Model Card Toolkit.

https://github.com/tensorflow/model-card-toolkit (Mitchell et al., "Model Cards for Model Reporting", 2019).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from google.protobuf.json_format import MessageToDict
from modelog_proto.registry.v1 import card_pb2, dataset_pb2, experiment_pb2, model_pb2

SCHEMA_VERSION = "0.0.2"
# The parts that a reader looks for first, and that no platform can know.
EXPECTED = ("overview", "licenses", "use_cases", "limitations", "ethical_considerations")
# A metric of these names beside another is an end of its interval: auc, auc_lower, auc_upper.
LOWER, UPPER = "_lower", "_upper"


@dataclass(frozen=True)
class Known:
    """All that a card is made of, as of one moment; `run` is None for a version that no run made."""

    model: model_pb2.Model
    version: model_pb2.ModelVersion
    written: card_pb2.ModelCard
    datasets: Sequence[dataset_pb2.DatasetVersion]
    run: experiment_pb2.Run | None = None


@dataclass(frozen=True)
class Metric:
    """A figure, with the ends of its interval where somebody measured them."""

    name: str
    value: float
    lower: float | None = None
    upper: float | None = None


def card_of(known: Known) -> dict[str, Any]:
    """Sections that would be empty are left out."""
    parts = known.written.parts
    sections = {
        "model_details": _details(known),
        "model_parameters": _parameters(known),
        "quantitative_analysis": {"performance_metrics": [_metric(m) for m in metrics_of(known.version.metrics)]},
        "considerations": {
            "users": _described(parts.users),
            "use_cases": _described(parts.use_cases),
            "limitations": _described(parts.limitations),
            "tradeoffs": _described(parts.tradeoffs),
            "ethical_considerations": [
                {"name": risk.name, "mitigation_strategy": risk.mitigation_strategy}
                for risk in parts.ethical_considerations
            ],
        },
    }
    kept = {name: _without_empty(section) for name, section in sections.items()}
    return {"schema_version": SCHEMA_VERSION, **{name: section for name, section in kept.items() if section}}


def facts_of(known: Known) -> dict[str, Any]:
    """What the schema has no place for."""
    version = known.version
    facts = {
        "stage": model_pb2.Stage.Name(version.stage).removeprefix("STAGE_").lower(),
        "stage_by": version.stage_by,
        "aliases": list(version.aliases),
        "type": model_pb2.ModelType.Name(known.model.type).removeprefix("MODEL_TYPE_").lower(),
        "approved_by": [r.reviewer for r in version.reviews if r.decision == model_pb2.REVIEW_DECISION_APPROVED],
        "flavor": version.flavor,
        "hyperparameters": _plain(version.hyperparameters),
        "files": [{"path": a.path, "sha256": a.digest, "size_bytes": str(a.size_bytes)} for a in version.artifacts],
        "environment": _environment(known),
        "run": _run(known.run),
        "tags": dict(version.tags),
    }
    return _without_empty(facts)


def missing_of(known: Known) -> list[str]:
    """The parts that are expected and that nobody wrote; a license may be a tag, an overview a description."""
    found = {"overview": _overview(known), "licenses": _licenses(known)}
    return [name for name in EXPECTED if not (found.get(name) or getattr(known.written.parts, name))]


def metrics_of(metrics: Mapping[str, float]) -> list[Metric]:
    """The metrics by name, each with its interval."""
    ends = {name + end for name in metrics for end in (LOWER, UPPER)} & set(metrics)
    return [
        Metric(name, value, metrics.get(name + LOWER), metrics.get(name + UPPER))
        for name, value in sorted(metrics.items())
        if name not in ends
    ]


def _details(known: Known) -> dict[str, Any]:
    version, parts = known.version, known.written.parts
    owners = [{"name": o.name, "contact": o.contact} for o in parts.owners] or [{"name": version.author}]
    return {
        "name": version.model,
        "overview": _overview(known),
        "documentation": parts.documentation,
        "owners": [_without_empty(owner) for owner in owners],
        "version": _without_empty({
            "name": version.version,
            "date": version.created_at.ToDatetime().date().isoformat(),
            "diff": parts.diff,
        }),
        "licenses": _licenses(known),
        "references": [{"reference": reference} for reference in _references(known)],
        "citations": [_without_empty({"style": c.style, "citation": c.citation}) for c in parts.citations],
        "path": version.source,
    }  # fmt: skip


def _overview(known: Known) -> str:
    return known.written.parts.overview or known.version.description or known.model.description


def _licenses(known: Known) -> list[dict[str, str]]:
    written = known.written.parts.licenses
    if written:
        return [_without_empty({"identifier": one.identifier, "custom_text": one.custom_text}) for one in written]
    tag = known.version.tags.get("license") or known.model.tags.get("license")
    return [{"identifier": tag}] if tag else []


def _references(known: Known) -> Iterator[str]:
    """What people named, then where it came from: run, data, source."""
    yield from known.written.parts.references
    version = known.version
    if version.run_id:
        yield f"urn:modelog:run:{quote(version.run_id, safe='')}"
    for dataset in version.datasets:
        yield _dataset_urn(dataset.dataset, dataset.version)
    if urlsplit(version.source).scheme:
        yield version.source


def _dataset_urn(name: str, version: int) -> str:
    return f"urn:modelog:dataset:{quote(name, safe='')}:{version}"


def _parameters(known: Known) -> dict[str, Any]:
    version = known.version
    inputs, outputs = version.signature.inputs, version.signature.outputs
    return {
        "model_architecture": known.written.parts.model_architecture or _architecture(version),
        "data": [_data(dataset) for dataset in known.datasets],
        "input_format": "; ".join(_tensor(t) for t in inputs),
        "output_format": "; ".join(_tensor(t) for t in outputs),
        "input_format_map": [{"key": t.name, "value": _tensor(t)} for t in inputs],
        "output_format_map": [{"key": t.name, "value": _tensor(t)} for t in outputs],
    }


def _architecture(version: model_pb2.ModelVersion) -> str:
    parameters = _plain(version.hyperparameters)
    told = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(parameters.items()))
    return f"{version.flavor}: {told}" if told else version.flavor


def _data(dataset: dataset_pb2.DatasetVersion) -> dict[str, str]:
    size = f"{dataset.rows:,} rows, {len(dataset.schema)} columns, SHA-256 {dataset.digest}"
    label = f"{dataset.label}: " if dataset.label else ""
    return {
        "name": f"{dataset.dataset} {dataset.version}",
        "link": _dataset_urn(dataset.dataset, dataset.version),
        "description": " - ".join(filter(None, [f"{label}{size}", dataset.description])),
    }


def _tensor(tensor: model_pb2.TensorSpec) -> str:
    shape = " x ".join("any" if n < 0 else str(n) for n in tensor.shape)
    columns = f": {', '.join(tensor.columns)}" if tensor.columns else ""
    return f"{tensor.name} {tensor.datatype}{f' [{shape}]' if shape else ''}{columns}"


def _metric(metric: Metric) -> dict[str, Any]:
    ends = {"lower_bound": _figure(metric.lower), "upper_bound": _figure(metric.upper)}
    interval = {"confidence_interval": _without_empty(ends)} if _without_empty(ends) else {}
    return {"type": metric.name, "value": _figure(metric.value), **interval}


def _figure(value: float | None) -> str:
    return "" if value is None else repr(value)


def _environment(known: Known) -> dict[str, Any]:
    """That of the version or, where it was not told, of its run."""
    run = known.run
    if known.version.HasField("environment"):
        return _plain(known.version.environment)
    return _plain(run.environment) if run is not None and run.HasField("environment") else {}


def _run(run: experiment_pb2.Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    return _without_empty({
        "id": run.id, "name": run.name, "experiment": run.experiment, "parameters": _plain(run.parameters)
    })  # fmt: skip


def _plain(message: Any) -> dict[str, Any]:
    return {name: _whole(value) for name, value in MessageToDict(message, preserving_proto_field_name=True).items()}


def _whole(value: Any) -> Any:
    """Numbers of a Struct are doubles; whole ones are written as they were."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _described(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"description": text} for text in texts]


def _without_empty(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if value not in ("", [], {}, None)}
