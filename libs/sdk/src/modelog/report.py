"""A comparison as one HTML file with everything in it, to be opened without a network."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from modelog.comparison import ComparedMetric, ComparedValue, Comparison, MetricDifference
from modelog.errors import ModelogError

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b2430; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { padding: .25rem .8rem .25rem 0; text-align: left; font-weight: 400; overflow-wrap: break-word; }
td, th { border-top: 1px solid #dde3ea; vertical-align: top; } .differs > *, th[scope=col] { font-weight: 600; }
"""
ROW_PX = 34


def write_report(found: Comparison, path: Path, title: str = "Comparison") -> Path:
    """Write the report; raises ModelogError when plotly, which draws, is not installed."""
    graphs = plotly()
    names = [column.name for column in found.columns]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        "<h2>Metrics</h2>",
        metrics_table(found),
        *(drawn(graphs.Figure(figure)) for figure in figures(found)),
        f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in sentences(found))}</ul>",
        *(
            f"<h2>{heading}</h2>{values_table(names, values)}"
            for heading, values in (
                ("Parameters", found.parameters),
                ("Datasets", found.datasets),
                ("Environment", found.environment),
            )
            if values
        ),
        "<h2>Files and time</h2>",
        table(
            ["", *names],
            [
                ["bytes", *(f"{column.size_bytes:,.0f}" for column in found.columns)],
                ["seconds", *(number(column.duration_s) for column in found.columns)],
            ],
        ),
    ]
    return write_page(path, page_of(title, parts))


def plotly() -> Any:
    """What draws; raises ModelogError when it is not installed."""
    try:
        import plotly.graph_objects as graphs
    except ImportError:
        raise ModelogError('the report needs plotly: pip install "modelog[report]"') from None
    return graphs


def page_of(title: str, parts: Sequence[str]) -> str:
    """A page with everything in it, of parts that are HTML."""
    from plotly.offline import get_plotlyjs

    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script>{''.join(parts)}</html>"
    )


def write_page(path: Path, page: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def sentences(found: Comparison) -> List[str]:
    """Every difference's result, or why it has none, each said once."""
    said = [difference.sentence for metric in found.metrics for difference in metric.differences]
    return list(dict.fromkeys(said))


def metrics_table(found: Comparison) -> str:
    names = [column.name for column in found.columns]
    rows = [
        [
            metric.name,
            *(
                number(summary.mean) if summary.sd is None else f"{number(summary.mean)} ± {summary.sd:.2g}"
                for summary in metric.columns
            ),
            *(_difference(metric, column.column) for column in found.columns[1:]),
        ]
        for metric in found.metrics
    ]
    return table(["", *names, *(f"difference of {name}" for name in names[1:])], rows)


def values_table(names: Sequence[str], values: Sequence[ComparedValue]) -> str:
    """What differs first, and marked."""
    ordered = sorted(values, key=lambda value: not value.differs)
    return table(["", *names], [[value.name, *value.values] for value in ordered], [v.differs for v in ordered])


def figures(found: Comparison) -> List[Dict[str, Any]]:
    """As plotly has them: differences with their intervals, and columns as lines over parameters and metrics."""
    return [figure for figure in (intervals(found), coordinates(found)) if figure is not None]


def intervals(found: Comparison) -> Optional[Dict[str, Any]]:
    """Effects (Hedges' g, so that metrics of any scale share an axis) with their intervals; None without a test."""
    tested = [(m, d) for m in found.metrics for d in m.differences if d.effect is not None]
    if not tested:
        return None
    names = [html.escape(column.name) for column in found.columns]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [d.effect for _, d in tested],
        "y": [f"{html.escape(m.name)}: {names[d.column]}" for m, d in tested],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(d, upwards=True) for _, d in tested],
            "arrayminus": [_reach(d, upwards=False) for _, d in tested],
        },
    }
    layout = {
        "xaxis": {"title": {"text": f"Hedges' g against {names[0]}, 95 % interval"}, "zeroline": True},
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "height": 120 + ROW_PX * len(tested),
    }
    return {"data": [trace], "layout": layout}


def coordinates(found: Comparison) -> Optional[Dict[str, Any]]:
    """Parallel coordinates of the parameters that differ and of the metrics, for three columns or more."""
    if len(found.columns) < 3:
        return None
    numbers = [(value.name, [_parsed(text) for text in value.values]) for value in found.parameters if value.differs]
    numbers += [(metric.name, [summary.mean for summary in metric.columns]) for metric in found.metrics]
    whole = [(name, values) for name, values in numbers if all(v is not None and math.isfinite(v) for v in values)]
    if not whole:
        return None
    columns = [column.column for column in found.columns]
    ticks = [html.escape(column.name) for column in found.columns]
    first = {"label": "", "values": columns, "tickvals": columns, "ticktext": ticks}
    dimensions = [first, *({"label": html.escape(name), "values": values} for name, values in whole)]
    return {"data": [{"type": "parcoords", "line": {"color": columns}, "dimensions": dimensions}], "layout": {}}


def _reach(difference: MetricDifference, *, upwards: bool) -> float:
    if difference.effect is None or difference.effect_low is None or difference.effect_high is None:
        return 0.0
    return difference.effect_high - difference.effect if upwards else difference.effect - difference.effect_low


def _parsed(text: str) -> Optional[float]:
    """The number that a value is, None for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _difference(metric: ComparedMetric, column: int) -> str:
    found = next((d for d in metric.differences if d.column == column), None)
    if found is None:
        return ""
    if found.corrected_p is None:
        return f"{found.estimate:+.4g}"
    interval = "" if found.low is None or found.high is None else f" ({found.low:.4g} to {found.high:.4g})"
    return f"{found.estimate:+.4g}{interval}, corrected p {found.corrected_p:.2g}"


def number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.4g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join(
        f"<tr{' class=differs' if n < len(marked) and marked[n] else ''}>"
        f'<th scope="row">{html.escape(row[0])}</th>{"".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])}</tr>'
        for n, row in enumerate(rows)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def drawn(figure: Any) -> str:
    figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 40, "b": 60})
    return str(figure.to_html(full_html=False, include_plotlyjs=False))
