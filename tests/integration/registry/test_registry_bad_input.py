"""Whatever is sent, the registry answers, or refuses and says which field is wrong; it never fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from modelog_common.domain.errors import AlreadyExists, Conflict, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2, model_pb2

FD = FieldDescriptor
TEXTS = [
    "", "m", "flight-delay", "1.0.0", "1.1.0", "a" * 64, "delays", "flights", "model.ubj", "FP32", "not_null", "int32",
    "x", "numeric", "\x00", "a\x00b", "é" * 201, "a" * 5000, "../../etc", "🛫", "' OR 1=1 --", "-1", "9" * 18,
    "2026-01-01T00:00:00Z", "2026-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59", "MTox", "LTU6MQ==", " ",
]  # fmt: skip
TEXTS += [base64.urlsafe_b64encode(token).decode() for token in (b"99999999999999999999:1", b"1:99999999999999999999")]
INTEGERS = [0, 1, 2, -1, 7, 1000, 2**31 - 1, -(2**31)]
LONG = [*INTEGERS, 2**63 - 1, -(2**63), 10**15]
BYTES = [b"", b"\0" * 7, b"\0" * 8, b"\x80" * 16, b"\xff" * 24]
DOUBLES = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e308]
SERVICES = (
    model_pb2.DESCRIPTOR.services_by_name["ModelRegistry"],
    experiment_pb2.DESCRIPTOR.services_by_name["ExperimentRegistry"],
    dataset_pb2.DESCRIPTOR.services_by_name["DatasetRegistry"],
)
METHODS = [method for service in SERVICES for method in service.methods]
METHOD_OF = {method.input_type.full_name: method for method in METHODS}
MESSAGES_EACH = 25
EXPECTED = Invalid | NotFound | NotAllowed | AlreadyExists | Conflict


def some(descriptor: Descriptor, dice: random.Random, depth: int = 0) -> Message:
    """A message with fields that are left out, right, and wrong."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if dice.random() < (0.15 if depth == 0 else 0.3) + 0.1 * depth:
            continue
        fill(message, field, dice, depth)
    return message


def nearly(right: Message, dice: random.Random) -> Message:
    """A message that would do, with one field changed."""
    message = type(right)()
    message.CopyFrom(right)
    field = dice.choice(list(right.DESCRIPTOR.fields))
    message.ClearField(field.name)
    fill(message, field, dice, 1)
    return message


def fill(message: Any, field: FieldDescriptor, dice: random.Random, depth: int) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value_field = field.message_type.fields_by_name["value"]
        for _ in range(dice.randrange(3)):
            if value_field.message_type is not None:
                target[dice.choice(TEXTS)].MergeFrom(some(value_field.message_type, dice, depth + 1))
            else:
                target[dice.choice(TEXTS)] = scalar(value_field, dice)
    elif field.is_repeated:
        target.extend(list(several(field, dice, depth)))
    elif field.message_type is not None:
        if depth < 6:
            target.CopyFrom(some(field.message_type, dice, depth + 1))
    else:
        setattr(message, field.name, scalar(field, dice))


def several(field: FieldDescriptor, dice: random.Random, depth: int) -> Iterator[Any]:
    for _ in range(dice.randrange(3)):
        if field.message_type is None:
            yield scalar(field, dice)
        elif depth < 6:
            yield some(field.message_type, dice, depth + 1)


def scalar(field: FieldDescriptor, dice: random.Random) -> Any:
    match field.cpp_type:
        case FD.CPPTYPE_STRING:
            return dice.choice(BYTES if field.type == FD.TYPE_BYTES else TEXTS)
        case FD.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FD.CPPTYPE_DOUBLE:
            return dice.choice(DOUBLES)
        case FD.CPPTYPE_ENUM:
            return dice.choice([0, 1, 2, 99, -1])
        case FD.CPPTYPE_UINT32:
            return abs(dice.choice(INTEGERS))
        case FD.CPPTYPE_INT64:
            return dice.choice(LONG)
        case _:
            return dice.choice(INTEGERS)


@pytest.mark.parametrize("seed", range(3))
async def test_no_message_makes_a_call_fail(alice: Any, bob: Any, seed: int) -> None:
    await alice.upload()
    await alice.model()
    await alice.version()
    await alice.experiment()
    run = await alice.run()
    right = right_requests(run.id)
    dice = random.Random(seed)
    order = METHODS * MESSAGES_EACH
    dice.shuffle(order)
    for method in order:
        message = nearly(dice.choice(right), dice)
        await send(dice.choice([alice, bob]), method, some(method.input_type, dice))
        await send(dice.choice([alice, bob]), METHOD_OF[message.DESCRIPTOR.full_name], message)
    status = await alice.admin.GetStatus(common.GetStatusRequest())
    assert {p.error for p in status.projections} == {""}, "every event that was appended could be projected"
    rebuilt = await alice.admin.Rebuild(common.RebuildRequest())
    assert rebuilt.projections[0].position == status.log_position


def right_requests(run_id: str) -> list[Message]:
    """Commands that would do."""
    digest = hashlib.sha256(b"a model").hexdigest()
    artifact = model_pb2.Artifact(path="model.ubj", digest=digest, size_bytes=7)
    tensor = model_pb2.TensorSpec(name="x", datatype="FP32", shape=[-1])
    column = dataset_pb2.Column(name="hour", type="int32")
    return [
        model_pb2.RegisterVersionRequest(
            model="flight-delay",
            flavor="xgboost",
            artifact=artifact,
            signature=model_pb2.Signature(inputs=[tensor], outputs=[tensor]),
        ),
        model_pb2.ReviewVersionRequest(model="flight-delay", version="1.0.0", decision=1, comment="ok"),
        model_pb2.PromoteVersionRequest(model="flight-delay", version="1.1.0", stage=2),
        experiment_pb2.StartRunRequest(experiment="delays"),
        experiment_pb2.LogRunRequest(run_id=run_id, metrics=[experiment_pb2.MetricPoint(name="m", value=1)]),
        experiment_pb2.GetRunRequest(run_id=run_id),
        dataset_pb2.RegisterDatasetVersionRequest(dataset="flights", digest=digest, schema=[column]),
        dataset_pb2.GetDatasetVersionRequest(dataset="flights", version=1),
    ]


async def send(person: Any, method: MethodDescriptor, request: Message) -> None:
    service = method.containing_service
    call = person.channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answer = (await asyncio.gather(call(request), return_exceptions=True))[0]
    assert isinstance(answer, Message | EXPECTED), f"{method.name} failed with {answer!r} for\n{request}"
    assert not isinstance(answer, Invalid) or answer.violations, f"{method.name}: {answer} names no field"
