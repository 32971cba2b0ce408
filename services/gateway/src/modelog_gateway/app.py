"""Composition root of the gateway: chooses the adapters and wires them."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.read.project import EntityProjection
from modelog_common.security.tokens import TokenSigner
from modelog_common.service import Host
from modelog_proto.gateway.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from modelog_proto.gateway.v1.platform_pb2_grpc import add_PlatformServiceServicer_to_server

from modelog_gateway.api.identity import IdentityServicer
from modelog_gateway.api.platform import PlatformServicer
from modelog_gateway.events import EVENTS
from modelog_gateway.handle.subjects import AskedAbout
from modelog_gateway.handle.users import Users
from modelog_gateway.listen import start_http
from modelog_gateway.read.tables import metadata, rows
from modelog_gateway.subject.decide import SUBJECTS
from modelog_gateway.user.commands import UserCommand
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import UserEvent
from modelog_gateway.user.state import User

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
FIRST_USER = "admin"
FIRST_TENANT = "default"


async def build(host: Host) -> None:
    entities: Entities[User, UserCommand, UserEvent] = Entities(host.store, USERS, EVENTS)
    users = Users(entities, host.subjects)
    queries = host.project(metadata, [EntityProjection(host.store, USERS, EVENTS, rows)])
    signer = TokenSigner.from_file(host.settings.signing_key_file, host.clock)
    asked_about = AskedAbout(Entities(host.store, SUBJECTS, EVENTS), host.subjects)
    identity = IdentityServicer(users, asked_about, queries, host.subjects, signer, host.clock)
    host.serve(add_IdentityServiceServicer_to_server, identity, "modelog.gateway.v1.IdentityService")
    peers = {name: host.peer(name) for name in SERVICES if name in host.settings.peers}
    platform = PlatformServicer(peers, host.data_broker)
    host.serve(add_PlatformServiceServicer_to_server, platform, "modelog.gateway.v1.PlatformService")

    async def first_user() -> None:
        ctx = Context(host.clock.now(), "service:gateway", FIRST_TENANT, derived_id("first user"))
        await users.create(FIRST_USER, ("admin",), ctx)

    host.before_serving(first_user)
    host.before_serving(lambda: users.finish_erasures(host.store))
    host.before_serving(lambda: asked_about.finish_erasures(host.store))
    host.before_serving(lambda: start_http(host))
