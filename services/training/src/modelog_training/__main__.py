"""Runs the training service: `python -m modelog_training`, with settings from the environment."""

import os

# The service forks Ray's processes while gRPC is at work; gRPC's own fork handlers would wait for its threads.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from modelog_common.loading import loading

with loading():
    from modelog_common.service import main

    from modelog_training.app import build

if __name__ == "__main__":
    main("training", build)
