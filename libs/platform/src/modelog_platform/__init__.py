"""modelog up: the embedded parts and the six services, as processes under one supervisor."""
