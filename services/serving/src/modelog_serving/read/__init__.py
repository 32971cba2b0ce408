"""Read tables: deployments as they are and were."""
