"""Step 8: the challenger meets the champion on fresh flights; a winner is approved, and tried as a canary.

The canary is looked at each day that flights land, and promoted or refused as soon as the evidence is enough.

Nothing here decides: the platform does, and bob reads its evidence before he approves.
"""

from __future__ import annotations

import time
from datetime import datetime

from modelog.stream import StreamProducer
from modelog.types import CanaryLook, Comparison, Retraining

from flights.story import step7_monitor
from flights.story.cast import MODEL, Story

WAIT_S = 900.0
POLL_S = 0.05
STATE = "RETRAINING_STATE_"


def let_the_platform_decide(story: Story, stream: StreamProducer, until: datetime) -> None:
    """Hold the story's clock while the platform thinks: in the real year that would take minutes, not weeks."""
    deadline = time.monotonic() + WAIT_S
    while True:
        monitor = story.alice.monitors.get(MODEL)
        settled = monitor.settled_watermark is not None and monitor.settled_watermark >= until
        if settled and not review(story):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the platform did not settle at {until:%Y-%m-%d} within {WAIT_S:g} s")
        time.sleep(POLL_S)


def review(story: Story) -> bool:
    """Report what moved, and let bob do his part; true while somebody is still at work."""
    step7_monitor.report_new_windows(story)
    before = {r.id: r.state for r in story.retrainings}
    story.retrainings = story.alice.monitors.retrainings()
    busy = False
    for retraining in story.retrainings:
        if before.get(retraining.id) != retraining.state:
            story.say(describe(retraining))
        state = retraining.state.removeprefix(STATE)
        busy |= state in ("TRAINING", "AWAITING_APPROVAL")
        if state == "AWAITING_APPROVAL" and retraining.id not in story.reviews:
            approve(story, retraining)
    return busy


def approve(story: Story, retraining: Retraining) -> None:
    """Bob approves on the evidence of the comparison."""
    evidence = retraining.evaluation.to_dict() if retraining.evaluation else {}
    comment = f"better than {retraining.champion} on {evidence.get('rows', 0)} fresh flights"
    story.bob.models.approve(MODEL, retraining.challenger, comment, evidence)
    story.reviews.append(retraining.id)
    story.say(f"bob approves {MODEL} {retraining.challenger}: {comment}")


def describe(retraining: Retraining) -> str:
    """One line about where a challenger stands."""
    state = retraining.state.removeprefix(STATE)
    name = f"challenger {retraining.challenger}" if retraining.challenger else "a challenger"
    match state:
        case "TRAINING":
            return f"{name} trains on all months so far"
        case "EVALUATING":
            return f"{name} waits for fresh flights that neither model was trained on"
        case "AWAITING_APPROVAL":
            return f"{name} wins against {retraining.champion}: {figures(retraining.evaluation)}"
        case "CANARY":
            return f"{name} takes its share of the traffic as a canary"
        case "PROMOTED":
            seen = canary_figures(retraining.latest_look)
            return f"[bold green]{name} wins again ({seen}) and replaces {retraining.champion}[/]"
        case "REFUSED":
            look = retraining.latest_look
            compared = figures(retraining.evaluation) if look is None else looks_of(look)
            return f"[bold]{name} is refused[/]: {retraining.reason} ({compared})"
        case _:
            return f"{name}: {state.lower()} {retraining.reason}"


def figures(comparison: Comparison | None) -> str:
    """The difference of AUC with its interval."""
    if comparison is None:
        return "not compared"
    c = comparison
    return f"AUC {c.auc_difference:+.3f}, 95 % {c.auc_low:+.3f} to {c.auc_high:+.3f}, on {c.rows:,} flights"


def canary_figures(look: CanaryLook | None) -> str:
    """The gain in Brier score, and where it lies whenever one looks."""
    if look is None:
        return "not looked at"
    return (
        f"Brier score better by {look.gain:+.4f}, at any look {look.low:+.4f} to {look.high:+.4f}, "
        f"on {look.rows:,} flights, {looks_of(look)}"
    )


def looks_of(look: CanaryLook) -> str:
    return "1 look" if look.number == 1 else f"{look.number} looks"
