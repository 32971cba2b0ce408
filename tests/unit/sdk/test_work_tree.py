"""What a Git work tree holds that its commit does not is a diff that can be applied; the repository is not touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import modelog.git
import pytest
from modelog.git import work_tree

WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    environ = {**os.environ, **WHO}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository ü"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.py").write_text("a = 1\n")
    (root / ".gitignore").write_text("ignored\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_a_clean_tree_has_no_diff(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:secret@git.example/x.git")
    found = work_tree(repository)
    assert found is not None
    assert (found.diff, found.dirty) == (b"", False)
    assert found.remote == "https://git.example/x.git"


def test_what_differs_can_be_applied_elsewhere(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("a = 2\n")
    (repository / "späte").mkdir()
    (repository / "späte" / "new.bin").write_bytes(bytes(range(256)))
    (repository / "ignored").write_text("x")
    (repository / "späte" / "__pycache__").mkdir()
    (repository / "späte" / "__pycache__" / "a.pyc").write_text("x")
    before = git(repository, "status", "--porcelain"), git(repository, "count-objects")
    found = work_tree(repository / "späte")
    assert found is not None
    assert found.dirty
    assert found.diff
    assert (git(repository, "status", "--porcelain"), git(repository, "count-objects")) == before
    git(tmp_path, "clone", "-q", str(repository), "again")
    (tmp_path / "diff").write_bytes(found.diff)
    git(tmp_path / "again", "apply", str(tmp_path / "diff"))
    assert (tmp_path / "again" / "a.py").read_text() == "a = 2\n"
    assert (tmp_path / "again" / "späte" / "new.bin").read_bytes() == bytes(range(256))
    assert not (tmp_path / "again" / "ignored").exists()
    assert not (tmp_path / "again" / "späte" / "__pycache__").exists()


def test_a_diff_that_is_too_long_is_not_kept(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelog.git, "LONGEST_DIFF_BYTES", 10)
    (repository / "a.py").write_text("a = 2\n")
    found = work_tree(repository)
    assert found is not None
    assert (found.diff, found.dirty) == (None, True)


def test_outside_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert work_tree(tmp_path) is None
