"""What `python -m flights` leaves behind: a story that stopped keeps what explains it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from flights import __main__ as command


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "stop", lambda data_dir: None)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    return tmp_path


def told(monkeypatch: pytest.MonkeyPatch, *arguments: str, raises: BaseException | None = None) -> int:
    def tell(console: Any, data_dir: Path, *_: Any) -> None:
        (data_dir / "logs").mkdir(parents=True)
        if raises is not None:
            raise raises

    monkeypatch.setattr(command, "tell", tell)
    monkeypatch.setattr(sys, "argv", ["flights", "--port", "0", *arguments])
    return command.main()


def test_a_story_that_stopped_keeps_its_folder_and_says_where(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late = TimeoutError("job 1 is JOB_STATUS_QUEUED after 300 s")
    assert told(monkeypatch, "--exit", raises=late) == 1
    (kept,) = (in_folder / ".modelog").glob("demo-*")
    assert (kept / "logs").is_dir()
    said = capsys.readouterr().out
    assert "The story stopped: job 1 is JOB_STATUS_QUEUED after 300 s" in said
    assert kept.name in said.replace("\n", "")


@pytest.mark.parametrize(("arguments", "kept"), [([], 0), (["--keep"], 1)])
def test_one_that_was_told_leaves_nothing_unless_it_is_asked_to(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kept: int
) -> None:
    assert told(monkeypatch, "--exit", *arguments) == 0
    assert len(list((in_folder / ".modelog").glob("demo-*"))) == kept
