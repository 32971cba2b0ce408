"""The user's own project: its source as an archive, its Git state, the environment it runs in."""

from __future__ import annotations

import io
import json
import platform
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Optional, Tuple

from modelog.types import Environment

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def source_archive(folder: Optional[Path]) -> bytes:
    """A zip of the Python files under `folder`; the same source gives the same bytes, so its digest names it."""
    if folder is None or not Path(folder).is_dir():
        raise ValueError(f"source: {folder} is not a folder with Python files")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(folder).rglob("*.py")):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), _FIXED_TIME)
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def git_state(folder: Path) -> Tuple[str, bool]:
    """The commit that is checked out at `folder`, and whether files differ from it; ("", False) outside Git."""
    commit = _git(folder, "rev-parse", "HEAD")
    return (commit, bool(_git(folder, "status", "--porcelain", "--", "."))) if commit else ("", False)


def environment(entry_point: str = "", source_digest: str = "", commit: str = "", dirty: bool = False) -> Environment:
    """This process's Python, platform and packages."""
    packages = {d.metadata["Name"]: _version(d) for d in distributions() if d.metadata["Name"]}
    return Environment(
        python=sys.version.split()[0],
        platform=platform.platform(),
        packages=dict(sorted(packages.items())),
        git_commit=commit,
        git_dirty=dirty,
        entry_point=entry_point,
        source_digest=source_digest,
    )


def _version(package: Distribution) -> str:
    """Its version and, when it is not from an index, the address and commit that it is from; folders have none."""
    told = package.read_text("direct_url.json")
    source = json.loads(told) if told else {}
    address, vcs = str(source.get("url", "")), source.get("vcs_info")
    if vcs:
        return f"{package.version} @ {vcs['vcs']}+{address}@{vcs['commit_id']}"
    return f"{package.version} @ {address}" if address.startswith("http") else package.version


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
