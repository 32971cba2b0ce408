"""What workers count adds up: every request once, however reports are cut, and none twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.config import Settings
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import NotAllowed, NotFound, Unavailable
from modelog_common.stores.cache.memory import MemoryCache
from modelog_serving.crew.begins import begins_of
from modelog_serving.crew.frames import Breakers, BreakerSeen, Done, Report, done
from modelog_serving.crew.reports import Counted, Reporter, take
from modelog_serving.deployment.resilience import Breaker, Resilience
from modelog_serving.deployment.signature import Signature
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.predlog.followed import log_of_worker, worker_logs
from modelog_serving.releasing.mirror import Mirror
from modelog_serving.routing.breaker import State
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.guards import Computed, Guards
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.settings import ServingSettings
from modelog_serving.worker.ended import LONGEST_S, pause_s

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUTE = Route("acme", Deployment(id="d-1", name="flights", model="flight-delay"), {})
REF = ModelRef("a" * 64, "xgboost", Signature(), approved=True)


class Files:
    """No files at all."""

    async def fetch(self, digest: str) -> bytes:
        raise NotFound(f"there is no file {digest}")


def counted(clock: ManualClock) -> Counted:
    mirror = Mirror(Models(Files(), LazyRuntimes(1), 8))
    meter = Meter(clock, MINUTE)
    guards = Guards(meter, lambda _tenant, _command: None, clock)
    return Counted(meter, Counters(), AnswerCache(MemoryCache, 0.01), mirror, guards)


Requests = st.lists(st.tuples(st.sampled_from(["1.0.0", "1.1.0"]), st.floats(0.0001, 5.0), st.integers(1, 4)))


@given(Requests, Requests, st.data())
def test_reports_of_two_workers_add_up_to_what_one_process_would_have_counted(
    first: list[tuple[str, float, int]], second: list[tuple[str, float, int]], data: st.DataObject
) -> None:
    clock = ManualClock(START)
    whole, chief = counted(clock), counted(clock)
    for requests in (first, second):
        worker = counted(clock)
        reporter = Reporter(worker)
        for version, took_s, rows in requests:
            for of in (worker, whole):
                of.meter.answered(ROUTE, version, took_s)
                of.counters.add("acme", "flights", version, rows)
                of.cache.add("acme", "flights", rows, hit=rows > 2)
                of.guards.add("acme", "flights", rows - 1, rows // 2)
            if data.draw(st.booleans()):
                report = reporter.report()
                assert report is not None
                take(report, chief)
        last = reporter.report()
        if last is not None:
            take(last, chief)
        assert reporter.report() is None, "nothing is told twice"
    for version in ("1.0.0", "1.1.0"):
        assert chief.meter.latencies("d-1", version) == whole.meter.latencies("d-1", version)
        ours, theirs = chief.meter.total("acme", "flights", version), whole.meter.total("acme", "flights", version)
        assert (ours.answered, ours.failed) == (theirs.answered, theirs.failed)
        assert ours.answered_s == pytest.approx(theirs.answered_s)
    assert chief.counters.all() == whole.counters.all()
    assert chief.guards.counts() == whole.guards.counts()
    assert chief.cache.lookups() == whole.cache.lookups()
    assert chief.meter.busy_s() == pytest.approx(whole.meter.busy_s())
    told = [c.window.versions for c in chief.meter.closed(all_of_it=True)]
    assert told == [c.window.versions for c in whole.meter.closed(all_of_it=True)]


async def test_breakers_are_told_when_one_of_them_changed() -> None:
    clock, now_s = ManualClock(START), 10.0
    meter = Meter(clock, MINUTE)
    guards = Guards(meter, lambda _tenant, _command: None, clock, lambda: now_s)
    whole = counted(clock)
    reporter = Reporter(Counted(meter, whole.counters, whole.cache, whole.mirror, guards))
    assert reporter.breakers() is None
    broken = Resilience(breaker=Breaker(failure_share=0.5, window_s=30, min_requests=1, open_s=30, probes=1))
    variants = {"1.0.0": Variant("1.0.0", 100.0, "a" * 64, "xgboost")}
    route = Route("acme", Deployment(id="d-1", name="flights", model="flight-delay", resilience=broken), variants)
    guards.look([route])
    assert reporter.breakers() == Breakers((BreakerSeen("d-1", "1.0.0", State.CLOSED, 0.0),))
    assert reporter.breakers() is None, "nothing is told twice"

    async def fails() -> Computed:
        raise Unavailable("no")

    with pytest.raises(Unavailable):
        await guards.answer(route, "1.0.0", fails)
    now_s = 15.0
    told = reporter.breakers()
    assert told == Breakers((BreakerSeen("d-1", "1.0.0", State.OPEN, 25.0),))
    assert reporter.breakers() is None, "that time goes on is no news"


def test_failures_are_counted_too() -> None:
    clock = ManualClock(START)
    worker, chief = counted(clock), counted(clock)
    with pytest.raises(Unavailable), worker.meter.measuring(ROUTE, "1.0.0"):
        raise Unavailable("no")
    report = Reporter(worker).report()
    assert report is not None
    assert take(report, chief) == 1
    assert chief.meter.latencies("d-1", "1.0.0")[1] == 1
    assert chief.meter.total("acme", "flights", "1.0.0").failed == 1


def test_shadows_add_up_and_those_of_another_candidate_do_not_count() -> None:
    clock = ManualClock(START)
    worker, chief = counted(clock), counted(clock)
    ours, theirs = chief.mirror.cast("d-1", REF), worker.mirror.cast("d-1", REF)
    reporter = Reporter(worker)
    theirs.compared, theirs.alike, theirs.differences, theirs.most = 5, 4, 0.5, 0.3
    theirs.buckets[7] = 5
    take(reporter.report() or Report(), chief)
    theirs.compared, theirs.dropped = 6, 2
    theirs.buckets[7] += 1
    take(reporter.report() or Report(), chief)
    assert (ours.compared, ours.alike, ours.dropped, ours.differences, ours.most) == (6, 4, 2, 0.5, 0.3)
    assert ours.buckets == {7: 6}
    worker.mirror.lift("d-1")
    again = worker.mirror.cast("d-1", REF)
    again.compared = 1
    take(reporter.report() or Report(), chief)
    assert ours.compared == 7, "a shadow that was cast again counts from nothing"
    chief.mirror.lift("d-1")
    other = chief.mirror.cast("d-1", ModelRef("b" * 64, "xgboost", Signature(), approved=True))
    again.compared = 9
    take(reporter.report() or Report(), chief)
    assert other.compared == 0


def test_an_error_of_a_worker_is_the_same_error_here() -> None:
    assert done(1).raised() is None
    error = done(2, NotAllowed("the file was damaged")).raised()
    assert isinstance(error, NotAllowed)
    assert str(error) == "the file was damaged"
    assert isinstance(Done(3, "SomethingNew", "what").raised(), Unavailable)


def test_pauses_grow_with_the_ends_of_the_last_minute() -> None:
    assert [pause_s([100.0] * ends, 100.0) for ends in range(1, 9)] == [0, 0, 0, 2, 4, 8, 16, LONGEST_S]
    assert pause_s([0.0] * 9 + [100.0], 100.0) == 0.0


def test_workers_are_told_where_everything_is(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, cache="redis://:secret@cache:6379/0")  # type: ignore[arg-type]
    folder = tmp_path / "serving"
    logs = [folder / "predictions.db", *worker_logs(folder, 2)]
    first, second = begins_of(
        settings, ServingSettings(workers=2), folder, folder / "models", logs, {"http_port": 8090}
    )
    told = Settings(**second.settings)
    assert told.data_dir == folder / "workers" / "2"
    assert (told.http_port, told.event_store) == (8090, settings.event_store)
    assert told.cache.get_secret_value() == "redis://:secret@cache:6379/0"
    assert second.log == str(log_of_worker(folder, 2))
    assert first.others == (str(logs[0]), str(logs[2]))


def test_logs_of_former_workers_are_kept(tmp_path: Path) -> None:
    old = log_of_worker(tmp_path, 12)
    old.parent.mkdir(parents=True)
    old.touch()
    assert worker_logs(tmp_path, 2) == [log_of_worker(tmp_path, number) for number in (1, 2, 12)]
    assert worker_logs(tmp_path, 0) == [old]
