"""modelog run compare, modelog model compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Sequence

import typer

import modelog
from modelog.cli.benchmarks import show_last
from modelog.cli.output import AsJson, AsOf, say, show_json, show_table, text, told
from modelog.comparison import ComparedMetric, ComparedValue, Comparison, MetricSummary
from modelog.report import write_report

Everything = typer.Option(False, "--all", help="Also what does not differ.")
Html = typer.Option(None, "--html", help="Write the comparison with its plots to a file, to be opened in a browser.")


def register(runs: typer.Typer, models: typer.Typer) -> None:
    runs.command("compare")(compare_runs)
    models.command("compare")(compare_versions)


def compare_runs(
    runs: List[str] = typer.Argument(..., help="Two runs or more; repeated runs of one thing joined by commas."),
    design: str = typer.Option("independent", help="What repeated runs share: independent, paired or resampled."),
    ranks: bool = typer.Option(False, help="Test by ranks."),
    test_share: float = typer.Option(0.0, help="The share of the rows held out, for resampled."),
    everything: bool = Everything,
    html: Optional[Path] = Html,
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """What differs between runs. Example: `modelog run compare a1,a2,a3 b1,b2,b3 --design paired`"""
    with told(), modelog.connect() as client:
        found = client.runs.compare(*runs, design=design, ranks=ranks, test_share=test_share, as_of=as_of)
        _show(found, everything, html, as_json)


def compare_versions(
    versions: List[str] = typer.Argument(..., help="Two or more of model/version."),
    everything: bool = Everything,
    html: Optional[Path] = Html,
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """What differs between versions. Example: `modelog model compare delay/1.0.0 delay/1.1.0`"""
    with told(), modelog.connect() as client:
        _show(client.models.compare(*versions, as_of=as_of), everything, html, as_json)
        if html is None and not as_json:
            show_last(client, versions, as_of)


def _show(found: Comparison, everything: bool, html: Optional[Path], as_json: bool) -> None:
    if html is not None:
        title = " against ".join(column.name for column in found.columns)
        say(f"Written to {write_report(found, html, title)}.")
        return
    if as_json:
        show_json(found)
        return
    names = [column.name for column in found.columns]
    metrics = [[metric.name, *map(_measured, metric.columns), *_differences(metric, found)] for metric in found.metrics]
    tells = [f"difference of {name}" for name in names[1:]]
    show_table(["metric", *names, *tells], metrics, empty="no metrics")
    _show_values("parameter", names, found.parameters, everything)
    _show_values("dataset", names, found.datasets, everything)
    _show_values("environment", names, found.environment, everything)
    show_table(
        ["files and time", *names],
        [
            ["bytes", *(f"{column.size_bytes:,.0f}" for column in found.columns)],
            ["seconds", *(column.duration_s for column in found.columns)],
        ],
        empty="",
    )
    for metric in found.metrics:
        for difference in metric.differences:
            if difference.corrected_p is not None:
                say(f"{difference.sentence}; p corrected for all tests here (Holm) {difference.corrected_p:.2g}")


def _show_values(kind: str, names: Sequence[str], values: Sequence[ComparedValue], everything: bool) -> None:
    shown = [[value.name, *value.values] for value in values if everything or value.differs]
    hidden = len(values) - len(shown)
    show_table([kind, *names], shown, empty=f"no {kind} differs" if values else f"no {kind} is recorded")
    if shown and hidden:
        say(f"({hidden} more that do not differ: --all)")


def _measured(summary: MetricSummary) -> str:
    if summary.mean is None:
        return ""
    return text(summary.mean) if summary.sd is None else f"{summary.mean:.4g} ± {summary.sd:.2g} ({summary.runs})"


def _differences(metric: ComparedMetric, found: Comparison) -> List[Any]:
    by_column = {difference.column: difference for difference in metric.differences}
    cells = []
    for column in found.columns[1:]:
        difference = by_column.get(column.column)
        cells.append("" if difference is None else f"{difference.estimate:+.4g}{_marked(difference.corrected_p)}")
    return cells


def _marked(corrected_p: Optional[float]) -> str:
    """A star beside what is significant at 5 % after correction."""
    return " *" if corrected_p is not None and corrected_p < 0.05 else ""
