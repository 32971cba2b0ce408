"""Composition root of the gateway: chooses the adapters and wires them."""

from __future__ import annotations

from aiohttp import web
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.read.project import EntityProjection
from modelog_common.security.tokens import TokenSigner
from modelog_common.service import VERSION, Host
from modelog_proto.gateway.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from modelog_proto.gateway.v1.platform_pb2_grpc import add_PlatformServiceServicer_to_server

from modelog_gateway.api.identity import IdentityServicer
from modelog_gateway.api.platform import PlatformServicer
from modelog_gateway.handle.users import Users
from modelog_gateway.read.tables import metadata, rows
from modelog_gateway.rest.app import build_app
from modelog_gateway.user.commands import UserCommand
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import EVENTS, UserEvent
from modelog_gateway.user.state import User

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
FIRST_USER = "admin"
FIRST_TENANT = "default"
# A parameter of 4,096 characters, each of four bytes, takes 48 KiB in a path or query.
LINE_BYTES = 64 * 1024


async def build(host: Host) -> None:
    entities: Entities[User, UserCommand, UserEvent] = Entities(host.store, USERS, EVENTS)
    users = Users(entities, host.subjects)
    queries = host.project(metadata, [EntityProjection(host.store, USERS, EVENTS, rows)])
    signer = TokenSigner.from_file(host.settings.signing_key_file, host.clock)
    identity = IdentityServicer(users, queries, host.subjects, signer, host.clock)
    host.serve(add_IdentityServiceServicer_to_server, identity, "modelog.gateway.v1.IdentityService")
    peers = {name: host.peer(name) for name in SERVICES if name in host.settings.peers}
    platform = PlatformServicer(peers, host.data_broker)
    host.serve(add_PlatformServiceServicer_to_server, platform, "modelog.gateway.v1.PlatformService")

    async def first_user() -> None:
        ctx = Context(host.clock.now(), "service:gateway", FIRST_TENANT, derived_id("first user"))
        await users.create(FIRST_USER, ("admin",), ctx)

    host.before_serving(first_user)
    host.before_serving(lambda: users.finish_erasures(host.store))
    host.before_serving(lambda: start_http(host))


async def start_http(host: Host) -> None:
    """Listen for HTTP; stops with the process."""
    discovery = {f"{name}_grpc": address for name, address in host.settings.peers.items()}
    discovery |= {"version": VERSION, "kafka": host.settings.kafka_bootstrap}
    app = build_app(host.peer, host.verifier, VERSION, discovery)
    # A caller who goes away takes the call along: a broken upload stores nothing, a closed page ends its stream.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True, max_line_size=LINE_BYTES
    )
    await runner.setup()
    place = (host.settings.service_host, host.settings.http_port)
    site = web.TCPSite(runner, *place)
    try:
        await site.start()
    except OSError as error:
        raise Unavailable(f"the gateway cannot listen on {place[0]}:{place[1]}: {error.strerror}") from error
    host.on_stop(runner.cleanup)
    port = site._server.sockets[0].getsockname()[1] if site._server else place[1]  # type: ignore[attr-defined]
    host.endpoints["http"] = f"http://{place[0]}:{port}"
