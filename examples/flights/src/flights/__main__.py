"""`make demo`: the flights story, from raw data to production and back."""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from modelog import ModelogError
from rich.console import Console

from flights.story.tell import stop, tell

HOME = Path(".modelog")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m flights", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="stop the platform at the end, and leave with status 0")
    parser.add_argument("--keep", action="store_true", help="keep the data directory when the platform is stopped")
    parser.add_argument("--port", type=int, help="port of the web page (default: 8080, or any when that is in use)")
    parser.add_argument("--report", type=Path, default=HOME / "flights-report.html", help="where the report goes")
    parser.add_argument("--profile", default="embedded", help="what the platform stands on: embedded, servers, a file")
    arguments = parser.parse_args()
    console = Console()
    data_dir = HOME / f"demo-{time.strftime('%Y%m%d-%H%M%S')}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep = True
    try:
        web_port = free_or_any(arguments.port)
        tell(console, data_dir.absolute(), arguments.report.absolute(), web_port, arguments.profile)
        if not arguments.exit:
            console.print("\nThe platform is up. Press Ctrl-C to stop it.")
            signal.pause()
        keep = arguments.keep
    except KeyboardInterrupt:
        keep = arguments.keep
        console.print()
    except (ModelogError, TimeoutError) as error:
        console.print(f"[bold red]The story stopped:[/] {error}", highlight=False)
        return 1
    finally:
        stop(data_dir.absolute())
        if keep:
            console.print(f"What it left is in {data_dir}, the services' own words in its logs/.", highlight=False)
        else:
            shutil.rmtree(data_dir, ignore_errors=True)
    return 0


def free_or_any(wanted: int | None) -> int:
    """The port that was asked for; without one 8080, or 0 (any) when something listens there."""
    if wanted is not None:
        return wanted
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return 0 if probe.connect_ex(("127.0.0.1", 8080)) == 0 else 8080


if __name__ == "__main__":
    sys.exit(main())
