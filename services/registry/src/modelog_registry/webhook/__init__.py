"""Webhooks: where the registry tells of what happened."""
