"""`modelog up --workers`: how many processes answer predictions reaches the platform, and a wrong number nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import modelog.cli.platform as platform_commands
import pytest
from modelog.cli.main import app
from modelog.cli.platform import MOST_WORKERS, WORKERS
from modelog_serving import settings
from typer.testing import CliRunner

runner = CliRunner()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The setting as each start of a platform would have it."""
    found: list[str] = []
    monkeypatch.setattr(platform_commands, "of_platform", lambda _: lambda *_: found.append(os.environ[WORKERS]))
    monkeypatch.setenv(WORKERS, "4")
    return found


@pytest.mark.parametrize(("arguments", "seen"), [((), "4"), (("--workers", "auto"), "auto"), (("--workers", "2"), "2")])
def test_the_number_of_workers_is_a_setting_of_the_platform(
    started: list[str], tmp_path: Path, arguments: Any, seen: str
) -> None:
    done = runner.invoke(app, ["up", "--detach", "--data-dir", str(tmp_path), *arguments])
    assert (done.exit_code, started) == (0, [seen]), done.output
    assert settings.load_serving_settings().workers == (seen if seen == "auto" else int(seen))


@pytest.mark.parametrize("wrong", ["0", "31", "many"])
def test_a_wrong_number_is_refused(started: list[str], tmp_path: Path, wrong: str) -> None:
    done = runner.invoke(app, ["up", "--data-dir", str(tmp_path), "--workers", wrong])
    assert (done.exit_code, started) == (2, [])
    assert f"'{wrong}' must be auto, or from 1 to {settings.MOST_WORKERS}" in " ".join(
        done.output.replace("│", " ").split()
    )


def test_the_names_are_those_of_serving() -> None:
    assert WORKERS == settings.PREFIX + "WORKERS"
    assert MOST_WORKERS == settings.MOST_WORKERS
