"""Modules are used compiled where they were compiled from the sources that are there, and never otherwise."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

import modelog_common
import modelog_serving
import pytest
from modelog_common.compiled import digest, source_of

COMPILER = str(sysconfig.get_config_var("CC") or "cc").split()[0]
PACKAGE = """
from modelog_common.compiled import use
COMPILED = ("inner.sums",)
use(__name__, __path__[0], COMPILED)
"""
SOURCE = "def added(one: int, other: int) -> int:\n    return one + other\n"
ASKED = "from toy.inner import sums; print(sums.__file__.endswith('.py'), sums.added(1, 2))"


class Toy:
    """A package in a virtual environment of its own, which sees all that this one has."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=False)
        self._python = folder / "venv" / "bin" / "python"
        self.package = folder / "toy"
        (self.package / "inner").mkdir(parents=True)
        (self.package / "__init__.py").write_text(PACKAGE)
        (self.package / "inner" / "__init__.py").touch()
        self.source = self.package / "inner" / "sums.py"
        self.source.write_text(SOURCE)
        seen = [str(folder), *(path for path in sys.path if path and Path(path).is_dir())]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(seen), "MODELOG_COMPILED": ""}

    def run(self, *arguments: str, environment: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, *arguments], env={**self._environment, **environment}, capture_output=True, text=True
        )

    def compile(self, environment: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "modelog_common.compiling", "toy", environment=environment)

    @property
    def made(self) -> list[Path]:
        place = self._python.parent.parent / "lib" / "modelog-compiled" / "toy"
        return sorted(place.iterdir()) if place.exists() else []


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"there is no C compiler {COMPILER!r} on this machine")
def test_a_compiled_module_is_used_until_its_source_is_another(toy: Toy) -> None:
    assert toy.run("-c", ASKED).stdout.split() == ["True", "3"]
    compiled = toy.compile()
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    assert toy.run("-c", ASKED).stdout.split() == ["False", "3"]
    assert toy.run("-c", ASKED, environment={"MODELOG_COMPILED": "0"}).stdout.split() == ["True", "3"]
    assert "compiled already" in toy.compile().stdout
    toy.source.write_text(SOURCE.replace("+", "-"))
    assert toy.run("-c", ASKED).stdout.split() == ["True", "-1"]
    (before,) = toy.made
    assert toy.compile().returncode == 0
    assert toy.run("-c", ASKED).stdout.split() == ["False", "-1"]
    (after,) = toy.made
    assert after != before


def test_who_insists_on_compiled_modules_is_told_that_there_are_none(toy: Toy) -> None:
    refused = toy.run("-c", ASKED, environment={"MODELOG_COMPILED": "1"})
    assert refused.returncode == 1
    # modelog_common is imported first.
    assert "python -m modelog_common.compiling modelog_common" in refused.stderr
    unclear = toy.run("-c", ASKED, environment={"MODELOG_COMPILED": "yes"})
    assert "MODELOG_COMPILED is 'yes'; allowed are 0, 1 and nothing" in unclear.stderr


def test_what_is_missing_for_compiling_is_named(toy: Toy) -> None:
    without = toy.compile({"CC": "no-such-compiler"})
    assert without.returncode == 1
    assert "needs a C compiler, and 'no-such-compiler' is not here" in without.stderr
    unknown = toy.run("-m", "modelog_common.compiling", "nothing_of_ours")
    assert unknown.returncode == 2
    assert "nothing_of_ours is not installed here" in unknown.stderr
    assert not toy.made


def test_a_package_that_cannot_be_compiled_leaves_nothing(toy: Toy) -> None:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"there is no C compiler {COMPILER!r} on this machine")
    toy.source.write_text("def added(one: int, other: int) -> int:\n    return 'no'\n")
    refused = toy.compile()
    assert refused.returncode == 1
    assert "toy/inner/sums.py:2: error" in refused.stdout + refused.stderr
    assert not toy.made


def test_a_digest_is_of_all_sources_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    first = digest(tmp_path, ("a", "b"))
    assert first == digest(tmp_path, ("a", "b")) != digest(tmp_path, ("a",))
    (tmp_path / "b.py").write_text("3")
    assert digest(tmp_path, ("a", "b")) != first


@pytest.mark.parametrize("package", [modelog_common, modelog_serving])
def test_nothing_that_is_compiled_is_told_by_its_annotations(package: object) -> None:
    """mypyc keeps none: what msgspec or pydantic would read of a class is not there any more."""
    folder = Path(package.__path__[0])  # type: ignore[attr-defined]
    for module in package.COMPILED:  # type: ignore[attr-defined]
        tree = ast.parse(source_of(folder, module).read_text())
        for each in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            bases = {ast.unparse(base) for base in each.bases}
            assert not bases & {"msgspec.Struct", "Struct", "BaseModel", "BaseSettings", "TypedDict"}, (
                module,
                each.name,
            )
