"""Errors cross the wire: raised in a handler, raised again in the client as the same domain error."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from modelog_common.domain.errors import FieldViolation, Invalid, ModelogError, NotFound, Unavailable
from modelog_common.rpc.errors import TABLE, DeadlineExceeded, PeerFailed, Unimplemented
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

REQUEST = pb.GetModelRequest(name="flight-delay")


@pytest.mark.parametrize("kind", [kind for kind, _, _ in TABLE])
async def test_each_error_comes_back_as_itself(served, kind) -> None:
    served.models.answer = lambda _: kind("flight-delay «9» is not there;\nit has 1.0.0")
    with pytest.raises(ModelogError) as error:
        await served.registry().GetModel(REQUEST)
    assert type(error.value) is kind
    assert str(error.value) == "flight-delay «9» is not there;\nit has 1.0.0"


async def test_violations_come_back(served) -> None:
    wrong = [FieldViolation("name", "is taken")]
    served.models.answer = lambda _: Invalid("one field is wrong", wrong)
    with pytest.raises(Invalid) as error:
        await served.registry().GetModel(REQUEST)
    assert list(error.value.violations) == wrong


async def test_a_long_error_in_any_alphabet_still_arrives(served) -> None:
    wrong = [FieldViolation(f"spec.rows[{n}]", "漢" * 500) for n in range(50)]
    served.models.answer = lambda _: Invalid("漢" * 20_000, wrong)
    with pytest.raises(Invalid, match=r"漢…$") as error:
        await served.registry().GetModel(REQUEST)
    assert "more" in error.value.violations[-1].description


async def test_an_unexpected_error_is_logged_and_not_told(served, lines) -> None:
    served.models.answer = lambda _: 1 / 0
    with pytest.raises(PeerFailed) as error:
        await served.registry().GetModel(REQUEST)
    (failed,) = await lines.wait_for("call failed")
    assert "ZeroDivisionError" in failed["exception"]
    assert failed["correlation_id"] in str(error.value)
    assert "division" not in str(error.value)
    (call,) = await lines.wait_for("call")
    assert (call["code"], call["correlation_id"]) == ("INTERNAL", failed["correlation_id"])


async def test_what_other_clients_see(served) -> None:
    served.models.answer = lambda _: NotFound("no model flight-delay")
    async with grpc.aio.insecure_channel(served.address) as channel:
        metadata = (("authorization", f"Bearer {served.token()}"),)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ModelRegistryStub(channel).GetModel(REQUEST, metadata=metadata)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "no model flight-delay"


async def test_a_handler_may_abort_by_itself(served, lines) -> None:
    served.models.abort_with = (grpc.StatusCode.OUT_OF_RANGE, "too far")
    with pytest.raises(Invalid, match="too far"):
        await served.registry().RegisterModel(pb.RegisterModelRequest(name="x"))
    (line,) = await lines.wait_for("call")
    assert line["code"] == "OUT_OF_RANGE"


async def test_a_method_that_nobody_wrote(served) -> None:
    with pytest.raises(Unimplemented, match=r"does not implement modelog\.registry\.v1\.ModelRegistry/ListModels"):
        await served.registry().ListModels(pb.ListModelsRequest())


async def test_a_method_that_does_not_exist(served) -> None:
    call = served.channel().unary_unary("/modelog.registry.v1.ModelRegistry/DeleteModel")
    with pytest.raises(Unimplemented):
        await call(b"")


async def test_nobody_listens(served) -> None:
    registry = served.registry()
    await served.server.stop(0)
    with pytest.raises(Unavailable):
        await registry.GetModel(REQUEST)


async def test_a_message_that_is_too_large(served) -> None:
    served.models.answer = lambda _: pb.Model(description="x" * (33 << 20))
    with pytest.raises(Invalid, match="larger than max"):
        await served.registry().GetModel(REQUEST)


async def test_a_dead_line_is_told_apart_from_an_unavailable_service(served) -> None:
    served.models.answer = lambda _: DeadlineExceeded("took longer")
    with pytest.raises(DeadlineExceeded):
        await served.registry().GetModel(REQUEST)
