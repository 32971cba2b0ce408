"""Loads the shared library that a Python package brings, without importing the package."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def library_of(package: str, names: Sequence[str], told_by: str, distribution: str) -> ctypes.CDLL:
    """The library in the package's folder `lib`, by the first of its names that is there.

    `told_by` is the function that gives the text of its last error. Raises ImportError, naming the distribution.
    """
    found = find_spec(package)
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    for folder in folders:
        for name in names:
            path = Path(folder) / "lib" / name
            if path.exists():
                library = ctypes.CDLL(str(path))
                getattr(library, told_by).restype = ctypes.c_char_p
                return library
    raise ImportError(f"the package {package} has no shared library in {folders}; install {distribution}")
