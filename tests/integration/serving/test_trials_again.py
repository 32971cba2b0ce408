"""Trials that somebody asks for, and trials of ensembles, chains and damaged files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import pytest
from modelog_common.domain.errors import Forbidden, NotAllowed, NotFound
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_proto.serving.v1 import trial_pb2 as pb
from modelog_proto.serving.v1.trial_pb2_grpc import TrialsStub
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.composite import Manifest, Member
from modelog_serving.trial.events import REFUSED, WORKS, Found, TrialAsked, TrialLimits, VersionTried
from modelog_serving.trying.process import TrialProcess
from modelog_serving.trying.task import Task
from serving_rig import COLUMNS, Caller, Rig, model_file, registry_of, serving_of, until
from test_versions_tried import FUNCTION, TRIED_S, comes_to, events, trial, vouch

SIGNED = Signature((TensorSpec("features", "FP32", (-1, 4), COLUMNS),), (TensorSpec("late", "FP32", (-1,)),))
ONE = Signature((TensorSpec("late", "FP32", (-1, 1), ("late",)),), (TensorSpec("soon", "FP64", (-1,)),))
ENDED = Signature(SIGNED.inputs, ONE.outputs)


async def again(caller: Caller, version: str, reason: str = "the machine was busy") -> pb.VersionTrial:
    request = pb.TryAgainRequest(model="flight-delay", version=version, reason=reason)
    found: pb.VersionTrial = await TrialsStub(caller.control).TryAgain(request)
    return found


def dies_while(there: Path) -> bytes:
    """A function that kills its process for as long as there is such a file, as a machine without memory would."""

    def answer(table: Any) -> Any:
        if there.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return table.to_numpy()[:, 0] / 3

    return cloudpickle.dumps(answer)


async def test_a_refusal_that_the_machine_caused_is_lifted_by_another_trial(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        alice = rig.caller("alice")
        busy = tmp_path / "busy"
        busy.touch()
        version = await alice.version(dies_while(busy), flavor="python_function", signed=FUNCTION)
        await vouch(rig, version)
        refused = await comes_to(alice, version, pb.TRIAL_STATE_REFUSED)
        assert refused.cause == "died"
        busy.unlink()
        with pytest.raises(NotAllowed, match="when it was tried, .* it was refused: its process"):
            await alice.deploy(version)
        asked = await again(alice, version)
        # What is known holds until the other trial has come.
        assert (asked.state, asked.asked_by, asked.asked_why) == (refused.state, "alice", "the machine was busy")
        works = await comes_to(alice, version, pb.TRIAL_STATE_WORKS)
        assert (works.asked_by, works.HasField("asked_at")) == ("", False)
        await alice.deploy(version)
        told = [e for e in await events(rig) if e.version == version]
        kinds = [type(e) for e in told if not (isinstance(e, VersionTried) and e.found.state == "not tried")]
        assert kinds == [VersionTried, TrialAsked, VersionTried]


async def test_who_may_ask_for_a_trial_and_for_which_version(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        alice = rig.caller("alice")
        before = await comes_to(alice, "1.0.0", pb.TRIAL_STATE_WORKS)
        with pytest.raises(NotFound, match="9.9.9"):
            await again(alice, "9.9.9")
        with pytest.raises(Forbidden):
            await again(rig.caller("vera", "viewer"), "1.0.0")

        # Asked twice, it is tried once more, though nothing else comes of it.
        for _ in range(2):
            await again(alice, "1.0.0")

        async def tried() -> bool:
            found = await trial(alice, "1.0.0")
            return found.position > before.position and not found.HasField("asked_at")

        await until(tried, "1.0.0 was tried again", TRIED_S)
        told = [e for e in await events(rig) if e.version == "1.0.0"]
        assert [type(e) for e in told].count(VersionTried) == [type(e) for e in told].count(TrialAsked) + 1


async def test_where_nothing_is_tried_nobody_can_ask_for_it(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        with pytest.raises(NotAllowed, match="there are no topics that tell of them"):
            await again(rig.caller("alice"), "1.0.0")


async def test_a_damaged_file_is_refused_and_works_when_it_was_mended(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        content = model_file(0)
        digest = hashlib.sha256(content).hexdigest()
        (blob,) = [file for file in (tmp_path / "blobs").rglob("*") if file.is_file() and file.read_bytes() == content]
        blob.chmod(0o600)
        blob.write_bytes(content[:-1] + b"?")
        async with serving_of(rig):
            alice = rig.caller("alice")
            found = await comes_to(alice, "1.0.0")
            assert found.cause == "file", found
            assert digest in found.reason
            # The other version is tried all the same.
            await comes_to(alice, "1.1.0", pb.TRIAL_STATE_WORKS)
            blob.write_bytes(content)
            await again(alice, "1.0.0")
            await comes_to(alice, "1.0.0", pb.TRIAL_STATE_WORKS)


def member(name: str, content: bytes, flavor: str = "xgboost", signature: Signature = SIGNED) -> Member:
    return Member(name, "1.0.0", hashlib.sha256(content).hexdigest(), flavor, signature)


async def came_of(folder: Path, flavor: str, signature: Signature, members: Sequence[Member], *files: bytes) -> Found:
    """The trial, in a process of its own, of an ensemble or a chain whose members have these files."""
    kept = FolderBlobStore(folder)
    manifest = msgspec.json.encode(Manifest(tuple(members)))

    async def pieces(content: bytes) -> Any:
        yield content

    for content in (manifest, *files):
        await kept.put(pieces(content), hashlib.sha256(content).hexdigest())
    digest = hashlib.sha256(manifest).hexdigest()
    task = Task(str(folder), digest, flavor, signature, True, 1, TrialLimits(120.0, 60.0, 0))
    process = TrialProcess(task, None)
    try:
        return await asyncio.to_thread(process.found, lambda _what: None)
    finally:
        process.end()


async def test_an_ensemble_is_tried_with_its_members(tmp_path: Path) -> None:
    files = [model_file(0), model_file(1)]
    members = [member(f"part-{n}", content) for n, content in enumerate(files)]
    found = await came_of(tmp_path, "ensemble", SIGNED, members, *files)
    assert (found.state, found.engine, found.rows) == (WORKS, "ensemble", 64)
    assert found.row_us > 0
    assert found.memory_bytes > 0


def half(table: Any) -> Any:
    return table.to_numpy()[:, 0].astype("float64") / 2


def wide(table: Any) -> Any:
    return table.to_numpy()[:, [0, 0]].astype("float64")


async def test_a_chain_is_tried_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    first, last, worse = model_file(0), cloudpickle.dumps(half), cloudpickle.dumps(wide)
    steps = [member("trees", first), member("half", last, "python_function", ONE)]
    found = await came_of(tmp_path / "good", "chain", ENDED, steps, first, last)
    assert (found.state, found.engine) == (WORKS, "chain"), found
    steps = [steps[0], member("wide", worse, "python_function", ONE)]
    found = await came_of(tmp_path / "bad", "chain", ENDED, steps, first, worse)
    assert (found.state, found.cause) == (REFUSED, "")
    assert found.reason == "its member wide 1.0.0: the model file answers a row with 2 numbers, its signature says 1"


async def test_an_ensemble_whose_member_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    files = [model_file(0), model_file(1)]
    members = [member(f"part-{n}", content) for n, content in enumerate(files)]
    found = await came_of(tmp_path, "ensemble", SIGNED, members, files[0])
    assert found.state == REFUSED
    assert members[1].digest in found.reason
