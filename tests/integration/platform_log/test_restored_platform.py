"""A platform that starts from a restored directory answers, as of the backup's position, what the original answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog.types import Signature, TensorSpec
from modelog_platform.log import commands

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from small_platform import SmallPlatform

SIGNATURE = Signature(
    inputs=[TensorSpec(name="input", datatype="FP32", shape=[-1, 1])],
    outputs=[TensorSpec(name="output", datatype="FP32", shape=[-1])],
)


@pytest.fixture
def original(tmp_path: Path) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path / "original")
    small.start()
    yield small
    small.stop()


def quiet(what: str, done: int, total: int) -> None:
    pass


def live(platform: SmallPlatform) -> None:
    """Some days in the life of a platform."""
    with platform.client("alice", "admin") as alice, platform.client("bob", "reviewer") as bob:
        alice.users.create("carol", ["viewer"])
        alice.models.create("delays", tags={"team": "air"})
        model = alice.artifacts.upload_bytes(b"a model's bytes", "model.ubj")
        alice.models.register("delays", model, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7})
        bob.models.approve("delays", "1.0.0", "good")
        alice.models.promote("delays", "1.0.0", "staging")
        alice.runs.experiment("experiments")
        alice.runs.start("experiments", name="first", parameters={"depth": 3})


def answers(platform: SmallPlatform, as_of: int) -> Any:
    """What a platform says, as of a position."""
    with modelog.Client(platform.url, platform.token("alice", "admin"), as_of=str(as_of)) as client:
        return {
            "model": client.models.get("delays").to_dict(),
            "models": [m.to_dict() for m in client.models.list()],
            "runs": [r.to_dict() for r in client.runs.list()],
            "users": [u.to_dict() for u in client.users.list()],
            "events": [e.to_dict() for e in client.audit.events(limit=1000)],
        }


def test_the_restored_answers_what_the_original_answered(original: SmallPlatform, tmp_path: Path) -> None:
    live(original)
    with original.client() as admin:
        position = admin.audit.head()
        admin.audit.checkpoint()
    before = answers(original, position)
    with original.client() as admin:
        admin.models.create("later")
    backups, root = tmp_path / "backups", tmp_path / "restored"
    made = commands.create_backup(original.folder, "", backups, None, False, quiet)
    assert made.position > position
    assert commands.verify_backup(backups, "", quiet) == (made.position, [])
    assert commands.restore_backup(backups, root, "", position, False, "", quiet) == position
    restored = SmallPlatform(root)
    restored.start()
    try:
        assert answers(restored, position) == before
        with restored.client() as admin:
            assert admin.audit.head() == position
            assert admin.audit.verify().intact
            assert [m.name for m in admin.models.list()] == ["delays"]
            admin.models.create("goes-on")
            assert admin.models.download("delays", "1.0.0", tmp_path).read_bytes() == b"a model's bytes"
        with pytest.raises(modelog.NotFound), restored.client() as admin:
            admin.models.get("later")
    finally:
        restored.stop()
