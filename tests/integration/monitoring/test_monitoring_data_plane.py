"""The data plane over a real broker: dead letters, a broker that forgets, drift without labels, and being settled."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import TopicPartition
from modelog_common.bus.clients import new_consumer
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch
from monitoring_bench import PATIENCE_S

MONITOR = pb.GetMonitorRequest(name="flights")


async def progress(bench: Any) -> int:
    request = common_pb2.GetStreamProgressRequest(producer="airport", topic="outcomes")
    return int((await bench.admin.GetStreamProgress(request)).sequence)


async def until_progress(bench: Any, sequence: int) -> None:
    async def reached() -> bool:
        return await progress(bench) == sequence

    await bench.until(reached, f"outcomes up to {sequence} are stored")


def dead_letters(bootstrap: str, topic: str) -> list[dict[str, bytes]]:
    """The headers of the dead letters of a topic, once there is one."""
    consumer = new_consumer(bootstrap, "dead")
    consumer.assign([TopicPartition(f"{topic}.dead", 0, 0)])
    found: list[dict[str, bytes]] = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found.append(dict(message.headers()))
        if found:
            break
    consumer.close()
    return found


async def test_a_wrong_batch_becomes_a_dead_letter_and_the_rest_goes_on(bench: Any) -> None:
    streams = bench.streams
    async with bench.monitoring():
        await bench.create_monitor()
        streams.send_outcomes(["x"], [0.5], [1_364_774_400_000_000])
        streams.send("modelog.acme.outcomes", b"\xff nobody wrote this")
        streams.hour(0)
        streams.hour(1)
        (window,) = await bench.until_windows(1)
        assert window.labelled == 1000
        await until_progress(bench, streams.outcomes)
    (dead, *_) = dead_letters(bench.settings.kafka_bootstrap, "modelog.acme.outcomes")
    assert dead["dead_reason"] == b"labels holds 0.5; labels are 0 or 1, other numbers are amounts"


async def test_a_replay_of_a_batch_that_is_still_wrong_returns_to_the_list(bench: Any) -> None:
    async with bench.monitoring():
        bench.streams.send_outcomes(["x"], [0.5], [1_364_774_400_000_000])
        bench.streams.flush()
        await until_progress(bench, 1)
        (letter,) = (await bench.admin.ListDeadLetters(common_pb2.ListDeadLettersRequest())).letters
        again = await bench.admin.ReplayDeadLetter(common_pb2.ReplayDeadLetterRequest(id=letter.id))
        assert (again.state, again.attempts, again.reason) == (
            "dead",
            2,
            "labels holds 0.5; labels are 0 or 1, other numbers are amounts",
        )
        whole = await bench.admin.GetDeadLetter(common_pb2.GetDeadLetterRequest(id=letter.id))
        assert OutcomeBatch.FromString(whole.value).prediction_ids == ["x"]
        await until_progress(bench, 1)


async def test_a_broker_that_forgets_costs_nothing(bench: Any, fresh_broker: Any) -> None:
    """The producer asks how far its batches have come and sends the rest again, and more than the rest."""
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        await until_progress(bench, bench.streams.outcomes)
        fresh_broker.restart()
        again = type(bench.streams)(fresh_broker.bootstrap, bench.world)
        again.log_id = bench.streams.log_id
        again.hour(0)
        again.hour(1)
        again.hour(2)
        windows = await bench.until_windows(2)
        await until_progress(bench, again.outcomes)
        assert [w.predictions for w in windows] == [1000, 1000]
        await bench.until_counted(3000)


async def test_without_a_label_column_drift_is_judged_without_waiting(bench: Any) -> None:
    async with bench.monitoring():
        await bench.create_monitor(label_column="")
        bench.streams.hour(0, shift=1.0)
        bench.streams.hour(1)
        (window,) = await bench.until_windows(1)
        assert window.drift_alert
        assert (window.labelled, window.quality_alert) == (0, False)


async def test_a_monitor_tells_up_to_when_it_has_decided_everything(bench: Any) -> None:
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1)

        async def settled() -> bool:
            monitor = await bench.calls.GetMonitor(MONITOR)
            least = min(monitor.predictions_watermark.ToMicroseconds(), monitor.outcomes_watermark.ToMicroseconds())
            return monitor.predictions == 2000 and monitor.settled_watermark.ToMicroseconds() == least

        await bench.until(settled, "everything up to the watermarks is decided")
        assert len(await bench.windows()) == 1
        past = await bench.calls.GetMonitor(pb.GetMonitorRequest(name="flights", read={"as_of": "1"}))
        assert not past.HasField("predictions_watermark")
        assert past.predictions == 0
