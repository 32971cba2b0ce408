"""Run the gateway."""

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_gateway.app import build

main("gateway", build)
