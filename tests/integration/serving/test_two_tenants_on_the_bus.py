"""Two tenants with the same names for everything: no topic of one holds a trace of the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from confluent_kafka import Message, TopicPartition
from modelog_common.bus.clients import new_consumer, new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import EVENTS, INFERENCE_REQUESTS, OUTCOMES, PREDICTIONS, tenant_in
from modelog_common.domain.errors import NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.data_pb2 import PredictionBatch, RequestBatch
from serving_rig import COLUMNS, Caller, Rig, registry_of, serving_of, until, with_versions

# Each tenant's people and ids bear its mark, and nothing of the other's may show up beside it.
MARKS = {"acme": b"acme-secret", "other": b"other-secret"}
ROWS = 20


def batch_of(tenant: str, sequence: int, deployment: str = "flights") -> bytes:
    mark = MARKS[tenant].decode()
    return RequestBatch(
        deployment=deployment,
        producer="same-producer",
        sequence=sequence,
        prediction_ids=[f"{mark}-{sequence}-{n}" for n in range(ROWS)],
        event_times_us=range(ROWS),
        feature_names=COLUMNS,
        features=bytes(ROWS * len(COLUMNS) * 4),
        watermark_us=ROWS,
    ).SerializeToString()


async def send(kafka: str, tenant: str, *batches: bytes) -> None:
    topic = INFERENCE_REQUESTS.of(tenant)
    await KafkaBroker(kafka).open(topic)
    producer = new_producer(kafka, **{"message.timeout.ms": 150_000})
    for batch in batches:
        producer.produce(topic.name, batch)
    assert await asyncio.to_thread(producer.flush, 150) == 0


async def reaches(caller: Caller, sequence: int) -> None:
    async def reached() -> bool:
        return await caller.reached("same-producer") >= sequence

    await until(reached, f"batch {sequence} was handled")


async def raw(kafka: str, enough: dict[str, int]) -> dict[str, list[Message]]:
    """All messages of all topics, once each of the topics named has so many."""
    found: dict[str, list[Message]] = {name: [] for name in enough}

    def read(names: list[str]) -> None:
        consumer = new_consumer(kafka, "raw")
        consumer.assign([TopicPartition(name, 0, 0) for name in names])
        for name in names:
            found[name] = []
        quiet = 0
        while quiet < 10:
            message = consumer.poll(0.2)
            quiet = quiet + 1 if message is None else 0
            if message is not None and message.error() is None:
                found[message.topic() or ""].append(message)
        consumer.close()

    async def all_there() -> bool:
        names = [name for name in await KafkaBroker(kafka).topics() if not name.startswith("__")]
        await asyncio.to_thread(read, names)
        return all(len(found.get(name, [])) >= count for name, count in enough.items())

    await until(all_there, f"so many messages are there: {enough}")
    return found


def bytes_of(message: Message) -> bytes:
    headers = b"\n".join(name.encode() + b"=" + (value or b"") for name, value in message.headers() or ())
    return b"\n".join((message.topic().encode(), message.key() or b"", message.value() or b"", headers))


async def test_no_topic_of_a_tenant_holds_anything_of_another(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        eve, mallory = (rig.caller(name, tenant="other") for name in ("other-secret-eve", "other-secret-mallory"))
        await with_versions(eve, mallory)
        async with serving_of(rig):
            people = {
                "acme": rig.caller("acme-secret-alice"),
                "other": rig.caller("other-secret-eve", tenant="other"),
            }
            for tenant, caller in people.items():
                await caller.deploy()
                await send(rig.kafka, tenant, batch_of(tenant, 1), batch_of(tenant, 2, "missing"), batch_of(tenant, 3))
            for caller in people.values():
                await reaches(caller, 3)
            found = await raw(
                rig.kafka,
                {
                    **{PREDICTIONS.of(t).name: 2 for t in MARKS},
                    **{INFERENCE_REQUESTS.of(t).dead.name: 1 for t in MARKS},
                    **{EVENTS[s].of(t).name: n for t in MARKS for s, n in (("registry", 7), ("serving", 1))},
                },
            )
            for tenant, caller in people.items():
                letters = (await caller.admin.ListDeadLetters(common_pb2.ListDeadLettersRequest())).letters
                assert [tenant_in(letter.topic) for letter in letters] == [tenant]
                other = next(t for t in MARKS if t != tenant)
                asked = pb.GetPredictionRequest(deployment="flights", prediction_id=f"{MARKS[other].decode()}-1-0")
                try:
                    await caller.deployments.GetPrediction(asked)
                except NotFound:
                    continue
                raise AssertionError(f"{tenant} was shown a prediction of {other}")
    assert {tenant_in(name) for name in found} == set(MARKS)
    for name, messages in found.items():
        others = [mark for tenant, mark in MARKS.items() if tenant != tenant_in(name)]
        for message in messages:
            content = bytes_of(message)
            assert not any(mark in content for mark in others), content
            assert b"ce_tenant=" not in content or b"ce_tenant=" + tenant_in(name).encode() in content
    for tenant in MARKS:
        batches = [PredictionBatch.FromString(m.value() or b"") for m in found[PREDICTIONS.of(tenant).name]]
        assert [b.tenant for b in batches] == [tenant] * 2
    assert OUTCOMES.of("acme").name not in found
