"""Requests that come by Kafka in batches: answered, logged once, acknowledged by the log."""
