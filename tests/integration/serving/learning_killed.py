"""Serving that ends itself, as kill -9 would, the first time that a step comes to a point: `learning_killed.py POINT
MARK`, where MARK is a file that says that it has."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import modelog_serving.app as app
from modelog_common.service import main

POINT, MARK = sys.argv[1], Path(sys.argv[2])


def reached(where: str) -> None:
    if where == POINT and not MARK.exists():
        MARK.touch()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    app.Teacher = partial(app.Teacher, reached=reached)  # type: ignore[misc, assignment]
    main("serving", app.build)
