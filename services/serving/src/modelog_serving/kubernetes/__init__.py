"""Replicas of deployments as pods of Kubernetes: objects made of what the log says, and their status."""
