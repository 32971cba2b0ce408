"""What the contracts say of each method: who may call it. Read from the descriptors once, when a servicer is added."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import descriptor_pool
from modelog_proto.common.v1 import options_pb2


@dataclass(frozen=True)
class Method:
    """One method: its path on the wire, the permission it needs ("" means that nobody may call it), its checks."""

    path: str
    permission: str
    validated: bool = True


def methods_of(full_service_name: str, *, permission: str = "", validated: bool = True) -> dict[str, Method]:
    """The methods of a service by path; `permission` is for those that name none, as contracts that are not ours do.

    Raises LookupError when the contract was not imported.
    """
    try:
        service = descriptor_pool.Default().FindServiceByName(full_service_name)
    except KeyError as error:
        raise LookupError(
            f"no contract of a service {full_service_name} is known; is its _pb2 module imported?"
        ) from error
    found = {}
    for method in service.methods:
        path = f"/{full_service_name}/{method.name}"
        needed = method.GetOptions().Extensions[options_pb2.permission] or permission
        found[path] = Method(path, needed, validated)
    return found
