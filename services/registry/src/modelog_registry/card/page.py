"""A model card as a page that needs nothing from elsewhere, and as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup
from modelog_proto.registry.v1 import experiment_pb2

from modelog_registry.card.build import Known, card_of, facts_of, metrics_of, missing_of
from modelog_registry.card.plots import CurvePlot, curve_of, mark_of

# HTML that people write is shown as they wrote it, never obeyed; addresses of scripts are no links.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_PAGES = Environment(
    loader=PackageLoader("modelog_registry.card"),
    autoescape=select_autoescape(["html"]),
    # What is not known is left out of a card: there is nothing to show of it.
    undefined=ChainableUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
MOST_CURVES = 12


def as_html(known: Known, points: Sequence[experiment_pb2.MetricPoint] = ()) -> str:
    """The whole page; `points` are those of the run's metrics, to be drawn."""
    metrics = [(metric, mark_of(metric)) for metric in metrics_of(known.version.metrics)]
    return _render("card.html", known, metrics=metrics, curves=curves_of(points))


def as_markdown(known: Known) -> str:
    """The same without plots."""
    return _render("card.md", known, metrics=metrics_of(known.version.metrics))


def curves_of(points: Sequence[experiment_pb2.MetricPoint]) -> list[CurvePlot]:
    """The metrics that were told more than twice, by name."""
    by_name: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for point in points:
        by_name[point.name].append((point.step, point.value))
    found = (curve_of(name, told) for name, told in sorted(by_name.items()))
    return [curve for curve in found if curve is not None][:MOST_CURVES]


def _render(template: str, known: Known, **more: Any) -> str:
    card = card_of(known)
    empty: dict[str, Any] = {"model_details": {}, "model_parameters": {}, "considerations": {}}
    return _PAGES.get_template(template).render(
        card={**empty, **card},
        facts=facts_of(known),
        missing=missing_of(known),
        written=known.written,
        position=known.version.position,
        markdown=_markdown,
        **more,
    )


def _markdown(text: str) -> Markup:
    """Headings in it stand below those of the page."""
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 3, 6)}"
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - it escapes all HTML
