"""modelog abtest ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import typer

import modelog
from modelog.ab_report import conclusion, facts, interval, measured, write_ab_report
from modelog.ab_test import AbTest
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word

app = typer.Typer(help="A/B tests of two versions on the outcomes of their predictions.", no_args_is_help=True)
COLUMNS = ["A/B test", "deployment", "a", "b", "compared", "state", "#predictions", "#needed", "what came of it"]


@app.command()
def create(
    name: str,
    deployment: str,
    a: str = typer.Argument(..., help="The version that b is compared with."),
    b: str = typer.Argument(...),
    effect: float = typer.Option(..., help="The smallest difference of the means that matters."),
    metric: str = typer.Option("error", help="error, squared_error, log_loss, outcome; amount, absolute_error"),
    baseline: float = typer.Option(0.0, help="Of error and outcome: the mean of a, as far as it is known."),
    sd: float = typer.Option(0.0, help="Of all other metrics: about their standard deviation."),
    threshold: float = typer.Option(0.5, help="Of error: from which score on a prediction says 1."),
    higher_is_better: bool = typer.Option(False, help="Of outcome and amount: more of it is better."),
    alpha: float = typer.Option(0.05, help="How often equal versions may be found different."),
    power: float = typer.Option(0.8, help="How often the smallest difference that matters is to be found."),
    method: str = typer.Option(
        "", help="mixture_sprt, confidence_sequence or exact; by default the second for amounts, else the first"
    ),
    lowest: Optional[float] = typer.Option(None, help="Of amounts and the method exact: the least that there can be."),
    highest: Optional[float] = typer.Option(None, help="Of amounts and the method exact: the most."),
    longest_s: float = typer.Option(0.0, help="After how long it ends by itself; 0 means never."),
    measure_s: float = typer.Option(
        0.0, help="Measure baseline and sd over so many seconds of a's predictions, instead of giving them."
    ),
    lateness_s: float = typer.Option(0.0, help="How long an outcome is awaited after its prediction."),
    as_json: bool = AsJson,
) -> None:
    """Plan a test, and see what it needs.

    Example: `modelog abtest create newer flight-delay 1.0.0 1.1.0 --effect 0.01 --baseline 0.2`
    """
    with told(), modelog.connect() as client:
        found = client.ab_tests.create(
            name, deployment, a, b, min_effect=effect, metric=metric, baseline=baseline, sd=sd, threshold=threshold,
            higher_is_better=higher_is_better, alpha=alpha, power=power, method=method, allowed_lateness_s=lateness_s,
            lowest=lowest, highest=highest, longest_s=longest_s, measure_s=measure_s,
        )  # fmt: skip
        if as_json:
            show_json(found)
            return
        needed = found.needed
        assert needed is not None  # noqa: S101 - every plan has one
        if found.measured is not None:
            say(f"Measured of {a}: {measured(found.measured)}.")
        say(
            f"{name} needs {needed.a:,} predictions with outcomes of {a} and {needed.b:,} of {b} for one look at the "
            f"end, and watched all the time about {needed.watched:,}. Start it: modelog abtest start {name}"
        )


@app.command()
def start(name: str) -> None:
    """Count predictions from now on. Both versions must have traffic, and keep their shares."""
    with told(), modelog.connect() as client:
        found = client.ab_tests.start(name)
        ends = f" It ends by {found.ends_by:%Y-%m-%d %H:%M:%S} UTC." if found.ends_by else ""
        state = word(found.state, "AB_STATE_")
        say(f"{name} is {state}; {100 * found.share_b:.3g} % of its traffic goes to {found.b}.{ends}")


@app.command()
def stop(name: str, reason: str = typer.Option("", "--message", "-m")) -> None:
    """End a test without a decision."""
    with told(), modelog.connect() as client:
        client.ab_tests.stop(name, reason)
        say(f"{name} is stopped.")


@app.command("list")
def list_tests(
    deployment: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """Tests of a deployment, or all."""
    with told(), modelog.connect() as client:
        found = client.ab_tests.list(deployment, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [_row(test) for test in found], empty="no A/B test yet")


@app.command()
def show(name: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """A test, and what it says now: it may be asked as often as one likes."""
    with told(), modelog.connect() as client:
        found = client.ab_tests.get(name, as_of=as_of)
        if as_json:
            show_json(found)
            return
        latest = found.latest
        show_fields({row[0]: row[1] for row in facts(found)})
        if latest is not None:
            show_fields({"difference": f"{latest.estimate:+.4g}", "interval": interval(latest), "p": latest.p_value})
        say(conclusion(found))


@app.command()
def looks(name: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """What the test said at each look."""
    with told(), modelog.connect() as client:
        found = client.ab_tests.looks(name, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[o.number, o.until, o.events_a, o.events_b, o.estimate, interval(o), o.p_value] for o in found]
            columns = ["#look", "until", "#of a", "#of b", "#difference", "interval", "#p"]
            show_table(columns, rows, empty="it was not looked at yet")


@app.command()
def report(name: str, html: Path = typer.Option(..., help="Where to write it."), as_of: Optional[str] = AsOf) -> None:
    """One HTML file with the plan, the confidence sequence and the decision; needs pip install "modelog[report]"."""
    with told(), modelog.connect() as client:
        test, found = client.ab_tests.get(name, as_of=as_of), client.ab_tests.looks(name, as_of=as_of)
        say(f"Written to {write_ab_report(test, found, html)}.")


def _row(test: AbTest) -> List[Any]:
    seen = test.latest.events_a + test.latest.events_b if test.latest else 0
    needed = test.needed.watched if test.needed else 0
    metric = word(test.metric, "AB_METRIC_").replace("_", " ")
    state = word(test.state, "AB_STATE_")
    return [test.name, test.deployment, test.a, test.b, metric, state, seen, needed, conclusion(test)]
