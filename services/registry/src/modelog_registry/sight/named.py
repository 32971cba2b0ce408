"""Which things a request names: what a field is called says what it holds, in all contracts of the registry.

A test goes through all requests and finds a field that was forgotten here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

PACKAGE = "modelog.registry.v1"


class Kind(Enum):
    """What a field names."""

    EXPERIMENT = auto()
    EXPERIMENT_NAME = auto()
    RUN = auto()
    # Ids joined by commas.
    RUNS = auto()
    MODEL = auto()
    # "model/version".
    VERSION = auto()
    LOGGED_MODEL = auto()
    WORKSPACE = auto()
    LINK = auto()
    # A name that is to be given: what has it already may be out of sight.
    NEW_EXPERIMENT = auto()
    NEW_MODEL = auto()


FIELDS = {
    "experiment_id": Kind.EXPERIMENT,
    "experiment": Kind.EXPERIMENT_NAME,
    "run_id": Kind.RUN,
    "parent_run_id": Kind.RUN,
    "source_run_id": Kind.RUN,
    "model": Kind.MODEL,
    "model_id": Kind.LOGGED_MODEL,
    "workspace": Kind.WORKSPACE,
    "link_id": Kind.LINK,
}
OF_MESSAGES = {
    "GetExperimentRequest.name": Kind.EXPERIMENT_NAME,
    "CreateExperimentRequest.name": Kind.NEW_EXPERIMENT,
    "RegisterModelRequest.name": Kind.NEW_MODEL,
    "GetModelRequest.name": Kind.MODEL,
    "UpdateModelRequest.name": Kind.MODEL,
    "SetModelTagsRequest.name": Kind.MODEL,
    "MoveModelRequest.name": Kind.MODEL,
    "RenameModelRequest.name": Kind.MODEL,
    "RenameModelRequest.new_name": Kind.NEW_MODEL,
    "DeleteModelRequest.name": Kind.MODEL,
    "CompareRunsRequest.runs": Kind.RUNS,
    "CompareVersionsRequest.versions": Kind.VERSION,
}
# What narrows a list finds nothing where there is nothing: the read tables leave out what is out of sight.
NARROWING = frozenset({
    "ListRunsRequest.experiment",
    "SearchRunsRequest.experiment_ids",
    "SearchLoggedModelsRequest.experiment_ids",
    "ListVersionsRequest.model",
    "ListChangeRequestsRequest.model",
    "ListRetirementsRequest.model",
    "ListModelSlasRequest.model",
    "ListExperimentsRequest.workspace",
    "SearchExperimentsRequest.workspace",
    "ListModelsRequest.workspace",
    "SearchModelsRequest.workspace",
    "CountModelsRequest.workspace",
    "ListLinksRequest.experiment_id",
    "ListLinksRequest.run_id",
    "ListLinksRequest.model",
    # It is to be made, and its name is told to be taken.
    "CreateWorkspaceRequest.workspace",
})  # fmt: skip


def kind_of(field: FieldDescriptor) -> Kind | None:
    """What a field of a request names; None for what names nothing."""
    path = f"{_message(field).name}.{field.name}"
    return None if path in NARROWING else OF_MESSAGES.get(path) or FIELDS.get(field.name)


def _message(field: FieldDescriptor) -> Descriptor:
    containing: Any = field.containing_type
    found: Descriptor = containing
    return found


@cache
def _fields(descriptor: Descriptor) -> tuple[tuple[str, bool, Kind | None], ...]:
    """Name, whether it is a list, and what it names: None for a message, which is looked into."""
    found = []
    for field in descriptor.fields:
        kind = kind_of(field) if field.type == FieldDescriptor.TYPE_STRING else None
        inner: Any = field.message_type
        looked_into = inner is not None and inner.full_name.startswith(PACKAGE) and not inner.GetOptions().map_entry
        if kind is not None or looked_into:
            found.append((field.name, field.is_repeated, kind))
    return tuple(found)


def named(message: Any) -> Iterator[tuple[Kind, str]]:
    """Everything that a message names, in the messages that it holds too."""
    for name, is_list, kind in _fields(message.DESCRIPTOR):
        value = getattr(message, name)
        if kind is not None:
            yield from ((kind, text) for text in (value if is_list else [value]) if text)
        elif is_list:
            for one in value:
                yield from named(one)
        elif message.HasField(name):
            yield from named(value)
