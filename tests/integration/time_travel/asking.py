"""Every question that the contracts hold, and what to ask it about: the list comes from the descriptors.

What a question names (a model, a run) is taken from answers that were had before. A question that nobody said this of
fails the test, and so does one that never found anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from modelog_common.rpc.edges import MESSAGE_BYTES
from modelog_gateway.rest.contracts import FILES
from modelog_proto.common.v1 import options_pb2
from modelog_proto.lineage.v1 import lineage_pb2

Fields = Mapping[str, Any]
METRICS = ("auc", "log_loss", "brier", "base_rate", "labelled", "predictions", "drifted_features")
DOWNSTREAM = lineage_pb2.DIRECTION_DOWNSTREAM


def version_node(v: Any) -> str:
    return f"ModelVersion:{v.model}/{v.version}"


def attribute(key: str, comparison: str, text: str) -> Fields:
    return {"field": "FIELD_ATTRIBUTE", "key": key, "comparison": comparison, "text": text}


def tag(key: str, comparison: str, text: str = "") -> Fields:
    return {"field": "FIELD_TAG", "key": key, "comparison": comparison, "text": text}


NEWEST = {"field": "FIELD_ATTRIBUTE", "key": "last_update_time", "descending": True}
STRICT = {"stages": [{"stage": "STAGE_PRODUCTION", "reviewers": 2}]}


def equal(field: str, key: str, text: str) -> Fields:
    return {"field": f"FIELD_{field}", "key": key, "comparison": "COMPARISON_EQUAL", "text": text}


def number_above(metric: str, number: float) -> Fields:
    return {"field": "FIELD_METRIC", "key": metric, "comparison": "COMPARISON_GREATER_OR_EQUAL", "number": number}


# For each request what it asks about, made from messages that were seen; one that needs nothing is asked bare too.
ABOUT: dict[str, dict[str, Callable[[Any], list[Fields]]]] = {
    "GetModelRequest": {"Model": lambda m: [{"name": m.name}]},
    "ListModelsRequest": {},
    "GetVersionRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "ListVersionsRequest": {"ModelVersion": lambda v: [{"model": v.model}, {"stage": v.stage}]},
    "GetVersionByAliasRequest": {"Model": lambda m: [{"model": m.name, "alias": "champion"}]},
    "ListModelHistoryRequest": {
        "Model": lambda m: [{"model": m.name}],
        "ModelVersion": lambda v: [{"model": v.model, "version": v.version}],
    },
    "SearchModelsRequest": {
        "Model": lambda m: [
            {"conditions": [attribute("name", "COMPARISON_LIKE", m.name[:2] + "%")], "order_by": [NEWEST]},
            {"conditions": [tag("step", "COMPARISON_IS_NOT_NULL"), attribute("alias", "COMPARISON_EQUAL", "champion")]},
        ]
    },
    "CountModelsRequest": {
        "Model": lambda _: [{}, {"conditions": [attribute("alias", "COMPARISON_EQUAL", "champion")]}]
    },
    "SearchVersionsRequest": {
        "ModelVersion": lambda v: [
            {"conditions": [attribute("stage", "COMPARISON_NOT_EQUAL", "production")], "order_by": [NEWEST]},
            {"conditions": [tag("step", "COMPARISON_EQUAL", "1"), attribute("model", "COMPARISON_EQUAL", v.model)]},
        ]
    },
    "GetChangeOutlookRequest": {"ChangeRequest": lambda c: [{"model": c.model, "number": c.number}]},
    "GetModelCardRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "GetModelSlaRequest": {"Model": lambda m: [{"model": m.name}]},
    "ListModelSlasRequest": {"ModelSla": lambda s: [{"model": s.model}]},
    "GetRetirementPolicyRequest": {"RetirementPolicy": lambda p: [{"version": p.version}]},
    "ListRetirementsRequest": {"Retirement": lambda r: [{"model": r.model}, {"state": r.state}]},
    "ListModelSignaturesRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "GetModelBomRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "RenderModelCardRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "GetChangeRequestRequest": {"ChangeRequest": lambda c: [{"model": c.model, "number": c.number}]},
    "ListChangeRequestsRequest": {
        "ChangeRequest": lambda c: [{"model": c.model, "version": c.version}, {"state": c.state}]
    },
    "GetPromotionPolicyRequest": {"PromotionPolicy": lambda p: [{"version": p.version}]},
    "ListPromotionPoliciesRequest": {},
    "ReplayPromotionsRequest": {"PromotionPolicy": lambda p: [{"rules": p.rules}, {"rules": STRICT}]},
    "GetWebhookRequest": {"Webhook": lambda w: [{"webhook_id": w.id}]},
    "ListWebhooksRequest": {},
    "ExportDeploymentRequest": {"Deployment": lambda d: [{"name": d.name, "format": "MANIFEST_FORMAT_KUBERNETES"}]},
    "GetExperimentRequest": {"Experiment": lambda e: [{"name": e.name}]},
    "ListExperimentsRequest": {},
    "GetExperimentByIdRequest": {"Experiment": lambda e: [{"experiment_id": e.id}]},
    "SearchExperimentsRequest": {"Experiment": lambda e: [{"conditions": [equal("ATTRIBUTE", "name", e.name)]}]},
    "ListExperimentArtifactsRequest": {"Experiment": lambda e: [{"experiment_id": e.id}]},
    "GetRunRequest": {"Run": lambda r: [{"run_id": r.id}]},
    "ListRunsRequest": {"Run": lambda r: [{"experiment": r.experiment}]},
    "CompareRunsRequest": {"Run": lambda r: [{"runs": [r.id, r.id]}]},
    "CompareVersionsRequest": {"ModelVersion": lambda v: [{"versions": [f"{v.model}/{v.version}"] * 2}]},
    "GetMetricHistoryRequest": {"Run": lambda r: [{"run_id": r.id, "metric": m.name} for m in r.last_points]},
    "GetThinnedMetricRequest": {
        "Run": lambda r: [{"run_id": r.id, "metric": m.name, "size": 4} for m in r.last_points]
    },
    "SearchRunsRequest": {
        "Run": lambda r: [
            {"experiment_ids": [r.experiment_id], "order_by": [{"field": "FIELD_METRIC", "key": "auc"}]},
            {"conditions": [equal("PARAMETER", "depth", "1")], "view": "VIEW_ALL"},
            *({"conditions": [number_above(m.name, m.value)]} for m in r.last_points),
        ]
    },
    "GetLoggedModelRequest": {"LoggedModel": lambda m: [{"model_id": m.id}]},
    "SearchLoggedModelsRequest": {"LoggedModel": lambda m: [{"conditions": [equal("TAG", "b", m.tags["b"])]}]},
    "GetDatasetVersionRequest": {"Dataset": lambda d: [{"dataset": d.name, "version": d.latest_version}]},
    "ListDatasetsRequest": {},
    "GetWorkspaceRequest": {"Workspace": lambda w: [{"workspace": w.name}]},
    "ListWorkspacesRequest": {},
    "ListLinksRequest": {"Link": lambda shared: [{"run_id": shared.run_id}]},
    "ListDatasetVersionsRequest": {"Dataset": lambda d: [{"dataset": d.name}]},
    "GetJobRequest": {"Job": lambda j: [{"job_id": j.id}]},
    "ListJobsRequest": {"Job": lambda j: [{"status": j.status}]},
    "GetDeploymentRequest": {"Deployment": lambda d: [{"name": d.name}]},
    "ListDeploymentsRequest": {},
    "GetLatenciesRequest": {"Deployment": lambda d: [{"deployment": d.name}, {"deployment": d.name, "minutes": 1440}]},
    "GetTrialRequest": {"ModelVersion": lambda v: [{"model": v.model, "version": v.version}]},
    "GetReleaseRequest": {"Release": lambda r: [{"deployment": r.deployment, "number": n} for n in (0, r.number)]},
    "ListReleasesRequest": {"Release": lambda r: [{"deployment": r.deployment}]},
    "ListReleaseLooksRequest": {"Release": lambda r: [{"deployment": r.deployment, "number": r.number}]},
    "GetLearningRequest": {"Deployment": lambda d: [{"deployment": d.name}]},
    "ListLearningStepsRequest": {"Deployment": lambda d: [{"deployment": d.name}]},
    "GetPredictionRequest": {"Prediction": lambda p: [{"deployment": p.deployment, "prediction_id": p.prediction_id}]},
    "GetMonitorRequest": {"Monitor": lambda m: [{"name": m.name}]},
    "ListMonitorsRequest": {},
    "ListWindowsRequest": {"Monitor": lambda m: [{"monitor": m.name}]},
    "ListAlertsRequest": {"Monitor": lambda m: [{"monitor": m.name}]},
    "ListRetrainingPoliciesRequest": {},
    "ListRetrainingsRequest": {"RetrainingPolicy": lambda p: [{"policy": p.name}]},
    "GetRetrainingRequest": {"Retraining": lambda r: [{"retraining_id": r.id}]},
    "ListCanaryLooksRequest": {"Retraining": lambda r: [{"retraining_id": r.id}]},
    "GetAbTestRequest": {"AbTest": lambda t: [{"name": t.name}]},
    "ListAbTestsRequest": {"AbTest": lambda t: [{"deployment": t.deployment}]},
    "ListAbLooksRequest": {"AbTest": lambda t: [{"name": t.name}]},
    "GetServiceLevelRequest": {
        "ServiceLevel": lambda s: [
            {"deployment": s.deployment, "version": s.version},
            {"deployment": s.deployment, "version": s.version, "period_hours": 1},
        ]
    },
    "ListServiceLevelsRequest": {"ServiceLevel": lambda s: [{"model": s.model}, {"deployment": s.deployment}]},
    "GetSeriesRequest": {"Monitor": lambda m: [{"monitor": m.name, "metric": metric} for metric in METRICS]},
    "TraceRequest": {
        "ModelVersion": lambda v: [{"node": version_node(v)}, {"node": version_node(v), "direction": DOWNSTREAM}],
        "Deployment": lambda d: [{"node": f"Deployment:{d.name}"}],
    },
    "TracePredictionRequest": {
        "Prediction": lambda p: [{"deployment": p.deployment, "prediction_id": p.prediction_id}]
    },
    "SearchCatalogueRequest": {"Model": lambda m: [{"text": m.name}], "Run": lambda _: [{"kinds": ["Run"]}]},
    "ListEventsRequest": {"Model": lambda _: [{"newest_first": True, "limit": 7}, {"stream": "registry.model"}]},
    "ListUsersRequest": {},
}


def queries() -> list[MethodDescriptor]:
    """Every method that reads as of a moment."""
    return [
        method
        for module in FILES
        for service in module.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
        if "read" in method.input_type.fields_by_name
    ]


def method_of(name: str) -> MethodDescriptor:
    """A method by its bare name, which is unique."""
    found = [
        method
        for module in FILES
        for service in module.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
        if method.name == name
    ]
    assert len(found) == 1, name
    return found[0]


class Caller:
    """Calls methods over gRPC as somebody; keeps one channel to each service."""

    def __init__(self, address: Callable[[str], str], token: str) -> None:
        self._address, self._metadata = address, (("authorization", f"Bearer {token}"),)
        self._channels: dict[str, grpc.Channel] = {}

    def __call__(self, method: MethodDescriptor | str, timeout_s: float = 150, **fields: Any) -> Any:
        method = method_of(method) if isinstance(method, str) else method
        service = method.containing_service.full_name
        call = self._channel(service.split(".")[1]).unary_unary(
            f"/{service}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return call(GetMessageClass(method.input_type)(**fields), timeout=timeout_s, metadata=self._metadata)

    def _channel(self, service: str) -> grpc.Channel:
        if service not in self._channels:
            options = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.initial_reconnect_backoff_ms", 100)]
            self._channels[service] = grpc.insecure_channel(self._address(service), options=options)
        return self._channels[service]

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()


class Questions:
    """What there is to ask; grows with every message that is seen."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, bytes], tuple[MethodDescriptor, Fields]] = {}
        self._by_message: dict[str, list[tuple[MethodDescriptor, Callable[[Any], list[Fields]]]]] = {}
        for method in queries():
            request = method.input_type.name
            assert request in ABOUT, f"say in ABOUT what {request} asks about, so that this test covers {method.name}"
            if not any(f.GetOptions().Extensions[options_pb2.rules].required for f in method.input_type.fields):
                self._add(method, {})
            for message, about in ABOUT[request].items():
                self._by_message.setdefault(message, []).append((method, about))

    def __iter__(self) -> Iterator[tuple[MethodDescriptor, Fields]]:
        return iter(list(self._asked.values()))

    def _add(self, method: MethodDescriptor, fields: Fields) -> None:
        request = GetMessageClass(method.input_type)(**fields)
        key = (method.full_name, request.SerializeToString(deterministic=True))
        self._asked.setdefault(key, (method, fields))

    def see(self, message: Message) -> None:
        """Note what could be asked about everything in a message."""
        for inner in everything_in(message):
            for method, about in self._by_message.get(inner.DESCRIPTOR.name, ()):
                for fields in about(inner):
                    self._add(method, fields)


def everything_in(message: Message) -> Iterator[Message]:
    """A message and the messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner: Iterable[Any] = value.values() if hasattr(value, "values") else ()
        else:
            inner = value if field.is_repeated else [value]
        for each in inner:
            if isinstance(each, Message):
                yield from everything_in(each)


def live_fields(described: Descriptor) -> list[str]:
    """The fields of a message that are known of the present only."""
    return [f.name for f in described.fields if f.GetOptions().Extensions[options_pb2.live]]


def take_live(answer: Message) -> bool:
    """Clear what is known of the present only; whether there was any."""
    found = False
    for message in everything_in(answer):
        for name in live_fields(message.DESCRIPTOR):
            found = found or any(field.name == name for field, _ in message.ListFields())
            message.ClearField(name)
    return found
