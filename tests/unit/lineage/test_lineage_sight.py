"""What is left of a graph and of a page of the catalogue without what is hidden."""

from __future__ import annotations

from modelog_common.stores.search import Document, Found
from modelog_lineage.graph.trace import Traced, TracedEdge, TracedNode
from modelog_lineage.sight import Hidden, in_sight, without


def node(name: str) -> TracedNode:
    return TracedNode(name, name.partition(":")[0], name, 1)


def traced(*links: tuple[str, str]) -> Traced:
    """A graph of links, each from a thing to what it came from; the first thing is where the walk began."""
    names = dict.fromkeys(name for link in links for name in link)
    return Traced([node(name) for name in names], [TracedEdge(source, target, "LINK", 1) for source, target in links])


def test_what_was_reached_through_hidden_things_only_goes_with_them() -> None:
    graph = traced(
        ("ModelVersion:m/1.0.0", "Run:1"),
        ("Run:1", "DatasetVersion:secret/1"),
        ("ModelVersion:m/1.0.0", "DatasetVersion:open/1"),
        ("Run:1", "DatasetVersion:open/1"),
    )
    assert without(graph, frozenset()) == graph
    left = without(graph, frozenset({"Run:1"}))
    assert [n.id for n in left.nodes] == ["ModelVersion:m/1.0.0", "DatasetVersion:open/1"]
    assert [(e.source, e.target) for e in left.edges] == [("ModelVersion:m/1.0.0", "DatasetVersion:open/1")]


def test_counts_are_told_to_who_sees_all() -> None:
    documents = [Document("acme", f"Model:{name}", "Model", name, 1) for name in ("open", "secret")]
    found = Found(documents, 2, {"Model": 2}, {"author=alice": 2})
    assert in_sight(found, Hidden()) == found
    narrowed = in_sight(found, Hidden(frozenset({"Model:secret"}), narrowed=True))
    assert ([d.title for d in narrowed.documents], narrowed.total) == (["open"], 1)
    assert (narrowed.kinds, narrowed.tags) == ({}, {})
