"""gRPC servicers of monitoring."""
