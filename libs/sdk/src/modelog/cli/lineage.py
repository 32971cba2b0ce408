"""modelog lineage ..."""

from __future__ import annotations

from typing import Dict, List, Optional, Set

import typer
from rich.markup import escape
from rich.tree import Tree

import modelog
from modelog.cli.output import AsJson, AsOf, console, show_json, told
from modelog.types import Edge, Graph, Node

app = typer.Typer(help="What led to what.", no_args_is_help=True)


@app.command()
def trace(
    node: str = typer.Argument(..., help="Kind:key, such as ModelVersion:flight-delay/1.0.0"),
    downstream: bool = typer.Option(False, help="To what came of it, rather than what it came from."),
    depth: int = typer.Option(10, min=1, max=50),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """The graph around a node. Example: `modelog lineage trace ModelVersion:flight-delay/1.0.0`"""
    with told(), modelog.connect() as client:
        way = "downstream" if downstream else "upstream"
        _show(client.lineage.trace(node, way, depth, as_of=as_of), node, downstream, as_json)


@app.command()
def prediction(
    deployment: str,
    prediction_id: str,
    everything: bool = typer.Option(False, "--all", help="Also what called for the model, and what it replaced."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """From one prediction back to model version, run, dataset versions and approval."""
    with told(), modelog.connect() as client:
        graph = client.lineage.prediction(deployment, prediction_id, as_of=as_of)
        root = next((n.id for n in graph.nodes if n.kind == "Prediction"), "")
        _show(graph if everything or as_json else origins(graph, root), root, False, as_json)


def _show(graph: Graph, root: str, reverse: bool, as_json: bool) -> None:
    if as_json:
        show_json(graph)
        return
    console.print(tree_of(graph, root, reverse))


# What made a thing what it is; the rest (who replaced whom, which window called for it) is history beside it.
ORIGINS = (
    "ANSWERED_BY",
    "APPROVED_BY",
    "ASKED_FOR_IN",
    "GIVEN_BY",
    "PRODUCED_BY",
    "EXECUTED_BY",
    "TRAINED_ON",
    "SERVES",
)


def origins(graph: Graph, root: str) -> Graph:
    """The part of a graph that tells what made `root` what it is, each link once."""
    edges = {(e.source, e.kind, e.target): e for e in graph.edges if e.kind in ORIGINS}
    through_runs = {e.target for e in edges.values() if e.kind == "TRAINED_ON" and e.source.startswith("Run:")}
    kept: List[Edge] = []
    reached, waiting = {root}, [root]
    while waiting:
        start = waiting.pop()
        for edge in edges.values():
            beside_the_run = edge.kind == "TRAINED_ON" and not start.startswith("Run:") and edge.target in through_runs
            if edge.source == start and not beside_the_run:
                kept.append(edge)
                if edge.target not in reached:
                    reached.add(edge.target)
                    waiting.append(edge.target)
    return Graph(nodes=[n for n in graph.nodes if n.id in reached], edges=kept)


def tree_of(graph: Graph, root: str, reverse: bool = False) -> Tree:
    """The graph as a tree from `root`; a node that stands in it already is not opened again."""
    nodes = {n.id: n for n in graph.nodes}
    ways: Dict[str, List[List[str]]] = {}
    for edge in graph.edges:
        start, end = (edge.target, edge.source) if reverse else (edge.source, edge.target)
        ways.setdefault(start, []).append([edge.kind, end])
    seen: Set[str] = {root}
    tree = Tree(_label(nodes.get(root), root))

    def grow(branch: Tree, start: str) -> None:
        for kind, end in sorted(ways.get(start, [])):
            leaf = branch.add(f"[dim]{kind.lower().replace('_', ' ')}[/] {_label(nodes.get(end), end)}")
            if end not in seen:
                seen.add(end)
                grow(leaf, end)

    grow(tree, root)
    return tree


def _label(node: Optional[Node], name: str) -> str:
    if node is None:
        return escape(name)
    return f"[bold]{node.kind}[/] {escape(node.name or node.id)}"
