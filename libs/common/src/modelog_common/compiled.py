"""Modules that were compiled from just these sources stand in for them (decision 65).

`python -m modelog_common.compiling` makes them. They are used where they were made of the sources that are there, for
the Python that runs; else the sources run, and do the same. MODELOG_COMPILED=0 never uses them, 1 does not go without.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

SWITCH = "MODELOG_COMPILED"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
# Goes up when the same sources are to be compiled otherwise.
EDITION = 1
# Packages of which compiled modules are used in this process.
in_use: list[str] = []


def use(package: str, folder: str, modules: Sequence[str]) -> None:
    """Import `modules` of a package (names without the package's) compiled from now on, if they are.

    Raises ImportError where MODELOG_COMPILED is neither 0 nor 1 nor empty, or is 1 and they are not compiled.
    """
    switch = os.environ.get(SWITCH, "")
    if switch not in ("", "0", "1"):
        raise ImportError(f"{SWITCH} is {switch!r}; allowed are 0, 1 and nothing")
    if switch == "0":
        return
    made = place(package)
    # Where nothing was compiled no source is read for it.
    fitting = made / digest(Path(folder), modules) if made.is_dir() else None
    if fitting is not None and fitting.is_dir():
        sys.meta_path.insert(0, Compiled(fitting))
        in_use.append(package)
    elif switch == "1":
        raise ImportError(
            f"{SWITCH} is 1, and {package} was not compiled from the sources that are there: "
            f"python -m modelog_common.compiling {package}"
        )


def place(package: str) -> Path:
    """Where the compiled modules of a package are, in a folder called by the digest of their sources."""
    return Path(sys.prefix, "lib", "modelog-compiled", package)


def digest(folder: Path, modules: Sequence[str]) -> str:
    """The SHA-256 of the sources, and of what else decides whether the compiled ones fit."""
    found = hashlib.sha256(f"{EDITION} {sys.version} {SUFFIX}".encode())
    for module in modules:
        source = source_of(folder, module).read_bytes()
        found.update(f"\n{module} {len(source)}\n".encode() + source)
    return found.hexdigest()


def source_of(folder: Path, module: str) -> Path:
    """A module's file in its package's folder."""
    return folder.joinpath(*module.split(".")).with_suffix(".py")


class Compiled(MetaPathFinder):
    """Finds the modules that are in a folder, and the library that they share."""

    def __init__(self, folder: Path) -> None:
        files = [file.relative_to(folder) for file in folder.rglob(f"*{SUFFIX}")]
        self._files: Mapping[str, str] = {
            ".".join(file.parts).removesuffix(SUFFIX): str(folder / file) for file in files
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, file))
