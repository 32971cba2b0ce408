"""MLflow's REST API: its JSON in, our contracts through, its JSON and error codes out. It holds no state of its own."""
