"""MLflow 3's workspaces by its own client: they are ours."""

from __future__ import annotations

from pathlib import Path

from clients import client
from small_platform import SmallPlatform


def test_a_client_works_in_a_workspace(platform: SmallPlatform, tmp_path: Path) -> None:
    client("3.17.2").run("workspaces", tmp_path, platform.url, platform.token("alice", "developer"), "by-mlflow")
    found = platform.client().workspaces.get("by-mlflow")
    assert (found.description, [(m.user, m.role) for m in found.members]) == ("described anew", [("alice", "admin")])
    assert [e.name for e in platform.client().runs.experiments(workspace="by-mlflow")] == ["there-by-mlflow"]
