"""Every field of a request that names something is known to the check of what is in sight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from modelog_gateway.rest.contracts import FILES
from modelog_proto.registry.v1 import experiment_pb2
from modelog_registry.sight.named import NARROWING, OF_MESSAGES, PACKAGE, Kind, kind_of, named

# Words in the names of fields that may name something that a workspace holds.
WORDS = ("experiment", "run", "model", "version", "workspace")
# Fields with such words, or requests with a name, that name nothing of the kind.
OTHERS = frozenset({
    # Which version of what is named beside it, or of a policy or of a dataset.
    "version", "from_version", "expected_version", "newest_versions_only",
    # Facts about a logged model, and a part of a card.
    "model_type", "model_architecture",
})  # fmt: skip


def requests() -> Iterator[Descriptor]:
    """The messages that the registry's methods take, and those that they hold."""
    seen: set[str] = set()
    waiting = [
        method.input_type
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
        if service.full_name.startswith(PACKAGE)
    ]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in seen or not descriptor.full_name.startswith(PACKAGE):
            continue
        seen.add(descriptor.full_name)
        yield descriptor
        waiting += [inner for field in descriptor.fields if (inner := _message(field)) is not None]


def _message(field: FieldDescriptor) -> Descriptor | None:
    inner: Any = field.message_type
    found: Descriptor | None = inner
    return found


def path_of(field: FieldDescriptor) -> str:
    containing: Any = field.containing_type
    return f"{containing.name}.{field.name}"


def test_every_field_that_names_something_is_known() -> None:
    forgotten = [
        path_of(field)
        for descriptor in requests()
        for field in descriptor.fields
        if field.type == FieldDescriptor.TYPE_STRING
        and any(word in field.name for word in WORDS)
        and field.name not in OTHERS
        and kind_of(field) is None
        and path_of(field) not in NARROWING
    ]
    assert not forgotten, f"say in modelog_registry.sight.named what {', '.join(forgotten)} names"


def test_every_request_that_names_a_thing_by_name_is_known() -> None:
    """A field "name" says nothing by itself: those of models and experiments are listed."""
    services = ("ModelRegistry", "ExperimentRegistry")
    forgotten = [
        f"{method.input_type.name}.name"
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
        if service.name in services and "name" in method.input_type.fields_by_name
    ]
    # What these name is named by an id beside it: the name is a new one.
    by_id = {"UpdateExperimentRequest.name", "StartRunRequest.name", "UpdateRunRequest.name"}
    assert set(forgotten) - by_id <= set(OF_MESSAGES)


def test_nothing_is_known_that_is_in_no_contract() -> None:
    paths = {path_of(field) for descriptor in requests() for field in descriptor.fields}
    assert set(OF_MESSAGES) <= paths
    assert set(NARROWING) <= paths


def test_what_is_nested_is_found() -> None:
    runs = [experiment_pb2.LogMetricsRequest(run_id="a"), experiment_pb2.LogMetricsRequest(run_id="b")]
    several = experiment_pb2.LogMetricsOfRunsRequest(runs=runs)
    assert list(named(several)) == [(Kind.RUN, "a"), (Kind.RUN, "b")]
    outputs = experiment_pb2.LogOutputsRequest(run_id="a", models=[experiment_pb2.RunModel(model_id="m")])
    assert list(named(outputs)) == [(Kind.RUN, "a"), (Kind.LOGGED_MODEL, "m")]
