"""Compile the modules of packages that each request goes through, with mypyc; see `compiled` for what uses them.

python -m modelog_common.compiling modelog_common modelog_serving

A package says in COMPILED which of its modules these are. Needs mypy, setuptools and a C compiler, and takes a minute
or two; what is made is put where the Python that runs this finds it, and what was made of other sources is removed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import logging
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ["MODELOG_COMPILED"] = "0"

from modelog_common.compiled import digest, place, source_of

OPTIONS = (
    "--config-file=", "--namespace-packages", "--explicit-package-bases", "--follow-imports=silent",
    "--ignore-missing-imports", f"--python-executable={sys.executable}",
)  # fmt: skip


def main() -> None:
    """The command; exits with 1 and what is missing when a package cannot be compiled."""
    parser = argparse.ArgumentParser("modelog_common.compiling", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("packages", nargs="+", help="such as modelog_common and modelog_serving")
    found: list[tuple[str, Path, Sequence[str]]] = []
    for name in parser.parse_args().packages:
        try:
            package = importlib.import_module(name)
        except ModuleNotFoundError:
            parser.error(f"{name} is not installed here")
        found.append((name, Path(package.__path__[0]), getattr(package, "COMPILED", ())))
    needs()
    for name, folder, modules in found:
        if not modules:
            print(f"{name} names no modules in COMPILED: nothing is compiled")
            continue
        made = place(name) / digest(folder, modules)
        if made.is_dir():
            print(f"{name}: its {len(modules)} modules are compiled already")
            continue
        print(f"{name}: compiling {len(modules)} modules ...", flush=True)
        began = time.monotonic()
        build(name, folder, modules, made)
        print(f"{name}: compiled in {time.monotonic() - began:.0f} s")


def needs() -> None:
    """Exit when something is missing."""
    for module in ("mypyc", "setuptools"):
        if importlib.util.find_spec(module) is None:
            raise SystemExit(
                f"compiling needs mypy and setuptools, and {module} is not here: pip install mypy setuptools"
            )
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler.split()[0]) is None:
        raise SystemExit(f"compiling needs a C compiler, and {compiler!r} is not here: install gcc, or name one in CC")


def build(name: str, folder: Path, modules: Sequence[str], made: Path) -> None:
    """Compile modules of the package in `folder` into the new folder `made`, which is there whole or not at all."""
    # Only here: whoever runs a service has neither.
    from mypyc.build import mypycify
    from setuptools import Distribution

    made.parent.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".making-") as scratch:
        base, out = Path(scratch, "src"), Path(scratch, "out")
        # A copy, for mypy takes nothing that lies in site-packages.
        shutil.copytree(folder, base / name, ignore=shutil.ignore_patterns("__pycache__"))
        files = [str(source_of(Path(name), module)) for module in modules]
        os.environ["MYPYPATH"] = str(base)
        with contextlib.chdir(base):
            # It prints what is wrong with the sources, and exits.
            extensions = mypycify(
                [*OPTIONS, *files], opt_level="3", debug_level="0", target_dir=str(Path(scratch, "c"))
            )
            command = Distribution({"name": name, "ext_modules": extensions}).get_command_obj("build_ext")
            command.build_lib, command.build_temp = str(out), str(Path(scratch, "objects"))
            command.parallel = os.cpu_count() or 1
            command.ensure_finalized()
            command.run()
        others = [each for each in made.parent.iterdir() if not each.name.startswith(".making-")]
        os.replace(out, made)
    for other in others:
        shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    main()
