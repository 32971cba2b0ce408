"""Streaming through a real broker: in order, each batch once, never far ahead, nothing lost with the broker."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modelog
import modelog.stream
import numpy as np
import pytest
from modelog.stream import OUTCOMES, REQUESTS, StreamProducer

sys.path.insert(0, str(Path(__file__).parent))

from stream_taker import AskingTakers, Taker

NAMES = ("a", "b")
HOUR_US = 3_600_000_000


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = 150) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout_s:g} s")
        time.sleep(0.01)


def send(stream: StreamProducer, number: int, rows: int = 3) -> None:
    ids = [f"p-{number}-{row}" for row in range(rows)]
    features = np.full((rows, len(NAMES)), number, np.float32)
    stream.send_requests(
        ids, np.arange(rows) + number * HOUR_US, features, NAMES, watermark_us=number * HOUR_US, keys=ids
    )


def test_batches_come_in_order_each_once_and_as_they_were_sent(fresh_broker: Any) -> None:
    with Taker(fresh_broker.bootstrap, REQUESTS) as asked, Taker(fresh_broker.bootstrap, OUTCOMES) as known:
        with StreamProducer(AskingTakers(asked, known), "flight-delay") as stream:
            for number in range(1, 41):
                send(stream, number)
            times = np.array(["2013-01-01T00:00:00.000000001"], "datetime64[ns]")
            stream.send_outcomes(["p-1-0"], [1], times, watermark_us=5)
            stream.send_outcomes(["p-1-1"], None, [2], watermark_us=6, amounts=[12.5])
            stream.send_outcomes([], [], [], watermark_us=7)
        assert [b.sequence for b in asked.taken] == list(range(1, 41))
        batch = asked.taken[6]
        assert (batch.deployment, batch.producer, batch.watermark_us) == ("flight-delay", stream.id, 7 * HOUR_US)
        assert list(batch.prediction_ids) == list(batch.keys) == ["p-7-0", "p-7-1", "p-7-2"]
        assert list(batch.event_times_us) == [7 * HOUR_US, 7 * HOUR_US + 1, 7 * HOUR_US + 2]
        assert np.frombuffer(batch.features, "<f4").reshape(3, 2).tolist() == [[7.0, 7.0]] * 3
        first, second, watermark = known.taken
        assert (list(first.labels), list(first.event_times_us)) == ([1.0], [1_356_998_400_000_000])
        assert (len(watermark.prediction_ids), watermark.watermark_us, watermark.sequence) == (0, 7, 3)
        assert (list(second.labels), list(second.amounts)) == ([], [12.5])


def test_a_producer_never_gets_far_ahead(fresh_broker: Any) -> None:
    with Taker(fresh_broker.bootstrap, REQUESTS) as taker:
        taker.may_take.clear()
        stream = StreamProducer(AskingTakers(taker), "d", ahead=4)
        sent: list[int] = []

        def produce() -> None:
            for number in range(1, 13):
                send(stream, number)
                sent.append(number)

        producing = threading.Thread(target=produce, daemon=True)
        producing.start()
        wait_for("the fourth batch being sent", lambda: len(sent) == 4)
        producing.join(1.0)
        assert (producing.is_alive(), sent) == (True, [1, 2, 3, 4]), "the fifth waits until half of them are taken"
        taker.may_take.set()
        producing.join(150)
        stream.flush()
        assert [b.sequence for b in taker.taken] == list(range(1, 13))


def test_a_broker_that_loses_everything_loses_no_batch(fresh_broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelog.stream, "RESEND_AFTER_S", 0.5)
    with Taker(fresh_broker.bootstrap, REQUESTS) as taker:
        client = AskingTakers(taker)
        stream = StreamProducer(client, "d", ahead=8)
        for number in range(1, 6):
            send(stream, number)
        wait_for("five batches being taken", lambda: len(taker.taken) == 5)
        taker.may_take.clear()
        client.away = True
        for number in range(6, 9):
            send(stream, number)
        fresh_broker.restart()
        taker.renew()
        client.away = False
        taker.may_take.set()
        for number in range(9, 25):
            send(stream, number)
        stream.flush()
        assert [b.sequence for b in taker.taken] == list(range(1, 25))
        assert [b.prediction_ids[0] for b in taker.taken] == [f"p-{n}-0" for n in range(1, 25)]


def test_a_producer_whose_platform_takes_nothing_gives_up_and_says_how_far_it_came(
    fresh_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelog.stream, "GIVE_UP_AFTER_S", 0.3)
    with Taker(fresh_broker.bootstrap, REQUESTS) as taker:
        client = AskingTakers(taker)
        taker.may_take.clear()
        stream = StreamProducer(client, "d", producer_id="mine")
        send(stream, 1)
        client.away = True
        send(stream, 2)
        with pytest.raises(modelog.Unavailable, match=r"took no batch of .* 2 wait, the next is 1 of producer mine"):
            stream.flush()


IDS = ["x", "y"]
TIMES = np.array([1, 2])
GOOD: dict[str, Any] = {
    "prediction_ids": IDS,
    "event_times_us": TIMES,
    "features": np.zeros((2, 2)),
    "feature_names": NAMES,
    "watermark_us": 0,
}
KNOWN: dict[str, Any] = {"prediction_ids": IDS, "labels": [0, 1], "known_at_us": TIMES, "watermark_us": 0}


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"prediction_ids": []}, "prediction_ids", "has 0 items; 1 to 10000"),
        ({"prediction_ids": [str(n) for n in range(10_001)]}, "prediction_ids", "has 10001 items"),
        ({"prediction_ids": ["x", "x"]}, "prediction_ids", "names an id twice"),
        ({"features": np.zeros((2, 3))}, "features", r"shape \(2, 3\); expected \(2, 2\)"),
        ({"features": np.zeros(4)}, "features", r"shape \(4,\)"),
        ({"features": np.array([[0, 0], [0, np.inf]])}, "features", "row 1, column 'b' is infinite"),
        ({"keys": ["k"]}, "keys", "has 1 items; expected none, or one for each of 2"),
        ({"event_times_us": [1]}, "event_times_us", r"shape \(1,\); expected \(2,\)"),
        ({"event_times_us": [1.5, 2.5]}, "event_times_us", "is of type float64; expected whole microseconds"),
        ({"event_times_us": [-1, 2]}, "event_times_us", "holds -1"),
        ({"event_times_us": np.array(["2013-01-01", "NaT"], "datetime64[s]")}, "event_times_us", "holds -9223"),
    ],
)
def test_requests_that_do_not_fit_are_refused_by_name(wrong: dict[str, Any], field: str, text: str) -> None:
    refused(lambda stream: stream.send_requests(**{**GOOD, **wrong}), field, text)


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"labels": [1]}, "labels", r"shape \(1,\); expected \(2,\)"),
        ({"labels": [0.5, 1]}, "labels", "holds 0.5; labels are 0 or 1"),
        ({"labels": [np.nan, 1]}, "labels", "holds nan"),
        ({"labels": None}, "labels", "are None; give labels of 0 and 1, or amounts"),
        ({"amounts": [1.5]}, "amounts", r"shape \(1,\); expected \(2,\)"),
        ({"amounts": [1.5, np.inf]}, "amounts", r"holds inf; numbers from -1e\+100 to 1e\+100 are fine"),
        ({"labels": None, "amounts": [np.nan, 1]}, "amounts", "holds nan"),
        ({"known_at_us": [[1, 2]]}, "known_at_us", r"shape \(1, 2\)"),
    ],
)
def test_outcomes_that_do_not_fit_are_refused_by_name(wrong: dict[str, Any], field: str, text: str) -> None:
    refused(lambda stream: stream.send_outcomes(**{**KNOWN, **wrong}), field, text)


def test_a_batch_that_is_too_large_is_refused_before_it_takes_a_number() -> None:
    rows, names = 2, [f"f{n}" for n in range(600_000)]
    large = {"features": np.zeros((rows, len(names)), np.float32), "feature_names": names}
    refused(lambda stream: stream.send_requests(**{**GOOD, **large}), "prediction_ids", "of 4000000 allowed")


def refused(call: Callable[[StreamProducer], None], field: str, text: str) -> None:
    """The call is refused by name, and has not touched the broker: there is none at this address."""
    stream = StreamProducer(modelog.Client("http://127.0.0.1:9", "t"), "d", bootstrap="127.0.0.1:9")
    with pytest.raises(modelog.Invalid, match=text) as caught:
        call(stream)
    assert [f["field"] for f in caught.value.fields] == [field]
    stream.flush()
