"""Who may call what: tokens, permissions, and the rules that hold before any handler runs."""

from __future__ import annotations

from datetime import timedelta

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.domain.errors import Forbidden, Invalid, Unauthenticated
from modelog_common.rpc.pipeline import ANONYMOUS
from modelog_common.rpc.server import GrpcServer
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_proto.inference import grpc_predict_v2_pb2, grpc_predict_v2_pb2_grpc
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

REQUEST = pb.GetModelRequest(name="m")
REVIEW = pb.ReviewVersionRequest(model="m", version="1.0.0", decision=1, comment="fine")  # type: ignore[arg-type]


async def raw_call(served, authorization: str | None):
    """A call by a client that is not ours."""
    metadata = (("authorization", authorization),) if authorization is not None else ()
    async with grpc.aio.insecure_channel(served.address) as channel:
        return await ModelRegistryStub(channel).GetModel(REQUEST, metadata=metadata)


async def test_the_handler_knows_the_caller(served) -> None:
    token = served.token("viewer", user="bob")
    await served.registry(token).GetModel(REQUEST)
    (call,) = served.models.calls
    assert call.identity == Identity("bob", "acme", frozenset({"viewer"}))
    assert call.token == token


async def test_the_token_may_come_from_a_function_that_renews_it(served) -> None:
    tokens = iter([served.token(user="first"), served.token(user="second")])
    registry = served.registry(lambda: next(tokens))
    await registry.GetModel(REQUEST)
    await registry.GetModel(REQUEST)
    assert [c.identity.user for c in served.models.calls] == ["first", "second"]


async def test_no_token(served) -> None:
    with pytest.raises(Unauthenticated, match="the call carries no token; send metadata `authorization: Bearer"):
        await served.registry("").GetModel(REQUEST)
    assert served.models.calls == []


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "garbage"])
async def test_headers_without_a_token(served, value) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="carries no token"):
        await raw_call(served, value)


async def test_another_scheme(served) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="the authorization scheme 'Basic' is not known; send `Bearer"):
        await raw_call(served, "Basic YWxpY2U6c2VjcmV0")


async def test_the_scheme_is_written_in_any_case(served) -> None:
    assert (await raw_call(served, f"bearer {served.token()}")).name == "m"


async def test_an_expired_token(served) -> None:
    registry = served.registry(served.token())
    served.clock.advance(timedelta(hours=2))
    with pytest.raises(Unauthenticated, match="the token expired at 2026-01-01T01:00:00Z"):
        await registry.GetModel(REQUEST)


async def test_a_forged_token(served) -> None:
    forger = TokenSigner(Ed25519PrivateKey.generate(), served.clock)
    token = forger.sign(Identity("alice", "acme", frozenset({"admin"})), timedelta(hours=1))
    with pytest.raises(Unauthenticated, match="signature is wrong"):
        await served.registry(token).GetModel(REQUEST)
    assert served.models.calls == []


async def test_a_permission_that_the_caller_lacks(served, lines) -> None:
    with pytest.raises(Forbidden) as error:
        await served.registry(served.token("developer", "viewer")).ReviewVersion(REVIEW)
    assert str(error.value) == (
        "alice lacks the permission model.review, which the roles reviewer, admin have; alice's roles: "
        "developer, viewer"
    )
    (line,) = await lines.wait_for("call")
    assert (line["user"], line["tenant"], line["code"]) == ("alice", "acme", "PERMISSION_DENIED")


async def test_a_permission_that_the_caller_has(served) -> None:
    assert (await served.registry(served.token("reviewer")).ReviewVersion(REVIEW)).model == "m"


async def test_identity_comes_before_the_rules(served) -> None:
    with pytest.raises(Unauthenticated):
        await served.registry("").GetModel(pb.GetModelRequest())


async def test_a_message_that_breaks_the_rules_reaches_no_handler(served) -> None:
    with pytest.raises(Invalid) as error:
        await served.registry().GetModel(pb.GetModelRequest(read={"at_least": -1}))
    assert [v.field for v in error.value.violations] == ["name", "read.at_least"]
    assert served.models.calls == []


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"\n\x05ab", b"\n\x02\xff\xfe"])
async def test_bytes_that_are_no_message_are_the_callers_mistake(served, content) -> None:
    call = served.channel().unary_unary("/modelog.registry.v1.ModelRegistry/GetModel")
    with pytest.raises(Invalid, match="request: its bytes are not a message of the type that this method takes"):
        await call(content)
    assert served.models.calls == []


class Oip(grpc_predict_v2_pb2_grpc.GRPCInferenceServiceServicer):
    async def ServerLive(self, request, context):
        return grpc_predict_v2_pb2.ServerLiveResponse(live=True)

    async def ModelReady(self, request, context):
        return grpc_predict_v2_pb2.ModelReadyResponse(ready=True)


@pytest.fixture
async def foreign(served):
    """Serve a contract that names no permissions."""

    async def serve(**options):
        server = GrpcServer("127.0.0.1", 0, served.verifier, edge=served.edge)
        adder = grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server
        server.add(adder, Oip(), "inference.GRPCInferenceService", **options)
        served.address = f"127.0.0.1:{await server.start()}"
        served.closing.push_async_callback(server.stop, 0)
        return grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(served.channel(served.token("viewer")))

    return serve


async def test_a_method_without_a_permission_is_open_to_nobody(foreign) -> None:
    with pytest.raises(Forbidden, match="GRPCInferenceService/ServerLive is open to nobody: its contract names no"):
        await (await foreign()).ServerLive(grpc_predict_v2_pb2.ServerLiveRequest())


async def test_a_foreign_contract_gets_its_permission_where_it_is_served(foreign) -> None:
    allowed = await foreign(permission="model.read")
    assert (await allowed.ServerLive(grpc_predict_v2_pb2.ServerLiveRequest())).live
    refused = await foreign(permission="model.write")
    with pytest.raises(Forbidden, match=r"lacks the permission model\.write"):
        await refused.ServerLive(grpc_predict_v2_pb2.ServerLiveRequest())


async def test_a_public_method_needs_no_token(served, foreign, lines) -> None:
    await foreign(permission="public")
    stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(served.channel(""))
    assert (await stub.ServerLive(grpc_predict_v2_pb2.ServerLiveRequest())).live
    (line,) = await lines.wait_for("call")
    assert line["user"] == ANONYMOUS.user


async def test_a_foreign_contract_may_be_spared_our_limits(foreign) -> None:
    request = grpc_predict_v2_pb2.ModelReadyRequest(name="x" * 5000)
    assert (await (await foreign(permission="model.read", validated=False)).ModelReady(request)).ready
    with pytest.raises(Invalid, match="has 5000 characters; allowed: 0 to 4096"):
        await (await foreign(permission="model.read")).ModelReady(request)
