"""Runs the registry: `python -m modelog_registry`, with settings from the environment."""

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_registry.app import build

if __name__ == "__main__":
    main("registry", build)
