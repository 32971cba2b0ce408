"""A whole platform is lost and comes back from its backup, with `modelog backup`: the same answers, keys and proofs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from running_platform import RunningPlatform


@pytest.fixture
def lost(tmp_path: Path) -> RunningPlatform:
    return RunningPlatform(tmp_path / "lost")


def answers(platform: RunningPlatform, as_of: int) -> dict[str, Any]:
    at = ("--as-of", str(as_of))
    return {
        "models": platform.json("model", "list", *at),
        "model": platform.json("model", "show", "delays", *at),
        "runs": platform.json("run", "list", *at),
        "events": platform.json("events", "list", "--limit", "1000", *at),
    }


def test_a_lost_platform_comes_back(lost: RunningPlatform, tmp_path: Path) -> None:
    lost.folder.mkdir()
    lost.up()
    note, key, backups = tmp_path / "checkpoint.txt", tmp_path / "audit.pub", tmp_path / "backups"
    with lost.client() as admin:
        admin.models.create("delays", tags={"team": "air"})
        admin.runs.experiment("delays")
        run = admin.runs.start("delays", parameters={"depth": 3})
        position = admin.audit.head()
    lost.cli("audit", "checkpoint", "--out", str(note), "--key-out", str(key))
    before = answers(lost, position)
    made = lost.cli("backup", "create", str(backups), "--data-dir", str(lost.data_dir), "--secrets")
    assert "signed" in made.stdout
    lost.down()
    shutil.rmtree(lost.data_dir)

    back = RunningPlatform(tmp_path / "back")
    back.folder.mkdir()
    back.cli("backup", "verify", str(backups), "--key", str(key))
    back.cli("backup", "restore", str(backups), "--data-dir", str(back.data_dir), "--keep-audit-key", "--key", str(key))
    back.up()
    try:
        back.until_projected()
        assert answers(back, position) == before
        with back.client() as admin:
            assert admin.runs.get(run.id).parameters == {"depth": 3}
            admin.models.create("goes-on")
        assert "begins with the" in back.cli("audit", "extends", str(note), "--key", str(key)).stdout
        assert "intact" in back.cli("audit", "verify").stdout
    finally:
        back.down()
