"""gRPC servicers of the lineage service."""
