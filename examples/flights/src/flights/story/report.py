"""The report: one HTML file with everything in it, to be opened without a network."""

from __future__ import annotations

import html
from pathlib import Path

import plotly.graph_objects as go
from modelog.types import Graph
from plotly.offline import get_plotlyjs

from flights.story.cast import MODEL, MONTHS, Story

CANARY_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#17becf")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b2430; }
table { border-collapse: collapse; } td, th { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; }
td { border-top: 1px solid #dde3ea; } .plot { margin: 1rem 0 2rem; }
"""


def write_report(path: Path, story: Story, frozen: dict[int, float], graph: Graph) -> None:
    """Write the report to `path`; `frozen` is the AUC by month of the first version, had it stayed."""
    parts = [
        "<h1>A year of flights with Modelog</h1>",
        summary(story),
        "<h2>Quality by month</h2>",
        plot(quality_figure(story, frozen)),
        "<h2>Challengers against champions, on fresh flights</h2>",
        plot(challenger_figure(story)),
        "<h2>Canaries, looked at each day that flights land</h2>",
        plot(canary_figure(story)),
        challengers(story),
        "<h2>Drift by feature and month</h2>",
        plot(drift_figure(story)),
        f"<h2>What led to prediction {html.escape(str(story.facts['prediction']))}</h2>",
        lineage(graph),
        "<h2>The past and the proof</h2>",
        f"<p>At position {story.before_first_promotion} the registry held: {story.facts['then']}. "
        f"Now it holds: {story.facts['now']}.</p>",
        f"<p>{story.facts['events']:,} events hash to the signed root. In a copy, one bit of the event at position "
        f"{story.facts['flipped']} was flipped: the copy was refused.</p>",
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>A year of flights with Modelog</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script>{''.join(parts)}</html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)


def summary(story: Story) -> str:
    promoted = [r for r in story.retrainings if r.state.endswith("PROMOTED")]
    return (
        f"<p>{story.facts['streamed']:,} requests were answered by {MODEL}; {len(story.windows)} monthly windows were "
        f"held against the reference, {sum(w.quality_alert for w in story.windows)} alerts told of lost quality, "
        f"{len(story.retrainings)} challengers were trained and {len(promoted)} of them replaced the champion.</p>"
    )


def plot(figure: go.Figure) -> str:
    height = figure.layout.height or 380
    figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 20, "b": 40}, height=height)
    return f'<div class="plot">{figure.to_html(full_html=False, include_plotlyjs=False)}</div>'


def quality_figure(story: Story, frozen: dict[int, float]) -> go.Figure:
    """AUC by month with its interval, with and without retraining."""
    served = [(w.start.month, w.quality) for w in story.windows if w.start and w.quality]
    months = [MONTHS[m][:3] for m, _ in served]
    figure = go.Figure()
    figure.add_scatter(
        x=months,
        y=[q.auc for _, q in served],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [q.auc_high - q.auc for _, q in served],
            "arrayminus": [q.auc - q.auc_low for _, q in served],
        },
        name="with retraining (as served)",
    )
    figure.add_scatter(x=months, y=[frozen[m] for m, _ in served], name=f"without: {story.first.version} all year")
    figure.update_yaxes(title="AUC (95 % interval)")
    return figure


def challenger_figure(story: Story) -> go.Figure:
    """The difference of AUC of each comparison, with its interval."""
    rows = [
        (f"{r.challenger} against {r.champion}", c)
        for r in story.retrainings
        for c in (r.evaluation,)
        if c is not None and c.rows
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=[c.auc_difference for _, c in rows],
        y=[name for name, _ in rows],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [c.auc_high - c.auc_difference for _, c in rows],
            "arrayminus": [c.auc_difference - c.auc_low for _, c in rows],
        },
        mode="markers",
    )
    figure.add_vline(x=0, line_dash="dot")
    figure.update_xaxes(title="AUC of the challenger minus AUC of the champion (95 % interval)")
    figure.update_yaxes(autorange="reversed")
    return figure


def canary_figure(story: Story) -> go.Figure:
    """The gain in Brier score of each canary with the interval that holds at any look, closing in."""
    figure = go.Figure()
    margins = set()
    for colour, retraining in zip(CANARY_COLOURS, [r for r in story.retrainings if r.latest_look], strict=False):
        looks = story.alice.monitors.canary_looks(retraining.id)
        rows, name = [look.rows for look in looks], f"{retraining.challenger} against {retraining.champion}"
        line = {"color": colour}
        figure.add_scatter(x=rows, y=[look.gain for look in looks], name=name, legendgroup=name, line=line)
        for end in ([look.low for look in looks], [look.high for look in looks]):
            figure.add_scatter(
                x=rows, y=end, mode="lines", line={**line, "dash": "dot"}, legendgroup=name, showlegend=False
            )
        if retraining.canary_plan is not None:
            margins.add(-retraining.canary_plan.margin)
    for level in (0.0, *margins):
        figure.add_hline(y=level, line_dash="dash", line_color="#888888")
    figure.update_xaxes(title="flights that the canary answered and that have landed")
    figure.update_yaxes(title="gain in Brier score", range=[-0.05, 0.05])
    return figure


def drift_figure(story: Story) -> go.Figure:
    """Effect size (Kolmogorov-Smirnov distance, Cramer's V) of every feature in every month."""
    names = sorted({f.feature for w in story.windows for f in w.features})
    months = [MONTHS[w.start.month][:3] for w in story.windows if w.start]
    effects = [[next((f.effect for f in w.features if f.feature == n), None) for w in story.windows] for n in names]
    figure = go.Figure(go.Heatmap(z=effects, x=months, y=names, colorscale="Blues", colorbar_title="effect"))
    figure.update_layout(height=620)
    return figure


def challengers(story: Story) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(r.challenger or '-')}<td>{html.escape(r.champion)}"
        f"<td>{r.state.removeprefix('RETRAINING_STATE_').lower()}<td>{html.escape(r.reason)}</tr>"
        for r in story.retrainings
    )
    return f"<table><tr><th>Challenger<th>Champion<th>Outcome<th>Why</tr>{rows}</table>"


def lineage(graph: Graph) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(e.source)}<td>{e.kind.lower().replace('_', ' ')}<td>{html.escape(e.target)}</tr>"
        for e in graph.edges
    )
    return f"<table><tr><th>From<th>Way<th>To</tr>{rows}</table>"
