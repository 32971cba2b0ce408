"""The embedded graph database (ArcadeDB over Bolt) as a process of its own.

    python -m modelog_platform.parts.graph --port 7687 --data DIR --password-file FILE

prints one JSON line when it answers, {"bolt": ..., "user": ..., "database": ..., "pid": ...}, and stops on SIGTERM. The
password is set when DIR is new; later starts keep it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK, free_port, is_listening

USER = "root"
DATABASE = "modelog"
SHORTEST_PASSWORD = 8


def serve(port: int, data: Path, password: str) -> None:
    """Run the database until SIGTERM or SIGINT; raises RuntimeError when it cannot start."""
    import arcadedb

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    data.mkdir(parents=True, exist_ok=True)
    server = arcadedb.create_server(
        str(data),
        password,
        config={
            "host": LOOPBACK,
            "http_port": free_port(),
            "mode": "production",
            "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt_port": port,
        },
    )
    try:
        server.start()
        server.create_database(DATABASE)
    except arcadedb.ArcadeDBError as error:
        raise RuntimeError(str(error)) from error
    try:
        ready = {"bolt": f"bolt://{LOOPBACK}:{port}", "user": USER, "database": DATABASE, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        stop.wait()
    finally:
        server.stop()


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit status 2 for wrong arguments, 1 when the database cannot start."""
    parser = argparse.ArgumentParser(prog="python -m modelog_platform.parts.graph", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the Bolt port on the loopback interface")
    parser.add_argument("--data", type=Path, required=True, help="the folder that the database keeps its files in")
    parser.add_argument("--password-file", type=Path, required=True, help="a file that holds the password of root")
    options = parser.parse_args(arguments)
    try:
        password = options.password_file.read_text().strip()
        if len(password) < SHORTEST_PASSWORD:
            parser.error(f"--password-file: a password has at least {SHORTEST_PASSWORD} characters")
        if is_listening(options.port):
            raise RuntimeError(f"port {options.port} is in use")
        serve(options.port, options.data, password)
    except (OSError, RuntimeError) as error:
        print(f"the graph database cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
