"""A client may be used by several threads: msgspec 0.22 crashes when two of them meet a type for the first time."""

from __future__ import annotations

import subprocess
import sys

# Many new types, each met by eight threads at once, which take turns as often as they can.
PROGRAM = """
import sys
import threading
from typing import List, Optional

import msgspec
from modelog.transport import convert

sys.setswitchinterval(1e-6)


def meet(kind):
    class Inner(msgspec.Struct):
        a: int = 0
        b: Optional[str] = None

    class Outer(msgspec.Struct):
        inner: List[Inner] = []
        one: Optional[Inner] = None

    globals().update(Inner=Inner, Outer=Outer)
    together = threading.Barrier(8)

    def work():
        together.wait()
        assert convert({"inner": [{"a": "1"}], "one": {"b": "x"}}, Outer).inner[0].a == 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


for n in range(60):
    meet(n)
print("met")
"""


def test_threads_that_meet_a_record_at_once_do_not_crash() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "met\n"), done.stderr[-2000:]
