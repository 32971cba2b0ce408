"""The environment, the source and the data of a run, each in a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlparse

import modelog
from modelog.errors import ModelogError, Unavailable
from modelog.types import Environment, RunDataset

BUILD_TIMEOUT_S = 1800
Tell = Callable[[str], None]


class CannotReproduce(ModelogError):
    """Something that the run had cannot be had any more; the text says what."""


def find_uv() -> str:
    """uv's program; raises Unavailable."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise Unavailable("reproducing needs uv: `pip install modelog[reproduce]`") from None
        return found


def build_environment(told: Environment, folder: Path, tell: Tell) -> Tuple[Path, List[str]]:
    """An environment with the recorded Python and packages; its Python, and what is not as it was."""
    uv, notes = find_uv(), []
    minor = ".".join(told.python.split(".")[:2])
    tell(f"environment: Python {told.python}, {len(told.packages)} packages")
    if _try([uv, "venv", "--quiet", "--clear", "--python", told.python, str(folder)]) is not None:
        trouble = _try([uv, "venv", "--quiet", "--clear", "--python", minor, str(folder)])
        if trouble is not None:
            raise CannotReproduce(f"uv finds no Python {told.python}, nor another {minor}: {trouble}")
        notes.append(f"Python is another {minor} than {told.python}, which uv did not find")
    python = next(p for p in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if p.exists())
    wanted = []
    for name, version in told.packages.items():
        here = local_source(name, version)
        if here is not None:
            notes.append(f"{name} {version} is installed from {here}, as it is there now")
        wanted.append(here or requirement(name, version))
    # Exactly what was recorded: nothing is resolved anew.
    trouble = _try([uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), *wanted])
    if trouble is not None:
        raise CannotReproduce(f"the recorded packages cannot be installed: {trouble}")
    return python, notes


def requirement(name: str, version: str) -> str:
    """As it was recorded: "1.2" of an index, "1.2 @ git+https://...@commit" of elsewhere."""
    plain, at, address = version.partition(" @ ")
    return f"{name} @ {address}" if at else f"{name}=={plain}"


def local_source(name: str, version: str) -> Optional[str]:
    """The folder that this environment has the same version of a package from, which no index has."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    told = found.read_text("direct_url.json")
    address = urlparse(json.loads(told)["url"]) if told else None
    if address is None or address.scheme != "file" or found.version != version:
        return None
    return unquote(address.path)


def check_out(told: Environment, diff: Optional[Path], repository: Optional[str], folder: Path, tell: Tell) -> Path:
    """The source as it was; the folder that the entry point was called from."""
    tried = []
    for address in [repository] if repository else [_repository_here(), told.git_remote]:
        if not address:
            continue
        tell(f"source: commit {told.git_commit[:12]} of {address}")
        shutil.rmtree(folder, ignore_errors=True)
        trouble = _try(["git", "clone", "--quiet", "--no-checkout", address, str(folder)])
        if trouble is None:
            git = ["git", "-C", str(folder), "-c", "advice.detachedHead=false"]
            if _try([*git, "cat-file", "-e", f"{told.git_commit}^{{commit}}"]) is not None:
                _try([*git, "fetch", "--quiet", "origin", told.git_commit])
            trouble = _try([*git, "checkout", "--quiet", "--detach", told.git_commit])
        if trouble is None:
            break
        tried.append(f"{address}: {trouble}")
    else:
        raise CannotReproduce(
            f"the commit {told.git_commit} is not to be had; name its repository with --repository"
            + "".join(f"\n{each}" for each in tried)
        )
    if diff is not None:
        trouble = _try(["git", "-C", str(folder), "apply", "--whitespace=nowarn", str(diff.resolve())])
        if trouble is not None:
            raise CannotReproduce(f"the recorded diff does not apply to the commit: {trouble}")
    return folder / told.git_folder


def fetch(client: modelog.Client, datasets: Sequence[RunDataset], folder: Path, tell: Tell) -> Dict[str, Path]:
    """The datasets' files, under their digests, which are checked."""
    found = {}
    for used in datasets:
        tell(f"dataset: {used.dataset} {used.version} ({used.digest[:12]})")
        found[used.digest] = client.artifacts.kept(used.digest, folder / f"{used.digest}.parquet")
    return found


def _repository_here() -> str:
    """The repository of the folder that one is in."""
    done = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _try(command: Sequence[str]) -> Optional[str]:
    """None when it went well, else what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]} here; install it") from None
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {BUILD_TIMEOUT_S} s"
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[-2000:]
