"""Step 6: the year goes by: requests stream through Kafka in event-time order, outcomes follow when flights land."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
from modelog.stream import StreamProducer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flights.features import FEATURES
from flights.story import step2_datasets, step7_monitor, step8_challenger
from flights.story.cast import MODEL, MONTHS, Story

FIRST_MONTH, LAST_MONTH = 3, 12
BEGIN = datetime(2013, FIRST_MONTH, 1, tzinfo=UTC)
DAY = timedelta(days=1)
# A month is closed half a day after its end, when its last flights have landed.
LATENESS = timedelta(hours=36)


def tell(story: Story) -> None:
    story.step(6, "The year streams by: requests, answers, and outcomes once flights have landed")
    step7_monitor.watch(story)
    served = story.frame.filter(pl.col("event_time") >= BEGIN)
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with StreamProducer(story.alice, MODEL) as stream, Progress(*columns, console=story.console, transient=True) as bar:
        task = bar.add_task("streaming", total=served.height)
        for begin, end in days(served):
            bar.update(task, description=f"{begin:%Y-%m-%d}", advance=one_day(stream, served, begin, end))
            register_finished_month(story, begin)
            step8_challenger.let_the_platform_decide(story, stream, until=end)
    step7_monitor.wait_for_window(story, LAST_MONTH)
    story.facts["streamed"] = served.height
    story.say(f"{served.height:,} requests answered and logged, {served['label'].count():,} outcomes joined")


def days(frame: pl.DataFrame) -> Iterator[tuple[datetime, datetime]]:
    """Each day from the first event on, and three more, so that the last flights land."""
    first: datetime = frame["event_time"].min()  # type: ignore[assignment]
    last: datetime = frame["event_time"].max()  # type: ignore[assignment]
    begin = first.replace(hour=0, minute=0, second=0, microsecond=0)
    while begin < last + 3 * DAY:
        yield begin, begin + DAY
        begin += DAY


def one_day(stream: StreamProducer, served: pl.DataFrame, begin: datetime, end: datetime) -> int:
    """Send the day's requests, then what came to be known that day; returns the number of requests."""
    watermark_us = int(end.timestamp() * 1_000_000)
    asked = served.filter(pl.col("event_time").is_between(begin, end, closed="left"))
    if asked.height:
        last: datetime = served["event_time"].max()  # type: ignore[assignment]
        promised = end if end <= last else end + 30 * DAY  # after the last request none will come
        stream.send_requests(
            asked["prediction_id"].to_list(),
            asked["event_time"].dt.epoch("us").to_numpy(),
            asked.select(FEATURES).to_numpy(),
            FEATURES,
            watermark_us=int(promised.timestamp() * 1_000_000),
        )
    known = served.filter(
        pl.col("outcome_time").is_between(begin, end, closed="left") & pl.col("label").is_not_null()
    ).sort("outcome_time")
    stream.send_outcomes(
        known["prediction_id"].to_list(),
        known["label"].to_numpy(),
        known["outcome_time"].dt.epoch("us").to_numpy(),
        watermark_us=watermark_us,
    )
    return asked.height


def register_finished_month(story: Story, day: datetime) -> None:
    """On the second of a month the month before becomes a dataset version, ready for a challenger."""
    month = (day - DAY).month
    if day.day == 1 and month >= FIRST_MONTH and month not in story.versions:
        version = step2_datasets.register(story, month)
        story.say(f"{MONTHS[month]:<9} flights {version.version}: {version.rows:,} rows")
