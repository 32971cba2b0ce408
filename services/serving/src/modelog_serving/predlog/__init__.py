"""The prediction log: every answer to traffic, on disk before it is sent, and from there to Kafka."""
