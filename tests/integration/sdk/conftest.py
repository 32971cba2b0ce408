"""What the SDK and the command line are tested against: the small platform of the gateway's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import modelog
import pytest
from modelog.cli.main import app
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from small_platform import SmallPlatform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path_factory.mktemp("platform"))
    small.start()
    yield small
    small.stop()


@pytest.fixture
def alice(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("alice", "developer", "reviewer") as client:
        yield client


@pytest.fixture
def bob(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("bob", "reviewer") as client:
        yield client


@pytest.fixture
def admin(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("admin", "admin") as client:
        yield client


@pytest.fixture
def run_as(platform: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command as somebody."""
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    monkeypatch.setenv("MODELOG_URL", platform.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("COLUMNS", "200")

    def run_as(person: str, *arguments: object, status: int = 0) -> Result:
        monkeypatch.setenv("MODELOG_TOKEN", platform.token(person, "admin"))  # type: ignore[attr-defined]
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == status, result.output
        return result

    return run_as
