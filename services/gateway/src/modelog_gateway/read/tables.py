"""Where users can be looked up, and how their events fill the table."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.privacy.messages import sealed_text
from modelog_common.read.tables import Change, Put, temporal_table
from modelog_proto.gateway.v1 import identity_pb2 as pb
from sqlalchemy import MetaData

from modelog_gateway.user.state import User

metadata = MetaData()
users = temporal_table(metadata, "users", key=["name"])


def rows(user: User, stored: StoredEvent) -> Sequence[Change]:
    """A row holds personal texts as they were sealed; they are opened when a query is answered."""
    message = pb.User(
        name=user.name,
        roles=user.roles,
        tenant=stored.tenant,
        position=stored.position,
        full_name=sealed_text(user.full_name),
        email=sealed_text(user.email),
    )
    if user.created_at is not None:
        message.created_at.FromDatetime(user.created_at)
    if user.erased_at is not None:
        message.erased_at.FromDatetime(user.erased_at)
    return [Put(users, {"name": user.name}, message.SerializeToString(), {})]
