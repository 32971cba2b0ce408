"""Step 2: each month of flights becomes a dataset version: a content digest, a schema, and what must hold of it."""

from __future__ import annotations

from modelog.types import DatasetVersion, Expectation

from flights.story.cast import DATASET, MONTHS, Story, label_of

EXPECTATIONS = (
    Expectation(kind="row_count", minimum=1000),
    Expectation(kind="unique", column="prediction_id"),
    Expectation(kind="not_null", column="event_time"),
    Expectation(kind="in_set", column="label", values=["0", "1"]),
    Expectation(kind="max_null_share", column="label", maximum=0.2),
    Expectation(kind="between", column="distance", minimum=0, maximum=10_000),
    Expectation(kind="between", column="departure_minute", minimum=0, maximum=1440),
)


def tell(story: Story) -> None:
    story.step(2, "Every month becomes a dataset version")
    for month in (1, 2):
        version = register(story, month)
        story.say(
            f"{MONTHS[month]:<9} flights {version.version}: {version.rows:,} rows, sha-256 {version.digest[:16]}..."
        )


def register(story: Story, month: int) -> DatasetVersion:
    """The month's flights with the labels that are known by then."""
    story.versions[month] = story.alice.datasets.register(
        DATASET, story.month(month), label=label_of(month), expectations=EXPECTATIONS, description=MONTHS[month]
    )
    return story.versions[month]
