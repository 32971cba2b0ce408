"""Users and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from modelog_common.domain.clock import Clock
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.read.queries import Queries
from modelog_common.rpc.call import command_context, current_call
from modelog_common.security.permissions import permissions_of
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_proto.common.v1 import common_pb2
from modelog_proto.gateway.v1 import identity_pb2 as pb
from modelog_proto.gateway.v1.identity_pb2_grpc import IdentityServiceServicer

from modelog_gateway.read.tables import users as users_table
from modelog_gateway.user.commands import CreateUser, IssueToken, UserCommand
from modelog_gateway.user.events import UserEvent
from modelog_gateway.user.state import User

DAY_S = 86_400
Call = Any


class IdentityServicer(IdentityServiceServicer):
    """modelog.gateway.v1.IdentityService."""

    def __init__(
        self,
        users: Entities[User, UserCommand, UserEvent],
        queries: Queries,
        signer: TokenSigner,
        clock: Clock,
    ) -> None:
        self.users, self.queries, self.signer, self.clock = users, queries, signer, clock

    async def CreateUser(self, request: pb.CreateUserRequest, context: Call) -> pb.User:
        ctx = command_context(self.clock, request.request_id)
        command = CreateUser(request.name, tuple(request.roles))
        done = await self.users.handle(derived_id(ctx.tenant, request.name), command, ctx)
        read = common_pb2.ReadOptions(at_least=done.position)
        found = await self.queries.one(users_table, pb.User, read, ctx.tenant, name=request.name)
        return found or pb.User()

    async def ListUsers(self, request: pb.ListUsersRequest, context: Call) -> pb.ListUsersResponse:
        tenant = current_call().identity.tenant
        found = await self.queries.page(users_table, pb.User, request.read, tenant, request.page)
        return pb.ListUsersResponse(users=found.items, next_page_token=found.next_page_token)

    async def IssueToken(self, request: pb.IssueTokenRequest, context: Call) -> pb.Token:
        ctx = command_context(self.clock, request.request_id)
        lifetime = timedelta(seconds=request.lifetime_s or DAY_S)
        token_id = derived_id(ctx.request_id, "token")
        entity = derived_id(ctx.tenant, request.user)
        user = (await self.users.handle(entity, IssueToken(request.user, token_id, lifetime), ctx)).state
        identity = Identity(user.name, ctx.tenant, frozenset(user.roles))
        answer = pb.Token(token=self.signer.sign(identity, lifetime, token_id))
        answer.expires_at.FromDatetime(ctx.now + lifetime)
        return answer

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Call) -> pb.Identity:
        me = current_call().identity
        return pb.Identity(
            user=me.user, tenant=me.tenant, roles=sorted(me.roles), permissions=sorted(permissions_of(me.roles))
        )
