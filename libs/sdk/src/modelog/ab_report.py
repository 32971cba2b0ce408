"""An A/B test as one HTML file: the plan, the confidence sequence as a plot, and what was decided."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from modelog.ab_test import AbLook, AbMeasured, AbTest
from modelog.report import drawn, number, page_of, plotly, table, write_page

VERDICTS = {
    "AB_VERDICT_A_BETTER": "a is better",
    "AB_VERDICT_B_BETTER": "b is better",
    "AB_VERDICT_NO_DIFFERENCE": "no difference that matters",
    "AB_VERDICT_INCONCLUSIVE": "inconclusive",
}


def write_ab_report(test: AbTest, looks: Sequence[AbLook], path: Path) -> Path:
    """Write the report; raises ModelogError when plotly, which draws, is not installed."""
    graphs = plotly()
    parts = [
        f"<h1>A/B test {html.escape(test.name)}</h1>",
        f"<p>{html.escape(conclusion(test))}</p>",
        table(["", "value"], facts(test)),
        "<h2>Difference, with its always-valid interval</h2>",
        *([drawn(graphs.Figure(sequence(test, looks)))] if looks else ["<p>It was not looked at yet.</p>"]),
        "<h2>Looks</h2>",
        table(["look", "predictions of a", "of b", "mean of a", "of b", "difference", "interval", "p"], rows(looks)),
    ]
    return write_page(path, page_of(f"A/B test {test.name}", parts))


def conclusion(test: AbTest) -> str:
    """What came of it, in a sentence."""
    state = test.state.replace("AB_STATE_", "").lower()
    verdict = VERDICTS.get(test.verdict, "")
    return ": ".join(filter(None, (verdict or f"It is {state}", test.reason)))


def facts(test: AbTest) -> List[List[str]]:
    needed = test.needed
    return [
        ["deployment", f"{test.deployment} ({test.model})"],
        ["a", test.a],
        ["b", f"{test.b}, {100 * test.share_b:.3g} % of the traffic of both"],
        ["compared", test.metric.replace("AB_METRIC_", "").lower().replace("_", " ")],
        ["smallest difference that matters", f"{test.min_effect:g}"],
        ["level and power", f"{test.alpha:g}, {test.power:g}"],
        ["method", test.method.replace("AB_METHOD_", "").lower().replace("_", " ") + bounds(test)],
        ["mean of a, standard deviation", guesses(test)],
        ["predictions needed for one look", "" if needed is None else f"{needed.a:,} of a, {needed.b:,} of b"],
        ["watched all the time", "" if needed is None else f"about {needed.watched:,}"],
        ["planned", f"{test.author}, {test.created_at}"],
        ["started", f"{test.started_by}, {test.started_at}" if test.started_at else ""],
        ["ends by", str(test.ends_by or "")],
        ["ended", str(test.ended_at or "")],
    ]


def bounds(test: AbTest) -> str:
    """The range that an exact test of amounts was told of."""
    return "" if test.lowest is None or test.highest is None else f", from {test.lowest:g} to {test.highest:g}"


def guesses(test: AbTest) -> str:
    """What the plan takes the figure of a to be, and how it knows."""
    if test.measured is not None:
        return "measured: " + measured(test.measured)
    return f"{test.baseline:g}, {test.sd:.4g}" if test.baseline else f"not given, {test.sd:.4g}"


def measured(found: AbMeasured) -> str:
    return f"{found.mean:.4g}, {found.sd:.4g} of {found.events:,} predictions from {found.since} to {found.until}"


def rows(looks: Sequence[AbLook]) -> List[List[str]]:
    return [
        [
            str(look.number),
            f"{look.events_a:,}",
            f"{look.events_b:,}",
            number(look.mean_a),
            number(look.mean_b),
            f"{look.estimate:+.4g}",
            interval(look),
            f"{look.p_value:.2g}",
        ]
        for look in looks
    ]


def interval(look: AbLook) -> str:
    return "" if look.low is None or look.high is None else f"{look.low:+.4g} to {look.high:+.4g}"


def sequence(test: AbTest, looks: Sequence[AbLook]) -> Dict[str, Any]:
    """As plotly has it: the estimate over the predictions seen, its band, zero, and what does not matter."""
    seen = [look.events_a + look.events_b for look in looks]
    known = [look for look in looks if look.low is not None and look.high is not None]
    bounded = [look.events_a + look.events_b for look in known]
    band: List[Dict[str, Any]] = [
        _line(bounded, [look.low for look in known], "interval", width=0),
        {**_line(bounded, [look.high for look in known], "interval", width=0), "fill": "tonexty"},
    ]
    effects = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": {"dash": dash, "width": 1}}
        for y, dash in ((0.0, "solid"), (test.min_effect, "dot"), (-test.min_effect, "dot"))
    ]
    layout = {
        "xaxis": {"title": {"text": "predictions with outcomes"}},
        "yaxis": {"title": {"text": f"b minus a, {100 * (1 - test.alpha):g} % interval at all times"}},
        "shapes": effects,
        "showlegend": False,
    }
    return {"data": [*band, _line(seen, [look.estimate for look in looks], "difference", width=2)], "layout": layout}


def _line(x: Sequence[float], y: Sequence[Optional[float]], name: str, *, width: int) -> Dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": name, "line": {"width": width}}
