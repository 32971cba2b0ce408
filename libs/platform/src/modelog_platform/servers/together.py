"""A server that is several programs: start one after the other, and end all with the first that ends, or when told to.

python -m modelog_platform.servers.together '[{"command": ["first"], "ready": "http://..."}, ...]'
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from types import FrameType

from modelog_platform.lifeline import die_with

ANSWER_TIMEOUT_S = 1.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05


def main(told: str) -> int:
    """Run until one ends; the last started is stopped first, since it uses those before it."""
    signal.signal(signal.SIGTERM, stop)
    tied = partial(die_with, os.getpid(), signal.SIGTERM)
    programs: list[subprocess.Popen[bytes]] = []
    try:
        for step in json.loads(told):
            programs.append(subprocess.Popen(step["command"], preexec_fn=tied))
            while not serves(step["ready"]):
                if any(program.poll() is not None for program in programs):
                    break
                time.sleep(POLL_S)
        while all(program.poll() is None for program in programs):
            time.sleep(POLL_S)
    except SystemExit:
        return 0
    finally:
        end(programs)
    print("one of the programs ended, and the others with it", file=sys.stderr)
    return 1


def serves(url: str) -> bool:
    """Whether a program says that it is ready; nothing secret is told to it, whoever it is."""
    try:
        anyone = ssl._create_unverified_context()  # noqa: S323
        urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S, context=anyone).close()  # noqa: S310
    except (OSError, urllib.error.URLError):
        return False
    return True


def end(programs: list[subprocess.Popen[bytes]]) -> None:
    """Stop them, the last first."""
    for program in reversed(programs):
        program.terminate()
        try:
            program.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            program.kill()


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
