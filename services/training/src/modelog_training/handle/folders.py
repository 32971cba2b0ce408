"""Where the files of jobs are: a log that stays, and a folder for each attempt that goes with it."""

from __future__ import annotations

import shutil
from pathlib import Path


class JobFolders:
    """Below one folder, one folder a job."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def log(self, job_id: str) -> Path:
        """What the job printed in all its attempts, in order."""
        return self._root / job_id / "log.txt"

    def attempt(self, job_id: str, fence: int) -> Path:
        return self._root / job_id / f"attempt-{fence}"

    def note(self, job_id: str, text: str) -> None:
        """Add a line of the platform's own to the job's log."""
        file = self.log(job_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.write(f"[modelog] {text}\n")

    def open_attempt(self, job_id: str, fence: int) -> Path:
        """An empty folder for an attempt."""
        self.close_attempts(job_id)
        folder = self.attempt(job_id, fence)
        folder.mkdir(parents=True)
        return folder

    def close_attempts(self, job_id: str) -> None:
        """Remove what attempts used; the log stays."""
        for folder in (self._root / job_id).glob("attempt-*"):
            shutil.rmtree(folder, ignore_errors=True)
