"""Run the gateway."""

from modelog_common.service import main

from modelog_gateway.app import build

main("gateway", build)
