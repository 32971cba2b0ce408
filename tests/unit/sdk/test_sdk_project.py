"""The user's own project: the same source has the same digest, and Git's state is told when there is one."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from modelog.project import environment, git_state, source_archive


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "b.py").write_text("b = 1\n")
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "data.csv").write_text("not source")
    first = source_archive(tmp_path)
    os.utime(tmp_path / "a.py", (1, 1))
    assert source_archive(tmp_path) == first
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["a.py", "pack/b.py"]
    (tmp_path / "a.py").write_text("a = 2\n")
    assert source_archive(tmp_path) != first


@pytest.mark.parametrize("folder", [None, Path("/nowhere")])
def test_a_source_that_is_no_folder_is_refused(folder: Path | None) -> None:
    with pytest.raises(ValueError, match="is not a folder"):
        source_archive(folder)


def git(folder: Path, *arguments: str) -> str:
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **names}
    ).stdout.strip()


def test_git_tells_the_commit_and_whether_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == ("", False)
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "a.py").write_text("a = 2\n")
    assert git_state(tmp_path) == (commit, True)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == ("", False)


def test_the_environment_is_this_process() -> None:
    found = environment("train:main", "d", "c", True)
    assert found.python.startswith("3.")
    assert "msgspec" in found.packages
    assert (found.entry_point, found.source_digest, found.git_commit, found.git_dirty) == ("train:main", "d", "c", True)
