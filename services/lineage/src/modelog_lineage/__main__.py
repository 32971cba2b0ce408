"""Run the lineage service."""

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_lineage.app import build

main("lineage", build)
