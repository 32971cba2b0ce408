"""Where users can be looked up, and how their events fill the table."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put, temporal_table
from modelog_proto.gateway.v1 import identity_pb2 as pb
from sqlalchemy import MetaData

from modelog_gateway.user.state import User

metadata = MetaData()
users = temporal_table(metadata, "users", key=["name"])


def rows(user: User, stored: StoredEvent) -> Sequence[Change]:
    message = pb.User(name=user.name, roles=user.roles, tenant=stored.tenant, position=stored.position)
    if user.created_at is not None:
        message.created_at.FromDatetime(user.created_at)
    return [Put(users, {"name": user.name}, message.SerializeToString(), {})]
