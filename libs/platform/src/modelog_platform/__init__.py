"""modelog up: the embedded parts and the six services, as processes under one supervisor."""

import os

# The supervisor starts processes while it asks for their health: gRPC's fork handlers would only get in the way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
