"""Stores behind ports: blobs, graph, series; each port has one conformance suite that every adapter passes."""
