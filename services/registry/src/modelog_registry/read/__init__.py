"""What the registry answers queries from: temporal tables, their projection, the queries."""
