"""What a run must have recorded to be reproduced."""

from __future__ import annotations

from typing import List

from modelog.types import Run

FUNCTION = ":"


def missing_of(run: Run) -> List[str]:
    """What is missing, in sentences; nothing when it can be tried."""
    told = run.environment
    if told is None:
        return ["it recorded no environment: modelog.start_run(...) records what is needed, other clients do not"]
    found = []
    if not told.python:
        found.append("it recorded no Python version")
    if not told.packages:
        found.append("it recorded no packages")
    if not told.entry_point:
        found.append("it recorded no entry point: it was started at a prompt or in a notebook")
    elif FUNCTION in told.entry_point and not told.entry_point.startswith("-m "):
        found.append(
            f"its entry point {told.entry_point!r} is a function of a training job: submit the job again instead"
        )
    if not told.git_commit:
        found.append("it recorded no Git commit: its script was not in a repository")
    elif told.git_dirty and not told.git_diff:
        found.append(
            "its work tree differed from the commit, and what differed was not recorded (a diff over 10 MB is not)"
        )
    if not any(not name.startswith("system/") for name in run.metrics):
        found.append("it recorded no metrics to compare")
    return found
