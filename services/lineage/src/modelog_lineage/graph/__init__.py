"""The graph: what led to what, projected from the events of all services."""
