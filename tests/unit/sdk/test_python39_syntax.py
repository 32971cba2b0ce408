"""The SDK and the proofs run on Python 3.9: users' machines are older than the platform's."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OLD_PYTHON = Path("/root/.pyenv/versions/3.9.18/bin/python")
FILES = sorted(file for part in ("sdk", "proofs") for file in (ROOT / "libs" / part / "src").rglob("*.py"))
COMPILE = "import sys\nfor f in sys.argv[1:]: compile(open(f, encoding='utf-8').read(), f, 'exec')"


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / "libs")))
def test_a_file_is_python_39(file: Path) -> None:
    tree = ast.parse(file.read_text(), str(file), feature_version=(3, 9))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match), f"{file}:{node.lineno} uses match, which Python 3.10 brought"


@pytest.mark.skipif(not OLD_PYTHON.exists(), reason=f"there is no {OLD_PYTHON}")
def test_python_39_compiles_every_file() -> None:
    done = subprocess.run([str(OLD_PYTHON), "-c", COMPILE, *map(str, FILES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
