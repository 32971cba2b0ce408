"""What a model needs to run, from the files of packages that MLflow writes beside it."""

from __future__ import annotations

import re
from typing import Any

from modelog_registry.mlmodel.untrusted import MOST_BYTES, NotRead, mapping_in
from modelog_registry.model.events import Environment

REQUIREMENTS, PYTHON, CONDA = "requirements.txt", "python_env.yaml", "conda.yaml"
MOST_PACKAGES = 10_000
LONGEST_PYTHON = 100
# "scikit-learn[extra]==1.9.1 ; python_version > '3.9'", as PEP 508 has it.
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,199})\s*(?:\[[^\]]*\])?\s*(.*)")
_PINNED = re.compile(r"={2,3}\s*([^\s,;*]{1,100})\s*(?:[;#].*)?")
# "python=3.11.9" and "numpy=1.26=py311h_0" in a file of conda's.
_OF_CONDA = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,199})\s*(?:={1,2}\s*([^\s,=*<>]{1,100})(?:=\S*)?)?.*")


def environment_in(files: dict[str, bytes]) -> Environment | None:
    """What the files tell together, by their names; None when they tell nothing. Raises NotRead, which names the file.

    A package that is not pinned to one version has the empty version.
    """
    python, packages = "", dict[str, str]()
    if CONDA in files:
        python, packages = _conda(_mapping(files[CONDA], CONDA))
    if PYTHON in files:
        python = str(_mapping(files[PYTHON], PYTHON).get("python") or python)
    if REQUIREMENTS in files:
        # What MLflow installs; the others only repeat it.
        packages = _requirements(_lines(files[REQUIREMENTS]))
    if len(packages) > MOST_PACKAGES:
        raise NotRead(f"{REQUIREMENTS} names {len(packages)} packages; at most {MOST_PACKAGES} are kept")
    return Environment(python[:LONGEST_PYTHON], "", packages, "", "") if python or packages else None


def _mapping(content: bytes, name: str) -> dict[str, Any]:
    try:
        return mapping_in(content)
    except NotRead as error:
        raise NotRead(f"{name} {error}") from None


def _lines(content: bytes) -> list[str]:
    if len(content) > MOST_BYTES:
        raise NotRead(f"{REQUIREMENTS} has {len(content)} bytes; at most {MOST_BYTES} are read")
    return content.decode(errors="replace").replace("\x00", "\ufffd").splitlines()


def _requirements(lines: list[Any]) -> dict[str, str]:
    """Those that PyPI has a name for: options, addresses and files have none."""
    found = {}
    for line in lines:
        match = _REQUIREMENT.fullmatch(str(line).strip())
        if match is not None and "://" not in match[2] and not match[2].startswith(("/", "@")):
            pinned = _PINNED.fullmatch(match[2])
            found[match[1]] = pinned[1] if pinned is not None else ""
    return found


def _conda(told: dict[str, Any]) -> tuple[str, dict[str, str]]:
    python, packages = "", dict[str, str]()
    dependencies = told.get("dependencies")
    for entry in dependencies if isinstance(dependencies, list) else []:
        if isinstance(entry, dict):
            of_pip = entry.get("pip")
            packages |= _requirements(of_pip if isinstance(of_pip, list) else [])
            continue
        match = _OF_CONDA.fullmatch(str(entry).strip())
        if match is not None and match[1] == "python":
            python = match[2] or ""
        elif match is not None:
            packages[match[1]] = match[2] or ""
    return python, packages
