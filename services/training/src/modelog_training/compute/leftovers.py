"""Processes that outlived the service which started them: written down while it runs, ended when it starts again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

END_S = 5.0
OWNER = "owner.json"


class ProcessList:
    """A file with the processes that must not outlive this one: ids with the times at which they were started."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, processes: Iterable[psutil.Process]) -> None:
        """Replace the list."""
        started = {}
        for process in processes:
            try:
                started[str(process.pid)] = process.create_time()
            except psutil.NoSuchProcess:
                continue
        partial = self._file.with_suffix(".part")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(started))
        os.replace(partial, self._file)

    def end_all(self) -> int:
        """End what is on the list and still runs, with its children; returns how many processes that were."""
        ended = end(self.alive())
        self._file.unlink(missing_ok=True)
        return ended

    def alive(self) -> list[psutil.Process]:
        """What is on the list and still runs."""
        if not self._file.exists():
            return []
        return [p for pid, at in json.loads(self._file.read_text()).items() if (p := _same(int(pid), at)) is not None]


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove those of our folders whose owners, listed in their file OWNER, no longer run."""
    for folder in folders:
        ours = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if ours and not ProcessList(folder / OWNER).alive():
            shutil.rmtree(folder, ignore_errors=True)


def end(processes: Iterable[psutil.Process]) -> int:
    """Kill processes and all their descendants at once; returns how many there were."""
    targets: dict[int, psutil.Process] = {}
    for process in processes:
        try:
            targets |= {p.pid: p for p in [process, *process.children(recursive=True)]}
        except psutil.NoSuchProcess:
            continue
    for process in targets.values():
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(list(targets.values()), timeout=END_S)
    return len(targets)


def _same(pid: int, started: float) -> psutil.Process | None:
    """The process with this id, if it is the one that was started then: ids are used again."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - started) < 0.05 else None
    except psutil.NoSuchProcess:
        return None
