"""The registry: everything that has a name and versions."""

from modelog_common.compiled import use

# What each metric of a batch of many goes through; for what goes through once a call, compiling did not pay.
COMPILED = ("api.parse_metrics", "handle.latest", "read.messages", "run.state")

use(__name__, __path__[0], COMPILED)
