"""Run a platform in the foreground: what `modelog up` does, and what it starts with --detach."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modelog_common.domain.errors import ModelogError

from modelog_platform.up import up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m modelog_platform", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".modelog"))
    parser.add_argument("--port", type=int, default=8080, help="port of the web page and REST; 0 means any free one")
    parser.add_argument("--profile", default="embedded", help="embedded, servers, or the path of a profile of your own")
    arguments = parser.parse_args()

    def progress(name: str, how: str) -> None:
        print(f"{name}: {how}", flush=True)

    try:
        up(arguments.data_dir, arguments.port, progress, print, profile=arguments.profile)
    except ModelogError as error:
        print(f"modelog up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
