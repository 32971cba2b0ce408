"""Lineage: the graph, the audit trail and its proofs."""
