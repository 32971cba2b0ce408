"""The data plane as monitoring keeps it: predictions and outcomes by event time."""
