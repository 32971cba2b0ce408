"""Read models: temporal tables, the projector that fills them, and the queries that look at them as of a moment."""
