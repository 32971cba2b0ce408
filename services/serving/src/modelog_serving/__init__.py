"""Serving: deployments, traffic and the inference server."""
