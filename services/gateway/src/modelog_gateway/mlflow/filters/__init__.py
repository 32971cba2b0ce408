"""MLflow's filter language and its order_by, as data."""
