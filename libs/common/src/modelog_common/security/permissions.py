"""What each role may do; the names are those of the option `(modelog.common.v1.permission)` in the contracts."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

READ = frozenset({
    "artifact.read",
    "audit.read",
    "dataset.read",
    "deployment.read",
    "job.read",
    "lineage.read",
    "link.read",
    "model.read",
    "monitor.read",
    "platform.read",
    "run.read",
    "user.read",
    "workspace.read",
})  # fmt: skip
WRITE = frozenset({
    "artifact.write",
    "dataset.write",
    "deployment.write",
    "job.write",
    "link.write",
    "model.write",
    "monitor.write",
    "run.write",
    "workspace.write",
})  # fmt: skip
PROMOTE, REVIEW, ADMIN, WRITE_USERS = "model.promote", "model.review", "platform.admin", "user.write"
PERMISSIONS = READ | WRITE | {PROMOTE, REVIEW, ADMIN, WRITE_USERS}

# Whether a promotion has the approval that it needs is the domain's to decide, so a developer may ask for one.
ROLES = MappingProxyType({
    "viewer": READ,
    "developer": READ | WRITE | {PROMOTE},
    "reviewer": READ | {REVIEW, PROMOTE},
    "admin": PERMISSIONS,
    "service": PERMISSIONS - {WRITE_USERS},
})  # fmt: skip
PUBLIC = "public"


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Everything that the roles allow together; a role that is not known allows nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


def roles_with(permission: str) -> list[str]:
    """The names of the roles of people that have a permission."""
    return [role for role, allowed in ROLES.items() if permission in allowed and role != "service"]
