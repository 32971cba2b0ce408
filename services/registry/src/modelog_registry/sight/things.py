"""Things as other services name them: what of the graph, the catalogue and the log the caller may see."""

from __future__ import annotations

from modelog_common.domain.errors import Invalid

from modelog_registry.sight.named import Kind
from modelog_registry.sight.sight import Sight

STREAM = "stream"
KINDS = {
    "experiment": Kind.EXPERIMENT,
    "experiment-name": Kind.EXPERIMENT_NAME,
    "run": Kind.RUN,
    "model": Kind.MODEL,
    "version": Kind.VERSION,
    "logged-model": Kind.LOGGED_MODEL,
}


async def sees(sight: Sight, thing: str) -> bool:
    """Whether the caller may see "run:ID", or the events of "stream:registry.run-ID"; raises Invalid."""
    kind, _, name = thing.partition(":")
    if kind == STREAM:
        return await sight.sees_stream(name)
    if kind not in KINDS:
        raise Invalid.field("things", f"{thing!r} is of no kind; allowed: {', '.join(KINDS)}, {STREAM}, then ':'")
    return await sight.sees(KINDS[kind], name)
