"""Serving: deployments, traffic and the inference server."""

from modelog_common.compiled import use

# What each usual prediction goes through.
COMPILED = (
    "engine.batcher", "engine.work", "oip.fast", "oip.fast_batch", "oip.fast_codec", "oip.fast_rest",
    "oip.fast_rest_codec", "oip.fast_turn", "predlog.journal", "predlog.log", "predlog.waiting", "predlog.writer",
    "routing.counters", "routing.meter", "routing.windows",
)  # fmt: skip

use(__name__, __path__[0], COMPILED)
