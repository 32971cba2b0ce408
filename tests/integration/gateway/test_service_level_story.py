"""Real requests to a real deployment: it answers well, then its model breaks, is mended, and is found too slow."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import modelog
import modelog_serving.app
import modelog_serving.plane
import pytest
from modelog.cli.main import app as command_line
from modelog.errors import ModelogError
from modelog.governance import SlaTargets
from modelog.inference import predict
from modelog.service_level import LevelAttainment, ServiceLevel
from modelog.types import AlertChannel
from modelog_common.domain.clock import ManualClock
from modelog_common.service import Host
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.runtimes.xgboost_runtime import XGBoostRuntime
from small_platform import BUILDERS, SmallPlatform
from typer.testing import CliRunner
from webhook_receiver import receiving

sys.path.append(str(Path(__file__).parents[2] / "e2e"))

from toy_model import FEATURES, deployed

PATIENCE_S = 150
BROKEN = 20
MINUTE = timedelta(minutes=1)
RECORD = dict.fromkeys(FEATURES, 0.5)


class Breakable(XGBoostRuntime):
    """Models that raise when they are told to."""

    broken = threading.Event()

    def load(self, content: bytes, signature: Any, approved: bool) -> Any:
        return _Model(super().load(content, signature, approved))


class _Model:
    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, rows: Any) -> Any:
        if Breakable.broken.is_set():
            raise RuntimeError("the model is broken")
        return self._model.predict(rows)


class Breaking(LazyRuntimes):
    def of(self, flavor: str) -> Any:
        return Breakable()


async def build_serving(host: Host) -> None:
    real, modelog_serving.plane.LazyRuntimes = modelog_serving.plane.LazyRuntimes, Breaking  # type: ignore[misc]
    try:
        await modelog_serving.app.build(host)
    finally:
        modelog_serving.plane.LazyRuntimes = real  # type: ignore[misc]


@contextmanager
def receiver(texts: dict[str, str]) -> Iterator[str]:
    """A webhook that takes everything, and keeps the text of each kind that is about service levels.

    What is sent may come twice, and what is sent at the same time in any order.
    """

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            # The monitor finds drift too: what is asked is always the same.
            if body["kind"].startswith("service_level"):
                texts[body["kind"]] = body["text"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with receiving(Taker) as address:
        yield f"{address}/"


class Story:
    """The deployment, and what is asked of it."""

    def __init__(self, alice: modelog.Client, clock: ManualClock) -> None:
        self.alice, self._clock = alice, clock

    def minute(self, requests: int = 10, *, after: timedelta = timedelta()) -> None:
        """A minute's requests, `after` the one before, and the end of it."""
        self._clock.advance(after)
        for _ in range(requests):
            if Breakable.broken.is_set():
                with pytest.raises(ModelogError):
                    predict(self.alice, "flights", [RECORD])
            else:
                predict(self.alice, "flights", [RECORD])
        self._clock.advance(MINUTE)

    def level(self) -> ServiceLevel | None:
        return next(iter(self.alice.levels.list("flights")), None)

    def until(self, holds: Callable[[ServiceLevel], bool], what: str, *, requests: int = 0) -> ServiceLevel:
        """Wait until the level is so; with `requests`, a minute of so many goes by at each look."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            if requests:
                self.minute(requests)
            found = self.level()
            if found is not None and holds(found):
                return found
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain until {what}: {found}"
            time.sleep(0.05)


def attainment(level: ServiceLevel, objective: str) -> LevelAttainment:
    return next(a for a in level.attainments if a.objective == f"LEVEL_OBJECTIVE_{objective}")


def test_a_deployment_is_held_to_the_targets_of_its_model(tmp_path: Path, fresh_broker: Any) -> None:
    clock, told = ManualClock(datetime.now(UTC)), dict[str, str]()
    platform = SmallPlatform(
        tmp_path,
        BUILDERS | {"serving": build_serving},
        serving_clock=clock,
        kafka_bootstrap=fresh_broker.bootstrap,
        webhook_networks="127.0.0.0/8",
    )
    platform.start()
    try:
        # Serving's clock runs ahead by hours.
        token = platform.token("alice", "admin", lifetime_s=10 * 86_400)
        with (
            receiver(told) as webhook,
            modelog.Client(platform.url, token) as alice,
            platform.client("bob") as bob,
        ):
            data, _ = deployed(alice, bob, "flights", tmp_path)
            channel = AlertChannel(kind="CHANNEL_KIND_WEBHOOK", url=webhook)
            alice.monitors.create("flights", "flights", [data.ref], window="hour", channels=[channel])
            alice.slas.set("flights", SlaTargets(latency_p99_ms=60_000.0, availability_percent=99.0))
            story = Story(alice, clock)
            good_bad_and_good_again(story, told)
            too_slow(story)
            command_line_tells(platform.url, token)
    finally:
        Breakable.broken.clear()
        platform.stop()


def good_bad_and_good_again(story: Story, told: dict[str, str]) -> None:
    good = story.until(lambda found: found.targets == 1, "monitoring has heard of the targets", requests=1)
    assert (good.deployment, good.version, good.errors) == ("flights", "1.0.0", 0)
    assert good.latency_p99_ms is not None
    assert (
        attainment(good, "AVAILABILITY").budget_left_percent == attainment(good, "LATENCY_P99").attained_percent == 100
    )
    assert not good.alerts

    Breakable.broken.set()
    # However long it took until the targets were heard of, these are a quarter of an hour's requests.
    story.minute(BROKEN)
    bad = story.until(lambda found: bool(found.alerts), "the budget burns")
    assert bad.errors == BROKEN
    (alert,) = bad.alerts
    assert (alert.objective, alert.severity) == ("LEVEL_OBJECTIVE_AVAILABILITY", "LEVEL_SEVERITY_PAGE")
    assert attainment(bad, "AVAILABILITY").budget_left_percent < 0

    Breakable.broken.clear()
    story.minute(10, after=timedelta(hours=7))
    met = story.until(lambda found: not found.alerts, "it is met again")
    assert met.errors == BROKEN, "the period still holds what was missed"
    assert story.alice.levels.get("flights", "1.0.0", period_hours=1).errors == 0
    deadline = time.monotonic() + PATIENCE_S
    while len(told) < 2:
        assert time.monotonic() < deadline, f"of two alerts there came {told}"
        time.sleep(0.05)
    assert told.keys() == {"service_level", "service_level_met"}
    assert told["service_level"] == alert.text

    then = story.alice.levels.get("flights", "1.0.0", as_of=str(bad.position))
    assert (then.alerts, then.errors) == (bad.alerts, BROKEN)


def too_slow(story: Story) -> None:
    """Nothing can answer in a microsecond."""
    story.alice.slas.set("flights", SlaTargets(latency_p99_ms=0.001), "faster")
    slow = story.until(
        lambda found: any(a.objective == "LEVEL_OBJECTIVE_LATENCY_P99" for a in found.alerts), "too slow", requests=10
    )
    assert slow.targets == 2
    assert attainment(slow, "AVAILABILITY").target is None
    assert attainment(slow, "LATENCY_P99").missed >= 5


def command_line_tells(url: str, token: str) -> None:
    environment = {"MODELOG_URL": url, "MODELOG_TOKEN": token, "COLUMNS": "200"}

    def said(*arguments: str) -> str:
        done = CliRunner().invoke(command_line, ["monitor", *arguments], env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    listed = said("levels", "flights")
    assert "latency p99" in listed
    assert "page" in listed
    assert "not answered" in said("level", "flights", "1.0.0")
    assert json.loads(said("levels", "--json"))[0]["deployment"] == "flights"
    refused = CliRunner().invoke(command_line, ["monitor", "level", "flights", "9.9.9"], env=environment)
    assert refused.exit_code != 0
    assert "there is no service level of '9.9.9' of 'flights'" in refused.output
