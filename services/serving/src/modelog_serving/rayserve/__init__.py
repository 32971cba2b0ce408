"""Models that are computed by replicas on Ray Serve, while this process goes on answering the requests."""
