"""The state of a Git work tree: its commit, where it came from, and what differs from the commit."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional

# A longer diff is data, not source.
LONGEST_DIFF_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 60
# What Python makes by itself.
NO_SOURCE = (":(exclude,glob)**/__pycache__/**",)
CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True)
class WorkTree:
    """`diff` is empty when nothing differs, None when what differs is too long to be kept."""

    root: Path
    commit: str
    remote: str
    diff: Optional[bytes]

    @property
    def dirty(self) -> bool:
        return self.diff != b""


def work_tree(folder: Path) -> Optional[WorkTree]:
    """That of a folder; None outside Git and before the first commit."""
    root, commit = _git(folder, "rev-parse", "--show-toplevel"), _git(folder, "rev-parse", "HEAD")
    if not root or not commit:
        return None
    top = Path(root.decode().strip())
    remote = (_git(top, "remote", "get-url", "origin") or b"").decode().strip()
    return WorkTree(top, commit.decode().strip(), CREDENTIALS.sub("", remote), _diff(top))


def _diff(root: Path) -> Optional[bytes]:
    """What differs from the commit, files that Git does not know yet too; the repository itself is not touched."""
    objects = _git(root, "rev-parse", "--git-path", "objects")
    with tempfile.TemporaryDirectory(prefix="modelog-git-") as folder:
        aside = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((root / (objects or b"").decode().strip()).resolve()),
        }
        if _git(root, "read-tree", "HEAD", environ=aside) is None:
            return None
        if _git(root, "add", "-A", "--", ".", *NO_SOURCE, environ=aside) is None:
            return None
        diff = _git(root, "diff", "--cached", "--binary", "--no-ext-diff", "--no-color", "HEAD", environ=aside)
    return diff if diff is not None and len(diff) <= LONGEST_DIFF_BYTES else None


def _git(folder: Path, *arguments: str, environ: Optional[Dict[str, str]] = None) -> Optional[bytes]:
    """What Git says; None when it fails or is not there."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env={**os.environ, **(environ or {})})
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
