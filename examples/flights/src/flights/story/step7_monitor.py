"""Step 7: each month monitoring compares the window with the reference and raises alerts; a policy retrains."""

from __future__ import annotations

import time

from modelog.types import AlertChannel, Window

from flights.story.cast import MODEL, MONTHS, Story
from flights.story.step3_train import job_spec

WAIT_S = 900.0
POLL_S = 0.05


def watch(story: Story) -> None:
    """The monitor, and the policy of what starts a challenger and what it must prove."""
    from flights.story.settings import POLICY, QUALITY
    from flights.story.step6_stream import LATENESS

    metrics = story.job.metrics
    story.alice.monitors.create(
        MODEL,
        MODEL,
        [story.versions[1].ref, story.versions[2].ref],
        window="month",
        label_column="label",
        allowed_lateness_s=LATENESS.total_seconds(),
        reference_auc=metrics["held_out_auc"],
        reference_log_loss=metrics["held_out_log_loss"],
        quality=QUALITY,
        channels=[
            AlertChannel(kind="CHANNEL_KIND_WEBHOOK", url=story.listener.url("webhook")),
            AlertChannel(kind="CHANNEL_KIND_SLACK", url=story.listener.url("slack")),
        ],
    )
    story.alice.monitors.create_policy("monthly", MODEL, job_spec(story), "flights", **POLICY)


def report_new_windows(story: Story) -> None:
    """Say what each window showed, once."""
    windows = story.alice.monitors.windows(MODEL)
    for window in windows[len(story.windows) :]:
        story.say(describe(window))
    story.windows = windows


def describe(window: Window) -> str:
    """One line about a window."""
    month = MONTHS[window.start.month] if window.start else "?"
    quality = window.quality
    figures = f"AUC {quality.auc:.3f} ({quality.auc_low:.3f} to {quality.auc_high:.3f})" if quality else "no labels"
    alert = " [bold yellow]alert: quality[/]" if window.quality_alert else ""
    return f"{month:<9} {figures}, {window.drifted_features} of {len(window.features)} features drifted{alert}"


def wait_for_window(story: Story, month: int) -> None:
    """Wait until the window of a month is closed and reported."""
    deadline = time.monotonic() + WAIT_S
    while not any(w.start and w.start.month == month for w in story.windows):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the window of {MONTHS[month]} did not close within {WAIT_S:g} s")
        report_new_windows(story)
        time.sleep(POLL_S)
