"""What every Modelog service stands on: domain types, events, bus, read tables, stores, rpc, security, telemetry."""

from modelog_common.compiled import use

# What each request goes through, and nothing that tests put something else into.
COMPILED = (
    "domain.ids",
    "edge.blocks", "edge.call", "edge.connection", "edge.control", "edge.direct", "edge.frames", "edge.head",
    "edge.http1", "edge.http1_answer", "edge.http1_whole", "edge.incoming", "edge.limits", "edge.messages",
    "edge.outbox", "edge.refusal", "edge.status", "edge.stream",
    "grpc_client.answer", "grpc_client.connection", "grpc_client.exchange", "grpc_client.fields",
    "grpc_client.incoming",
    "rpc.rules", "rpc.validate",
)  # fmt: skip

use(__name__, __path__[0], COMPILED)
