"""What docs/time-travel.md shows does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from small_platform import SmallPlatform
from toy_model import deployed

PAGE = Path(__file__).parents[3] / "docs" / "time-travel.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def environment(platform: SmallPlatform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Position 7: in staging; 8: in production; 9: deployed."""
    folder = tmp_path_factory.mktemp("page")
    with platform.client("alice") as alice, platform.client("bob") as bob:
        deployed(alice, bob, "flight-delay", folder)
        promoted = [e.position for e in alice.audit.events(type="registry.VersionPromoted")]
    assert promoted == [7, 8]
    return {
        "MODELOG_URL": platform.url,
        "MODELOG_TOKEN": platform.token("carol", "viewer"),
        "MODELOG_PROFILE": str(folder / "profile.json"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def ran(command: list[str], environment: dict[str, str]) -> str:
    """What a program of the page prints; it must end well."""
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pages_commands(environment: dict[str, str]) -> None:
    printed = ran(["sh", "-ec", block("sh")], environment)
    assert "staging" in printed
    assert "registry.VersionPromoted" in printed
    assert "production" not in printed
    assert printed.splitlines()[-1] == "nothing is deployed yet"


def test_the_pages_python(environment: dict[str, str]) -> None:
    ran([sys.executable, "-c", block("python")], environment)
