"""Serving: deployments, traffic and the inference server."""

from modelog_common.compiled import use

# What each usual prediction goes through. Nothing that is read or written by its annotations, as what processes tell
# each other is, and nothing that tests put something into.
COMPILED = (
    "engine.batcher", "engine.work",
    "oip.fast", "oip.fast_batch", "oip.fast_codec", "oip.fast_rest", "oip.fast_rest_codec", "oip.fast_turn",
    "predlog.journal",
)  # fmt: skip

use(__name__, __path__[0], COMPILED)
