"""A folder becomes one zip file, whose bytes depend on nothing but its files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from modelog.errors import Invalid
from modelog.packing import zipped

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"", "assets/words.txt": b"a\nb\n"}


def made(folder: Path, order: list[str]) -> Path:
    for name in order:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILES[name])
    return folder


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    one = made(tmp_path / "one", list(FILES))
    other = made(tmp_path / "other", list(reversed(FILES)))
    os.utime(other / "saved_model.pb", (1e9, 1e9))
    (other / "assets" / "words.txt").chmod(0o600)
    (other / "empty").mkdir()
    packed = zipped(one, tmp_path / "one.zip")
    assert packed.read_bytes() == zipped(other, tmp_path / "other.zip").read_bytes()
    with zipfile.ZipFile(packed) as found:
        assert {name: found.read(name) for name in found.namelist()} == FILES


def test_links_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="holds no files"):
        zipped(tmp_path, tmp_path.parent / f"{tmp_path.name}.zip")
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(Invalid, match="link: is no plain file"):
        zipped(tmp_path, tmp_path.parent / f"{tmp_path.name}.zip")
