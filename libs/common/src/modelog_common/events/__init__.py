"""Events: their types, their stored form, the port to the store, and the handler that decides and appends."""
