"""Roles and permissions agree with the contracts."""

from __future__ import annotations

from importlib.resources import files

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from modelog_common.security.permissions import PERMISSIONS, PUBLIC, ROLES, permissions_of, roles_with
from modelog_common.security.tokens import Identity
from modelog_proto.common.v1 import options_pb2


def contract_permissions() -> dict[str, str]:
    """Each method of our own contracts with its permission."""
    contracts = FileDescriptorSet.FromString((files("modelog_proto") / "descriptors.binpb").read_bytes())
    return {
        f"{file.package}.{service.name}/{method.name}": method.options.Extensions[options_pb2.permission]
        for file in contracts.file
        if file.package.startswith("modelog.")
        for service in file.service
        for method in service.method
    }


def test_every_method_names_a_permission_that_some_role_has() -> None:
    named = contract_permissions()
    assert len(named) > 40
    unknown = {method: p for method, p in named.items() if p not in PERMISSIONS | {PUBLIC}}
    assert unknown == {}


def test_no_permission_is_left_that_no_method_asks_for() -> None:
    assert set(contract_permissions().values()) - {PUBLIC} == PERMISSIONS


def test_a_viewer_only_reads() -> None:
    assert all(p.endswith(".read") for p in ROLES["viewer"])
    assert ROLES["viewer"] == {p for p in PERMISSIONS if p.endswith(".read")}


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (
            "developer",
            ["model.write", "job.write", "deployment.write", "model.promote"],
            ["model.review", "user.write"],
        ),
        ("reviewer", ["model.review", "model.promote", "model.read"], ["model.write", "platform.admin"]),
        ("admin", ["user.write", "model.review", "platform.admin"], ["no.such"]),
        ("service", ["model.review", "platform.admin", "model.write"], ["user.write"]),
        ("somebody", [], ["model.read"]),
    ],
)
def test_what_a_role_may(role: str, may: list[str], may_not: list[str]) -> None:
    caller = Identity("x", "acme", frozenset({role}))
    assert [p for p in may if not caller.may(p)] == []
    assert [p for p in may_not if caller.may(p)] == []


def test_roles_add_up() -> None:
    assert permissions_of(["developer", "reviewer"]) == ROLES["developer"] | ROLES["reviewer"]
    assert permissions_of([]) == frozenset()


def test_an_error_can_name_the_roles_that_would_do() -> None:
    assert roles_with("model.review") == ["reviewer", "admin"]
