"""The bus: from the event store and the spools to Kafka, and from Kafka to projections and reactors."""
