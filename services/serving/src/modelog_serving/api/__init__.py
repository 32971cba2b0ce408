"""gRPC servicers: message, command, message."""
