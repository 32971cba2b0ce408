"""Users and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from modelog_common.domain.clock import Clock
from modelog_common.domain.ids import derived_id
from modelog_common.privacy.keys import Erasure
from modelog_common.privacy.messages import open_fields
from modelog_common.privacy.subjects import Subjects
from modelog_common.read.queries import Queries
from modelog_common.rpc.call import command_context, current_call
from modelog_common.security.permissions import permissions_of
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_proto.common.v1 import common_pb2
from modelog_proto.gateway.v1 import identity_pb2 as pb
from modelog_proto.gateway.v1.identity_pb2_grpc import IdentityServiceServicer

from modelog_gateway.handle.subjects import AskedAbout
from modelog_gateway.handle.users import EMAIL, FULL_NAME, Users
from modelog_gateway.read.tables import users as users_table

DAY_S = 86_400
PERSONAL = {"full_name": FULL_NAME, "email": EMAIL}
Call = Any


class IdentityServicer(IdentityServiceServicer):
    """modelog.gateway.v1.IdentityService."""

    def __init__(
        self,
        users: Users,
        asked_about: AskedAbout,
        queries: Queries,
        subjects: Subjects,
        signer: TokenSigner,
        clock: Clock,
    ) -> None:
        self.users, self.asked_about, self.queries = users, asked_about, queries
        self.subjects, self.signer, self.clock = subjects, signer, clock

    async def CreateUser(self, request: pb.CreateUserRequest, context: Call) -> pb.User:
        ctx = command_context(self.clock, request.request_id)
        roles = tuple(request.roles)
        done = await self.users.create(request.name, roles, ctx, request.full_name, request.email)
        return await self._user(request.name, done.position)

    async def SetUserDetails(self, request: pb.SetUserDetailsRequest, context: Call) -> pb.User:
        ctx = command_context(self.clock, request.request_id)
        done = await self.users.describe(request.name, request.full_name, request.email, ctx)
        return await self._user(request.name, done.position)

    async def EraseUser(self, request: pb.EraseUserRequest, context: Call) -> pb.User:
        ctx = command_context(self.clock, request.request_id)
        done = await self.users.erase(request.name, request.reason, ctx)
        return await self._user(request.name, done.position)

    async def EraseSubject(self, request: pb.EraseSubjectRequest, context: Call) -> pb.Erasure:
        ctx = command_context(self.clock, request.request_id)
        return erasure_message(await self.asked_about.erase(request.subject, request.reason, ctx))

    async def RotateMasterKey(self, request: pb.RotateMasterKeyRequest, context: Call) -> pb.RotateMasterKeyResponse:
        return pb.RotateMasterKeyResponse(keys=await self.subjects.rotate())

    async def ListErasures(self, request: pb.ListErasuresRequest, context: Call) -> pb.ListErasuresResponse:
        return pb.ListErasuresResponse(erasures=[erasure_message(e) for e in await self.subjects.erasures()])

    async def ListUsers(self, request: pb.ListUsersRequest, context: Call) -> pb.ListUsersResponse:
        tenant = current_call().identity.tenant
        found = await self.queries.page(users_table, pb.User, request.read, tenant, request.page)
        await open_fields(self.subjects, found.items, PERSONAL)
        return pb.ListUsersResponse(users=found.items, next_page_token=found.next_page_token)

    async def IssueToken(self, request: pb.IssueTokenRequest, context: Call) -> pb.Token:
        ctx = command_context(self.clock, request.request_id)
        lifetime = timedelta(seconds=request.lifetime_s or DAY_S)
        token_id = derived_id(ctx.request_id, "token")
        user = (await self.users.issue_token(request.user, token_id, lifetime, ctx)).state
        identity = Identity(user.name, ctx.tenant, frozenset(user.roles))
        answer = pb.Token(token=self.signer.sign(identity, lifetime, token_id))
        answer.expires_at.FromDatetime(ctx.now + lifetime)
        return answer

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Call) -> pb.Identity:
        me = current_call().identity
        return pb.Identity(
            user=me.user, tenant=me.tenant, roles=sorted(me.roles), permissions=sorted(permissions_of(me.roles))
        )

    async def _user(self, name: str, at_least: int) -> pb.User:
        """A user as a command left it."""
        read = common_pb2.ReadOptions(at_least=at_least)
        found = await self.queries.one(users_table, pb.User, read, current_call().identity.tenant, name=name)
        user = found or pb.User()
        await open_fields(self.subjects, [user], PERSONAL)
        return user


def erasure_message(erasure: Erasure) -> pb.Erasure:
    message = pb.Erasure(tenant=erasure.tenant, subject=erasure.subject, by=erasure.by, reason=erasure.reason)
    message.at.FromDatetime(erasure.at)
    return message
