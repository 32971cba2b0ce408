"""Versions are tried soon after they are registered, whatever their files do, and the log tells what became of each."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import cloudpickle
import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.registry.v1 import artifact_pb2, model_pb2
from modelog_proto.serving.v1 import trial_pb2 as pb
from modelog_proto.serving.v1.trial_pb2_grpc import TrialsStub
from modelog_serving.engine.models import Models
from modelog_serving.events import EVENTS
from modelog_serving.runtimes.xgboost_library import Booster
from modelog_serving.trial.decide import TRIALS
from modelog_serving.trial.events import VersionTried
from modelog_serving.trying.trier import Trier
from serving_rig import COLUMNS, Caller, Process, Rig, model_file, registry_of, serving_of, signature, until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

# They are what a busy machine does last.
TRIED_S = 900.0
DIED, HUNG, RAISED, FRACTION, EATS = 1, 2, 3, 4, 5
FUNCTION = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)


@pytest.fixture
async def tried(tmp_path: Path, fresh_broker: Any) -> AsyncIterator[Rig]:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        yield rig


async def trial(caller: Caller, version: str, *, model: str = "flight-delay", **read: Any) -> pb.VersionTrial:
    request = pb.GetTrialRequest(model=model, version=version, read=common_pb2.ReadOptions(**read))
    found: pb.VersionTrial = await TrialsStub(caller.control).GetTrial(request)
    return found


async def comes_to(caller: Caller, version: str, *states: pb.TrialState.ValueType) -> pb.VersionTrial:
    """The trial, once it is in one of these states; without any, once it is over."""
    last = pb.VersionTrial()

    async def over() -> bool:
        nonlocal last
        last = await trial(caller, version)
        return last.state in states if states else last.state != pb.TRIAL_STATE_WAITING

    await until(over, f"{version} was tried", TRIED_S)
    return last


async def events(rig: Rig) -> list[VersionTried]:
    store = await open_event_store(rig.settings(), rig.clock)
    try:
        stored = [e async for e in store.read_all(categories=[TRIALS.category], until=await store.head())]
    finally:
        await store.close()
    return [EVENTS.decode(e.type, e.schema, e.payload) for e in stored]


async def test_a_version_is_tried_once_and_answered_as_of_any_moment(tried: Rig) -> None:
    alice = tried.caller("alice")
    found = await comes_to(alice, "1.0.0", pb.TRIAL_STATE_WORKS)
    assert (found.engine, found.rows, found.unequal, found.tolerance) == ("compiled trees", 1024, False, 1e-6)
    assert 0 <= found.largest_difference <= 1e-6
    assert found.row_us > 0
    assert found.row_of_32_us > 0
    assert found.memory_bytes > 0
    assert found.missing == "answered"
    assert {"xgboost-cpu", "numba", "python"} <= set(found.packages)
    before = await trial(alice, "1.0.0", as_of=str(found.position - 1))
    assert before.state == pb.TRIAL_STATE_WAITING
    again = await trial(alice, "1.0.0", as_of=str(found.position))
    found.ClearField("trying")
    assert again == found
    # Another version with the same file and signature has been tried already.
    other = await alice.version(model_file(0))
    same = await comes_to(alice, other, pb.TRIAL_STATE_WORKS)
    assert (same.version, same.tried_version, same.position) == (other, "1.0.0", found.position)
    await comes_to(alice, "1.1.0", pb.TRIAL_STATE_WORKS)
    assert sorted(e.version for e in await events(tried)) == ["1.0.0", "1.1.0"]
    with pytest.raises(NotFound, match="9.9.9"):
        await trial(alice, "9.9.9")


def function(how: int) -> bytes:
    """A function that answers zeros, and with other rows does what it should not."""

    def answer(table: Any) -> Any:
        rows = table.to_numpy()
        if rows.any() and how == DIED:
            os.kill(os.getpid(), signal.SIGKILL)
        if rows.any() and how == HUNG:
            Event().wait()
        if rows.any() and how == RAISED:
            raise KeyError("no such airport")
        if rows.any() and how == EATS:
            bytearray(8 << 30)
        if how == FRACTION:
            return rows[:, 0] / 3 if rows.any() else np.zeros(len(rows), np.int32)
        return rows[:, 0] / 3

    return cloudpickle.dumps(answer)


def signed(datatype: str) -> model_pb2.Signature:
    made = model_pb2.Signature()
    made.CopyFrom(FUNCTION)
    made.outputs[0].datatype = datatype
    return made


async def vouch(rig: Rig, version: str) -> None:
    await rig.caller("bob").approve(version)
    await rig.caller("alice").promote(version, "staging")


async def test_a_pickle_waits_for_its_approval_and_is_tried_then(tried: Rig) -> None:
    alice = tried.caller("alice")
    version = await alice.version(function(0), flavor="python_function", signed=FUNCTION)
    found = await comes_to(alice, version)
    assert found.state == pb.TRIAL_STATE_NOT_TRIED
    assert found.reason.startswith("needs approval: the model file is a pickle")
    assert not found.approved
    await vouch(tried, version)
    found = await comes_to(alice, version, pb.TRIAL_STATE_WORKS)
    assert found.approved
    assert (found.engine, found.rows, found.sample) == ("python_function", 64, "values drawn from its signature")
    assert not found.HasField("largest_difference")
    assert found.missing == "answered"


async def test_what_harms_its_process_is_refused_and_harms_nobody(
    tmp_path: Path, fresh_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_WORKER_MEMORY_MB", "3000")
    reasons = {
        DIED: "its process died of SIGKILL when it answers 64 rows",
        EATS: "it needs more than the 3000 MiB that it may use",
        FRACTION: "which is no INT32",
    }
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        # What does not hang may take its time: trials are what a busy machine does last.
        monkeypatch.setenv("MODELOG_SERVING_WORKER_PREDICT_S", "600")
        async with serving_of(rig):
            alice = rig.caller("alice")
            for version in ("1.0.0", "1.1.0"):
                await comes_to(alice, version, pb.TRIAL_STATE_WORKS)
            await alice.deploy()
            for how, reason in reasons.items():
                await is_refused(rig, how, reason)
            assert (await alice.deployment()).error == ""
        monkeypatch.setenv("MODELOG_SERVING_WORKER_PREDICT_S", "3")
        async with serving_of(rig):
            await is_refused(rig, HUNG, "it took more than 3 s when it answers 64 rows, and was ended")
            assert (await rig.caller("alice").deployment()).error == ""


async def is_refused(rig: Rig, how: int, reason: str) -> None:
    """A function that does what it should not is tried, found out, and not served."""
    alice = rig.caller("alice")
    kind = signed("INT32") if how == FRACTION else FUNCTION
    version = await alice.version(function(how), flavor="python_function", signed=kind)
    await vouch(rig, version)
    found = await comes_to(alice, version, pb.TRIAL_STATE_REFUSED)
    assert reason in found.reason
    assert found.cause == {DIED: "died", HUNG: "hung", EATS: "outgrew"}.get(how, "")
    with pytest.raises(NotAllowed, match="is not served, so nothing was changed: when it was tried, .* refused"):
        await alice.deploy(version, f"ill-{how}")


async def test_what_a_drawn_row_makes_a_model_raise_says_nothing_of_it(tried: Rig) -> None:
    alice = tried.caller("alice")
    version = await alice.version(function(RAISED), flavor="python_function", signed=FUNCTION)
    await vouch(tried, version)
    await comes_to(alice, version, pb.TRIAL_STATE_NOT_TRIED)

    async def raised() -> bool:
        return "no such airport" in (await trial(alice, version)).reason

    await until(raised, "the error was told", TRIED_S)
    assert "register the version with an input example" in (await trial(alice, version)).reason
    await alice.deploy(version, "told")


async def test_a_signature_that_the_file_does_not_fit_is_refused(tried: Rig) -> None:
    alice = tried.caller("alice")
    two = signature()
    two.outputs.add(name="early", datatype="FP32", shape=[-1])
    version = await alice.version(model_file(2), signed=two)
    found = await comes_to(alice, version)
    assert found.state == pb.TRIAL_STATE_REFUSED
    assert "answers a row with 1 numbers, its signature says 2" in found.reason
    with pytest.raises(NotAllowed, match="cannot be loaded.*; when it was tried, .* it was refused: the model file"):
        await alice.deploy(version, "wide")


async def test_rows_that_came_with_a_version_are_asked(tried: Rig) -> None:
    alice = tried.caller("alice")
    rows = {"columns": list(COLUMNS), "data": np.ones((3, len(COLUMNS))).tolist()}
    example = json.dumps(rows).encode()
    sent = await alice.artifacts.UploadArtifact([artifact_pb2.UploadArtifactRequest(chunk=example)])
    content = model_file(3)
    await alice.artifacts.UploadArtifact([artifact_pb2.UploadArtifactRequest(chunk=content)])
    own = model_pb2.Artifact(path="m/input_example.json", digest=sent.digest, size_bytes=len(example))
    itself = model_pb2.Artifact(path="model.ubj", digest=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    version = await alice.version(content, artifacts=[itself, own])
    found = await comes_to(alice, version, pb.TRIAL_STATE_WORKS)
    assert (found.sample, found.missing) == ("its input_example.json", "answered")


async def test_an_engine_that_was_found_to_differ_is_not_chosen_again(
    tmp_path: Path, fresh_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = (sys.executable, str(Path(__file__).parent / "planted_trial.py"))
    monkeypatch.setattr("modelog_serving.app.Trier", partial(Trier, command=planted))
    loaded = list[Any]()
    load = Models._single

    async def seen(models: Models, ref: Any) -> Any:
        loaded.append(await load(models, ref))
        return loaded[-1]

    monkeypatch.setattr(Models, "_single", seen)
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        alice = rig.caller("alice")
        found = await comes_to(alice, "1.0.0")
        assert (found.state, found.engine, found.unequal) == (pb.TRIAL_STATE_KEPT_ORIGINAL, "xgboost", True)
        assert found.largest_difference > found.tolerance
        assert "differ from the library by up to" in found.why
        await alice.deploy()
        # Here both answer alike, and would be proven to: what the trial found out is what decides.
        assert [type(model) for model in loaded] == [Booster]


async def test_a_trial_that_was_killed_is_made_again_and_told_of_once(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        rig.environment["MODELOG_SERVING_WORKER_PREDICT_S"] = "600"
        process = Process(rig)
        await process.start()
        try:
            alice = rig.caller("alice")
            for version in ("1.0.0", "1.1.0"):
                await comes_to(alice, version, pb.TRIAL_STATE_WORKS)
            version = await alice.version(function(HUNG), flavor="python_function", signed=FUNCTION)
            await vouch(rig, version)

            async def hangs() -> bool:
                return (await trial(alice, version)).doing == "it answers 64 rows"

            await until(hangs, "the version is being tried", TRIED_S)
            process.kill()
            rig.environment["MODELOG_SERVING_WORKER_PREDICT_S"] = "2"
            await process.start()
            found = await comes_to(alice, version, pb.TRIAL_STATE_REFUSED)
            assert found.cause == "hung"
        finally:
            process.terminate()
        told = [(e.version, e.found.state) for e in await events(rig)]
        assert told.count((version, "refused")) == 1
        assert [told.count((v, "works")) for v in ("1.0.0", "1.1.0")] == [1, 1]


async def test_where_nothing_is_tried_the_question_says_so(
    tmp_path: Path, fresh_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVING_TRIALS", "false")
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        found = await trial(rig.caller("alice"), "1.0.0")
        assert (found.state, found.trying) == (pb.TRIAL_STATE_WAITING, False)
        assert "MODELOG_SERVING_TRIALS is false" in found.doing
