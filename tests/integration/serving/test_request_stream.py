"""Requests by Kafka: answered in order and once, through lost brokers, wrong batches and `kill -9`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from confluent_kafka import TopicPartition
from modelog_common.bus.clients import new_consumer, new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import INFERENCE_REQUESTS, PREDICTIONS
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.data_pb2 import PredictionBatch, RequestBatch
from serving_rig import (
    COLUMNS,
    PATIENCE_S,
    TENANT,
    Caller,
    Process,
    Rig,
    answers_of,
    model_file,
    registry_of,
    serving_of,
    until,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROWS = np.random.default_rng(9).normal(size=(4000, 4)).astype(np.float32)
DEAD = INFERENCE_REQUESTS.of(TENANT).dead.name
PUBLISHED = PREDICTIONS.of(TENANT)


def requests(sequence: int, rows: int = 20, **fields: Any) -> RequestBatch:
    """Batch n of a producer holds the rows n * rows and those after it."""
    start = (sequence - 1) * rows
    whole: dict[str, Any] = {
        "deployment": "flights",
        "producer": "p",
        "sequence": sequence,
        "prediction_ids": [f"f{n:06}" for n in range(start, start + rows)],
        "event_times_us": range(start, start + rows),
        "feature_names": COLUMNS,
        "features": ROWS[start : start + rows].tobytes(),
        "watermark_us": start,
    } | fields
    return RequestBatch(**whole)


async def send(kafka: str, batches: Sequence[RequestBatch | bytes], tenant: str = TENANT) -> None:
    topic = INFERENCE_REQUESTS.of(tenant)
    await KafkaBroker(kafka).open(topic)

    def produce() -> int:
        producer = new_producer(kafka, **{"message.timeout.ms": 150_000})
        for batch in batches:
            value = batch if isinstance(batch, bytes) else batch.SerializeToString()
            producer.produce(topic.name, value)
        return int(producer.flush(150))

    assert await asyncio.to_thread(produce) == 0


async def published(kafka: str, rows: int, topic: str = PUBLISHED.name) -> list[Any]:
    """What a fresh consumer reads until it has so many messages' rows, or dead letters.

    What comes again, as after a crash of the publisher, it leaves out by its place, as every reader does.
    """

    def read() -> list[Any]:
        consumer = new_consumer(kafka, "fresh")
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages: list[Any] = []
        seen, last = 0, 0
        while seen < rows:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, f"{topic}: {seen} of {rows} rows came in {PATIENCE_S:g} s"
            if message.error():
                continue
            if topic == DEAD:
                seen += 1
            else:
                batch = PredictionBatch.FromString(message.value())
                if batch.sequence <= last:
                    continue
                seen, last = seen + len(batch.prediction_ids), batch.sequence
            messages.append(message)
        consumer.close()
        return messages

    await KafkaBroker(kafka).open(PUBLISHED)
    return await asyncio.to_thread(read)


async def predictions(kafka: str, rows: int) -> list[PredictionBatch]:
    return [PredictionBatch.FromString(m.value()) for m in await published(kafka, rows)]


async def reaches(alice: Caller, sequence: int) -> None:
    async def reached() -> bool:
        return await alice.reached("p") >= sequence

    await until(reached, f"batch {sequence} was answered")


@pytest.fixture
async def streaming(tmp_path: Path, fresh_broker: Any) -> AsyncIterator[Rig]:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        yield rig


async def test_batches_are_answered_in_order_and_published(streaming: Rig) -> None:
    alice = streaming.caller()
    made = await alice.deploy()
    await send(streaming.kafka, [requests(n) for n in range(1, 6)])
    await reaches(alice, 5)
    seen = await predictions(streaming.kafka, 100)
    assert [b.source_sequence for b in seen] == [1, 2, 3, 4, 5]
    assert [b.watermark_us for b in seen] == [0, 20, 40, 60, 80]
    assert [i for b in seen for i in b.prediction_ids] == [f"f{n:06}" for n in range(100)]
    outputs = np.concatenate([np.frombuffer(b.outputs, "<f4") for b in seen])
    assert np.allclose(outputs, answers_of(model_file(0), ROWS[:100]), atol=1e-6)
    assert {a.model_digest for b in seen for a in b.answerers} == {made.variants[0].model_digest}
    assert (await alice.deployment()).variants[0].answered == 100
    found = await alice.deployments.GetPrediction(
        pb.GetPredictionRequest(deployment="flights", prediction_id="f000042")
    )
    assert dict(found.features) == dict(zip(COLUMNS, ROWS[42].tolist(), strict=True))


async def test_a_split_is_drawn_by_key_and_a_column_may_stand_elsewhere(streaming: Rig) -> None:
    alice = streaming.caller()
    await alice.deploy()
    await alice.split(v1_0_0=60, v1_1_0=40)
    swapped = ROWS[:200, ::-1].copy()
    await send(
        streaming.kafka,
        [
            requests(1, 200),
            requests(
                2,
                200,
                prediction_ids=[f"g{n}" for n in range(200)],
                keys=[f"f{n:06}" for n in range(200)],
                feature_names=COLUMNS[::-1],
                features=swapped.tobytes(),
            ),
        ],
    )
    await reaches(alice, 2)
    first, second = await predictions(streaming.kafka, 400)
    by = np.frombuffer(first.answered_by, np.uint8)
    versions = [a.version for a in first.answerers]
    assert 80 < int((by == versions.index("1.0.0")).sum()) < 160
    assert first.answered_by == second.answered_by
    assert first.outputs == second.outputs
    both = np.stack([answers_of(model_file(seed), ROWS[:200]) for seed in (0, 1)])
    wanted = np.where(by == versions.index("1.1.0"), both[1], both[0])
    assert np.allclose(np.frombuffer(first.outputs, "<f4"), wanted, atol=1e-6)
    counted = {v.version: v.answered for v in (await alice.deployment()).variants}
    assert counted == {v: 2 * int((by == n).sum()) for n, v in enumerate(versions)}


async def test_a_batch_counts_once_and_none_is_left_out(streaming: Rig) -> None:
    alice = streaming.caller()
    await alice.deploy()
    await send(streaming.kafka, [requests(n) for n in (1, 2, 2, 1, 4, 5)])
    await reaches(alice, 2)
    await send(streaming.kafka, [requests(n) for n in (3, 4, 5)])
    await reaches(alice, 5)
    assert [b.source_sequence for b in await predictions(streaming.kafka, 100)] == [1, 2, 3, 4, 5]
    with pytest.raises(NotFound, match=r"serving reads no topics 'outcomes'"):
        await alice.admin.GetStreamProgress(common_pb2.GetStreamProgressRequest(producer="p", topic="outcomes"))


WRONG: list[tuple[dict[str, Any] | bytes, str]] = [
    (b"\xff\xff\xff", "its bytes are no RequestBatch"),
    ({"producer": ""}, "producer has 0 characters"),
    ({"sequence": 0}, "sequence is 0; it must rise by one from 1"),
    ({"deployment": "none"}, "deployment: there is no model or deployment 'none'"),
    ({"prediction_ids": []}, "prediction_ids has 0 items"),
    ({"prediction_ids": ["a"] * 20}, "prediction_ids names an id twice"),
    ({"prediction_ids": ["", *(f"n{n}" for n in range(19))]}, "prediction_ids has an id that is empty"),
    ({"event_times_us": [1]}, "event_times_us has 1 items; there are 20 prediction_ids"),
    ({"keys": ["k"]}, "keys has 1 items; there are 20 prediction_ids"),
    ({"keys": ["k" * 201] * 20}, "keys has a key that is longer than 200 characters"),
    ({"features": b"1234"}, "features has 4 bytes; 20 rows of 4 float32 features take 320"),
    ({"feature_names": ["hour", "wind", "rain", "snow"]}, "feature_names lacks 'delay'; the model takes hour, wind"),
    ({"feature_names": [*COLUMNS, "snow"], "features": bytes(400)}, "feature_names has 'snow'"),
    ({"feature_names": [*COLUMNS, "hour"], "features": bytes(400)}, "feature_names names a feature twice"),
    (
        {"features": np.full((20, 4), np.inf, np.float32).tobytes()},
        "features: row 0, column 'hour' is infinite",
    ),
    ({"features": bytes(4_000_001)}, "at most 4000000 are allowed"),
]


async def test_wrong_batches_go_to_the_dead_letters_and_the_rest_goes_on(streaming: Rig) -> None:
    alice = streaming.caller()
    await alice.deploy()
    batches: list[RequestBatch | bytes] = []
    sequence = 0
    for wrong, _ in WRONG:
        if isinstance(wrong, bytes):
            batches.append(wrong)
            continue
        counted = "producer" in wrong or "sequence" in wrong
        sequence += 0 if counted else 1
        batches.append(requests(**({"sequence": sequence} | wrong)))
        batches.append(requests(sequence + 1, prediction_ids=[f"{sequence}.{n}" for n in range(20)]))
        sequence += 1
    await send(streaming.kafka, batches)
    await reaches(alice, sequence)
    letters = await published(streaming.kafka, len(WRONG), DEAD)
    reasons = [dict(letter.headers())["dead_reason"].decode() for letter in letters]
    for reason, (_, text) in zip(reasons, WRONG, strict=True):
        assert text in reason
    good = sum(not isinstance(wrong, bytes) for wrong, _ in WRONG)
    assert len(await predictions(streaming.kafka, good * 20)) == good


def fails_at_two(table: Any) -> Any:
    """A model that dies of one row, and does not take another."""
    highest = table.to_numpy().max()
    if highest == 999:
        os._exit(3)
    if highest == 888:
        raise ValueError("no such weather")
    return table.to_numpy()[:, 0]


async def test_batches_that_a_model_fails_at_are_put_aside_and_the_rest_goes_on(streaming: Rig) -> None:
    alice, bob = streaming.caller("alice"), streaming.caller("bob")
    version = await alice.version(cloudpickle.dumps(fails_at_two), flavor="python_function")
    await bob.approve(version)
    await alice.promote(version, "staging")
    await alice.deploy(version)
    wrong = [np.full((20, 4), number, np.float32).tobytes() for number in (999, 888)]
    batches = [requests(1), requests(2, features=wrong[0]), requests(3, features=wrong[1]), requests(4)]
    await send(streaming.kafka, batches)
    await reaches(alice, 4)
    letters = (await alice.admin.ListDeadLetters(common_pb2.ListDeadLettersRequest())).letters
    reasons = sorted(letter.reason for letter in letters)
    assert len(reasons) == 2
    assert any("no such weather" in reason for reason in reasons)
    assert any("process ended with status 3 when it was asked for 20 rows" in reason for reason in reasons)
    assert [b.source_sequence for b in await predictions(streaming.kafka, 40)] == [1, 4]


async def test_a_broker_that_forgot_everything_gets_every_prediction_again(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        alice = rig.caller()
        await alice.deploy()
        await send(rig.kafka, [requests(n) for n in (1, 2)])
        await reaches(alice, 2)
        await predictions(rig.kafka, 40)
        fresh_broker.kill()
        fresh_broker.start()
        await send(rig.kafka, [requests(n) for n in (2, 3)])
        await reaches(alice, 3)
        seen = await predictions(rig.kafka, 60)
        assert [b.source_sequence for b in seen] == [1, 2, 3]
        assert [i for b in seen for i in b.prediction_ids] == [f"f{n:06}" for n in range(60)]


async def test_kill_9_in_the_middle_of_a_stream(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        process = Process(rig)
        await process.start()
        alice = rig.caller()
        await alice.deploy()
        await send(rig.kafka, [requests(n) for n in range(1, 201)])
        await reaches(alice, 20)
        process.kill()
        await process.start()
        await reaches(rig.caller(), 200)
        seen = await predictions(rig.kafka, 4000)
        assert [b.source_sequence for b in seen] == list(range(1, 201))
        assert [b.sequence for b in seen] == list(range(1, 201))
        assert process.terminate() == 0


async def test_a_refused_batch_is_answered_when_it_is_replayed_after_its_cause_is_mended(streaming: Rig) -> None:
    """It asked a deployment that was not there yet. What its producer sent since keeps its place."""
    alice = streaming.caller()
    await alice.deploy()
    await send(streaming.kafka, [requests(1), requests(2, deployment="later"), requests(3)])
    await reaches(alice, 3)
    (letter,) = (await alice.admin.ListDeadLetters(common_pb2.ListDeadLettersRequest())).letters
    assert (letter.service, letter.consumer, letter.attempts) == ("serving", "serving.requests", 1)
    assert "there is no model or deployment 'later'" in letter.reason
    replay = common_pb2.ReplayDeadLetterRequest(id=letter.id)
    refused = await alice.admin.ReplayDeadLetter(replay)
    assert (refused.state, refused.attempts) == ("dead", 2)
    await alice.deploy(name="later")
    assert (await alice.admin.ReplayDeadLetter(replay)).state == "replayed"
    assert await alice.reached("p") == 3
    seen = await predictions(streaming.kafka, 60)
    assert [(b.deployment, b.source_sequence) for b in seen] == [("flights", 1), ("flights", 3), ("later", 2)]
    with pytest.raises(NotAllowed, match="was replayed at"):
        await alice.admin.ReplayDeadLetter(replay)
    with pytest.raises(NotFound, match="there is no dead letter"):
        await streaming.caller("eve", tenant="other").admin.ReplayDeadLetter(replay)
