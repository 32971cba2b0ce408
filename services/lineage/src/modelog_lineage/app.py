"""Composition root of the lineage service: chooses the adapters and wires them."""

from __future__ import annotations

from modelog_common.adapters import open_graph, open_search
from modelog_common.config import SQLITE
from modelog_common.service import Host
from modelog_proto.lineage.v1.lineage_pb2_grpc import (
    add_AuditServiceServicer_to_server,
    add_LineageServiceServicer_to_server,
)

from modelog_lineage.api.audit import AuditServicer
from modelog_lineage.api.lineage import LineageServicer
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.prediction import PredictionProofs
from modelog_lineage.audit.treefile import TreeFile
from modelog_lineage.catalogue.absent import NoSearch
from modelog_lineage.catalogue.project import CatalogueSink
from modelog_lineage.catalogue.queries import CatalogueQueries
from modelog_lineage.follow import Follower, Sink
from modelog_lineage.graph.absent import NoGraph
from modelog_lineage.graph.project import GraphSink
from modelog_lineage.graph.queries import GraphQueries
from modelog_lineage.sight import Sight

KEY_FILE = "audit-key"
TREE_FILE = "audit.db"


async def build(host: Host) -> None:
    graph, catalogue = build_graph(host), build_catalogue(host)
    lineage = LineageServicer(graph, catalogue, lambda: host.peer("serving"), sight_of(host))
    host.serve(add_LineageServiceServicer_to_server, lineage, "modelog.lineage.v1.LineageService")
    build_audit(host)


def sight_of(host: Host) -> Sight:
    """What callers may see of what workspaces hold."""
    return Sight((lambda: host.peer("registry")) if "registry" in host.settings.peers else None)


def build_graph(host: Host) -> GraphQueries:
    """The graph of all services' events, and the questions to it."""
    graph = open_graph(host.settings) if host.event_bus is not None else None
    graph = graph or NoGraph()
    follower = followed(host, "graph", GraphSink(graph))
    return GraphQueries(graph, follower, host.store)


def build_catalogue(host: Host) -> CatalogueQueries:
    """The search index of all services' events, and the questions to it."""
    search = open_search(host.settings, host.name) if host.event_bus is not None else NoSearch()
    follower = followed(host, "catalogue", CatalogueSink(search))
    return CatalogueQueries(search, follower, host.store)


def followed(host: Host, name: str, sink: Sink) -> Follower:
    """A store that is kept up to date for as long as the process runs."""
    follower = Follower(name, sink, host.event_bus, host.store, host.dead_letters)
    host.stream(follower)
    host.rebuildable(name, follower)
    host.background(name, follower.run)
    return follower


def build_audit(host: Host) -> None:
    """The Merkle tree over the event store, and its proofs."""
    tree = TreeFile(host.data_dir / TREE_FILE)
    audit = AuditLog(host.store, tree, host.data_dir / KEY_FILE, host.clock)
    host.rebuildable("audit", audit)
    host.background("audit", audit.run)
    host.on_stop(audit.finish)
    # Of a store in one file the file itself is checked: the bytes that a thief or a faulty disk would change.
    in_a_file = host.settings.event_store.startswith(SQLITE)
    store_file = host.settings.event_store_path() if in_a_file else None
    sight = sight_of(host)
    predictions = PredictionProofs(audit, host.store, host.peer, sight)
    servicer = AuditServicer(audit, host.store, store_file, host.draining, sight, predictions)
    host.serve(add_AuditServiceServicer_to_server, servicer, "modelog.lineage.v1.AuditService")
