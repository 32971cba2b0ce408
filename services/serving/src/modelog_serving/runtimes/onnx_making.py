"""A process that writes an ONNX model's weights down: what the library dies of meanwhile takes nothing along."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from modelog_serving.deployment.signature import Signature
from modelog_serving.runtimes.beside import Beside
from modelog_serving.worker import ended
from modelog_serving.worker.process import environment

COMMAND = (sys.executable, "-m", "modelog_serving.runtimes.onnx_making")
MOST_S = 300.0


class Task(msgspec.Struct, frozen=True):
    """Of a file in a folder, which answers as the signature says."""

    folder: str
    digest: str
    threads: int
    signature: Signature


def failure_of(task: Task) -> str:
    """Have it done; returns why it was not, "" when it was."""
    with tempfile.TemporaryDirectory(prefix="modelog-model-") as own:
        try:
            done = subprocess.run(
                COMMAND,
                input=msgspec.json.encode(task),
                env=environment(task.threads) | {"TMPDIR": own},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=MOST_S,
            )
        except subprocess.TimeoutExpired:
            return f"its process took more than {MOST_S:g} s"
        except OSError as error:
            return f"its process could not be started: {error}"
    if not done.returncode:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"its process {ended.how(done.returncode)}" + (f": {said[-1][:500]}" if said else "")


def main() -> None:
    """The task comes on standard input."""
    from modelog_serving.runtimes.onnx_runtime import OnnxRuntime

    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    beside = Beside(Path(task.folder))
    OnnxRuntime(task.threads, beside=beside).write_down(task.digest, beside.content(task.digest), task.signature)


if __name__ == "__main__":
    main()
