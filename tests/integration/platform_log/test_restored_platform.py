"""A platform that starts from a restored directory answers, as of the backup's position, what the original answered."""

from __future__ import annotations

import json
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


def details(platform: SmallPlatform) -> dict[str, str]:
    with platform.client() as admin:
        return {u.name: u.email for u in admin.users.list() if u.name in ("dan", "eve")}


def test_whoever_was_erased_after_the_backup_stays_erased(original: SmallPlatform, tmp_path: Path) -> None:
    with original.client() as admin:
        for name in ("dan", "eve"):
            admin.users.create(name, ["viewer"], email=f"{name}@example.org")
        backups, listed = tmp_path / "backups", tmp_path / "erased.json"
        commands.create_backup(original.folder, "", backups, None, False, quiet)
        admin.users.erase("dan", "ticket 4711")
        listed.write_text(json.dumps([e.to_dict() for e in admin.users.erasures()]))
    assert details(original) == {"dan": "[erased]", "eve": "eve@example.org"}
    # Without the list an old backup knows no better.
    for name, erased, dan in (("forgetful", None, "dan@example.org"), ("restored", listed, "[erased]")):
        root = tmp_path / name
        commands.restore_backup(backups, root, "", None, False, "", quiet, erased)
        restored = SmallPlatform(root, master_key=f"file://{original.folder / 'data/keys/master.key'}")
        restored.start()
        try:
            assert details(restored) == {"dan": dan, "eve": "eve@example.org"}
            with restored.client() as admin:
                told = admin.audit.events(type="gateway.UserErased", limit=10)
                assert [e.payload["reason"] for e in told] == ([] if erased is None else ["ticket 4711"])
                assert admin.audit.verify().intact
        finally:
            restored.stop()


@pytest.mark.parametrize("content", ["", "{}", '[{"subject": "user/dan"}]', "dan"])
def test_a_list_of_erased_that_is_none_is_refused_and_nothing_is_restored(
    original: SmallPlatform, tmp_path: Path, content: str
) -> None:
    commands.create_backup(original.folder, "", tmp_path / "backups", None, False, quiet)
    (tmp_path / "erased.json").write_text(content)
    with pytest.raises(modelog.ModelogError, match="is no list of erasures"):
        commands.restore_backup(
            tmp_path / "backups", tmp_path / "restored", "", None, False, "", quiet, tmp_path / "erased.json"
        )
    assert not (tmp_path / "restored").exists()
