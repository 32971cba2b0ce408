"""The contracts as data: every method that has a REST form, with its comment, read from the generated descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from modelog_proto.common.v1 import options_pb2
from modelog_proto.gateway.v1 import identity_pb2, platform_pb2
from modelog_proto.lineage.v1 import lineage_pb2
from modelog_proto.monitoring.v1 import abtest_pb2, level_pb2, monitoring_pb2
from modelog_proto.registry.v1 import (
    artifact_pb2,
    card_pb2,
    change_pb2,
    compare_pb2,
    dataset_pb2,
    experiment_pb2,
    link_pb2,
    logged_model_pb2,
    model_pb2,
    policy_pb2,
    retire_pb2,
    sign_pb2,
    sla_pb2,
    webhook_pb2,
    workspace_pb2,
)
from modelog_proto.serving.v1 import deployment_pb2, learning_pb2, release_pb2, trial_pb2
from modelog_proto.training.v1 import training_pb2

FILES = (
    model_pb2,
    policy_pb2,
    change_pb2,
    card_pb2,
    sign_pb2,
    sla_pb2,
    retire_pb2,
    experiment_pb2,
    logged_model_pb2,
    dataset_pb2,
    artifact_pb2,
    compare_pb2,
    webhook_pb2,
    workspace_pb2,
    link_pb2,
    training_pb2,
    deployment_pb2,
    release_pb2,
    learning_pb2,
    trial_pb2,
    monitoring_pb2,
    abtest_pb2,
    level_pb2,
    lineage_pb2,
    identity_pb2,
    platform_pb2,
)
_VERBS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """One REST form of one gRPC method; `binding` counts the forms of a method from 0."""

    verb: str
    path: str
    service: str
    method: MethodDescriptor
    has_body: bool
    parameters: tuple[str, ...] = ()
    binding: int = 0

    @property
    def full_method(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def permission(self) -> str:
        return str(self.method.GetOptions().Extensions[options_pb2.permission])


def routes() -> list[Route]:
    """All routes, the ones with more fixed parts first, so that a fixed part wins over a parameter."""
    found = [route for module in FILES for method in _methods(module) for route in _routes_of(method)]
    return sorted(found, key=lambda r: (r.path.count("{"), r.path))


def _methods(module: object) -> Iterator[MethodDescriptor]:
    for service in module.DESCRIPTOR.services_by_name.values():  # type: ignore[attr-defined]
        yield from service.methods


def _routes_of(method: MethodDescriptor) -> Iterator[Route]:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule: http_pb2.HttpRule = options.Extensions[annotations_pb2.http]
    service = method.containing_service.full_name.split(".")[1]
    for number, binding in enumerate((rule, *rule.additional_bindings)):
        verb = next(v for v in _VERBS if getattr(binding, v))
        path = getattr(binding, verb)
        yield Route(verb.upper(), path, service, method, binding.body == "*", tuple(_PARAMETER.findall(path)), number)


def rules_of(described: FieldDescriptor) -> options_pb2.Rules:
    """What the field allows."""
    return described.GetOptions().Extensions[options_pb2.rules]


def is_live(described: FieldDescriptor) -> bool:
    """Whether the field is known of the present only."""
    return bool(described.GetOptions().Extensions[options_pb2.live])


@cache
def _comments() -> dict[str, str]:
    """Full name of a message, field, enum value, service or method -> its comment."""
    described = FileDescriptorSet.FromString(files("modelog_proto").joinpath("descriptors.binpb").read_bytes())
    found: dict[str, str] = {}
    for file in described.file:
        for location in file.source_code_info.location:
            if location.leading_comments:
                name = _name_at(file, list(location.path))
                if name:
                    found[f"{file.package}.{name}"] = " ".join(location.leading_comments.split())
    return found


def comment_of(full_name: str) -> str:
    """The comment that stands before a declaration, on one line; empty when there is none."""
    return _comments().get(full_name, "")


def _name_at(file: FileDescriptorProto, path: list[int]) -> str:
    """The dotted name at a source path (descriptor.proto, SourceCodeInfo.Location.path)."""
    inside = {4: "message_type", 5: "enum_type", 6: "service", 2: "field", 3: "nested_type"}
    node: object = file
    names: list[str] = []
    for depth, (number, index) in enumerate(zip(path[::2], path[1::2], strict=False)):
        attribute = inside.get(number)
        if depth > 0 and number == 2:
            attribute = next((a for a in ("field", "method", "value") if hasattr(node, a)), None)
        if attribute is None or not hasattr(node, attribute):
            return ""
        node = getattr(node, attribute)[index]
        names.append(node.name)  # type: ignore[attr-defined]
    return ".".join(names)
