"""The small parts that reactions stand on: bell, attempts, inbox, ledger, payloads."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from modelog_common.bus.progress import Progress
from modelog_common.bus.source import PoisonEvent
from modelog_common.domain.errors import Conflict, Forbidden, Invalid, ModelogError, NotAllowed, Unavailable
from modelog_common.events.store import StoredEvent
from modelog_monitoring.level.events import Targets
from modelog_monitoring.monitor.events import AlertKind, AlertRaised, ChannelKind
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.inbox import Inbox, JobResult, Review
from modelog_monitoring.react.ledger import Attempted, Ledger
from modelog_monitoring.react.level_inbox import LevelInbox
from modelog_monitoring.react.payloads import payload_for
from modelog_monitoring.react.steps import may_succeed_later

AT = datetime(2013, 4, 1, tzinfo=UTC)
HERE = Progress("modelog.events.training", 0, "one", 5, {"/modelog/training": 5})
ALERT = AlertRaised("a-1", "m-1", "flights", "w-1", "2013-04", AlertKind.QUALITY, "AUC 0.7 < 0.75 & falling", AT)


def event(kind: str, position: int = 1, tenant: str = "acme", **payload: Any) -> StoredEvent:
    return StoredEvent(
        position, f"e{position}", "x-1", 1, kind, 1, AT, tenant, "bob", "", "", "", json.dumps(payload).encode()
    )


def review(position: int, decision: str, comment: str = "") -> StoredEvent:
    fields = {"model": "flight-delay", "version": "1.1.0", "reviewer": "bob", "decision": decision, "comment": comment}
    return event("registry.VersionReviewed", position, **fields)


async def test_a_bell_that_rang_before_is_heard_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait()
    await bell.wait(0.001)
    task = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    assert not task.done()
    bell.ring()
    await task


def test_attempts_pause_longer_each_time() -> None:
    now = [100.0]
    attempts = Attempts(lambda: now[0], first_s=1, longest_s=5)
    assert attempts.due("a")
    assert attempts.next_s() is None
    pauses = []
    for _ in range(5):
        trouble = attempts.failed("a", Unavailable("gone"))
        pauses.append(trouble.due_s - now[0])
        assert not attempts.due("a")
        now[0] = trouble.due_s
        assert attempts.due("a")
    assert pauses == [1, 2, 4, 5, 5]
    assert (trouble.attempts, trouble.error) == (5, "Unavailable: gone")
    attempts.failed("b", Unavailable("gone"))
    assert attempts.next_s() == 0.0
    attempts.succeeded("a")
    assert attempts.next_s() == 1.0


async def test_reviews_go_along_with_a_model_that_gets_another_name(tmp_path: Path) -> None:
    """Another model may get its old name, and a version of the same number."""
    inbox = Inbox(tmp_path / "inbox.db", "this log")
    renamed = event("registry.ModelRenamed", 4, old_name="flight-delay", name="delays", versions=["1.1.0"])
    elsewhere = event("registry.ModelRenamed", 5, tenant="other", old_name="delays", name="x", versions=[])
    await inbox.handle([review(3, "approved"), renamed, elsewhere], HERE)
    assert inbox.review("acme", "flight-delay", "1.1.0") is None
    assert inbox.review("acme", "delays", "1.1.0") == Review(True, "bob", "")
    inbox.close()


async def test_targets_go_along_with_a_model_that_gets_another_name(tmp_path: Path) -> None:
    inbox = LevelInbox(tmp_path / "levels.db", "this log")
    told = event("registry.SlaSet", 3, model="delay", number=2, targets={"latency_p99_ms": 20.0})
    await inbox.handle([told, event("registry.ModelRenamed", 7, old_name="delay", name="late")], HERE)
    held, none = Targets(2, None, 20.0, None), Targets(2)
    assert [inbox.targets("acme", "delay", at) for at in (7, 8)] == [held, none]
    assert [inbox.targets("acme", "late", at) for at in (7, 8)] == [None, held]
    inbox.close()


async def test_the_inbox_keeps_what_was_told(tmp_path: Path) -> None:
    inbox, told = Inbox(tmp_path / "inbox.db", "this log"), []
    inbox.on_change(lambda: told.append("new"))
    assert inbox.job("acme", "j") is None
    assert inbox.review("acme", "flight-delay", "1.1.0") is None
    await inbox.handle([event("training.JobStarted", job_id="j"), event("registry.ModelRegistered")], HERE)
    assert told == []
    await inbox.handle(
        [
            event("training.JobSucceeded", job_id="j", registered_version="1.1.0", metrics={"auc": 0.7}),
            event("training.JobFailed", job_id="k", attempt=3, error="out of memory"),
            event("training.JobCancelled", job_id="l", by="alice", reason="too dear"),
            event("training.JobSucceeded", job_id="j", tenant="other", registered_version="9.0.0"),
        ],
        HERE,
    )
    assert told == ["new"]
    assert inbox.job("acme", "j") == JobResult("1.1.0", "")
    assert inbox.job("acme", "k") == JobResult("", "out of memory")
    assert inbox.job("acme", "l") == JobResult("", "alice cancelled it. too dear")
    assert inbox.job("other", "j") == JobResult("9.0.0", "")
    inbox.close()
    again = Inbox(tmp_path / "inbox.db", "this log")
    assert again.job("acme", "j") == JobResult("1.1.0", "")
    assert await again.progress.load("modelog.events.training", 0) == HERE
    again.close()


async def test_the_last_review_counts(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db", "this log")
    await inbox.handle([review(7, "rejected", "no"), review(3, "approved")], HERE)
    assert inbox.review("acme", "flight-delay", "1.1.0") == Review(False, "bob", "no")
    await inbox.handle([review(9, "approved", "well then")], HERE)
    assert inbox.review("acme", "flight-delay", "1.1.0") == Review(True, "bob", "well then")
    inbox.close()


async def test_an_event_that_cannot_be_read_is_refused_and_nothing_of_its_batch_stays(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db", "this log")
    batch = [event("training.JobSucceeded", job_id="j"), event("training.JobFailed", 2, job_id=7)]
    with pytest.raises(PoisonEvent, match="its payload cannot be read") as poison:
        await inbox.handle(batch, HERE)
    assert poison.value.event is batch[1]
    assert inbox.job("acme", "j") is None
    assert await inbox.progress.load("modelog.events.training", 0) is None
    inbox.close()


def test_what_was_considered_is_remembered(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db", "this log")
    assert inbox.considered == 0
    inbox.consider(5)
    inbox.consider(9)
    inbox.close()
    assert Inbox(tmp_path / "inbox.db", "this log").considered == 9


async def test_what_was_told_before_the_log_was_restored_is_forgotten(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db", "this log")
    await inbox.handle([event("training.JobSucceeded", job_id="j"), review(7, "rejected", "no")], HERE)
    inbox.consider(9)
    inbox.close()
    restored = Inbox(tmp_path / "inbox.db", "the restored log")
    assert restored.job("acme", "j") is None
    assert restored.review("acme", "flight-delay", "1.1.0") is None
    assert restored.considered == 0
    assert await restored.progress.load("modelog.events.training", 0) is None
    restored.close()


def test_the_ledger_remembers_failures_until_the_delivery(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deliveries.db")
    failure = Attempted(2, "answered 503", AT)
    ledger.failed("a", "webhook x", failure)
    ledger.close()
    again = Ledger(tmp_path / "deliveries.db")
    assert again.find("a", "webhook x") == failure
    assert again.find("a", "slack x") is None
    again.delivered("a", "webhook x")
    assert again.find("a", "webhook x") is None
    again.close()


@pytest.mark.parametrize("part", [lambda path: Inbox(path, "this log"), Ledger])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, part: Any) -> None:
    (tmp_path / "x.db").write_bytes(b"this is not a database, whatever its name says" * 50)
    with pytest.raises(Unavailable, match=r"x\.db cannot be used"):
        part(tmp_path / "x.db")


def test_a_webhook_gets_all_of_the_alert() -> None:
    assert payload_for(ChannelKind.WEBHOOK, ALERT) == {
        "alert_id": "a-1", "kind": "quality", "monitor": "flights", "window_id": "w-1", "window": "2013-04",
        "text": "AUC 0.7 < 0.75 & falling", "at": "2013-04-01T00:00:00+00:00",
    }  # fmt: skip


def test_slack_gets_its_own_shape_with_its_markup_escaped() -> None:
    body = payload_for(ChannelKind.SLACK, ALERT)
    assert body["text"] == "Loss of quality: flights, 2013-04. AUC 0.7 &lt; 0.75 &amp; falling"
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    assert body["blocks"][0]["text"] == {"type": "plain_text", "text": "Loss of quality: flights, 2013-04"}
    assert body["blocks"][1]["text"] == {"type": "mrkdwn", "text": "AUC 0.7 &lt; 0.75 &amp; falling"}


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (Unavailable("x"), True),
        (Conflict("x"), True),
        (ModelogError("x"), True),
        (NotAllowed("x"), False),
        (Invalid("x"), False),
        (Forbidden("x"), False),
    ],
)
def test_only_what_was_not_decided_is_tried_again(error: ModelogError, later: bool) -> None:
    assert may_succeed_later(error) is later
