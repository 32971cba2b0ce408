"""Run monitoring."""

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_monitoring.app import build

main("monitoring", build)
