"""The gateway's own gRPC service: identity, and what is running."""
