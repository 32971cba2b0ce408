"""A worker process: answers requests beside others, and ends with the process that decides."""

from __future__ import annotations

import socket
import sys

from modelog_common.loading import loading

with loading():
    import uvloop
    from modelog_common.domain.errors import ModelogError, first_of
    from modelog_common.telemetry import logs, metrics, traces

    from modelog_serving.crew.app import NAME, begun, serve


async def _run() -> None:
    begin, reader, writer = await begun(socket.socket(fileno=int(sys.argv[1])))
    endpoint = str(begin.settings["otlp_endpoint"])
    logs.configure(NAME, begin.settings["log_level"])
    traces.configure(NAME, endpoint)
    metrics.configure(NAME, endpoint, instance=f"worker-{begin.number}")
    await serve(begin, reader, writer)


def main() -> None:
    """Exit status 0 after a drain, 1 for anything else."""
    try:
        uvloop.run(_run())
    except* ModelogError as group:
        print(f"modelog {NAME} worker: {first_of(group)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
