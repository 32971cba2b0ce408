"""A version that fails is asked no more, or again, or something else answers; and all of it is told."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import cloudpickle
import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed, NotFound, Unavailable
from modelog_common.rpc.errors import PeerFailed
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.events import EVENTS
from modelog_serving.failure.decide import FAILURES
from modelog_serving.failure.events import BreakerClosed, BreakerOpened
from modelog_serving.routing import breaker
from serving_rig import COLUMNS, Caller, Rig, registry_of, serving_of, signature, until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SIGNED = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)
# An hour is longer than any test: what is counted does not slide out, and what is open stays so.
BREAKER = pb.Breaker(failure_share=0.5, window_s=3600, min_requests=4, open_s=3600, probes=2)
SOON_TRIED = pb.Breaker(failure_share=0.5, window_s=3600, min_requests=4, open_s=1, probes=2)
DEFAULT = [pb.DefaultOutput(output="late", values=[-1.5])]


def sound(table: Any) -> Any:
    return table.to_numpy()[:, 0] * 2


@dataclass
class Ill:
    """The deployment "flights": `ill` answers while there is no file `raises` or `dies`, and `sound` twice as much."""

    rig: Rig
    alice: Caller
    folder: Path
    ill: str
    sound: str

    async def set(self, **fields: Any) -> pb.Deployment:
        request = pb.SetResilienceRequest(name="flights", resilience=pb.Resilience(**fields), reason="test")
        made: pb.Deployment = await self.alice.deployments.SetResilience(request)
        return made

    async def ask(self, number: float = 0.5, rows: int = 1, **parameters: str) -> tuple[list[float], dict[str, str]]:
        """The outputs, and the parameters and the header of the answer."""
        values = np.full((rows, len(COLUMNS)), number)
        tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=values.shape)
        asked = oip.ModelInferRequest(model_name="flights", inputs=[tensor], raw_input_contents=[values.tobytes()])
        for name, text in parameters.items():
            asked.parameters[name].string_param = text
        call = self.alice.inference.ModelInfer(asked)
        answer = await call
        told = {name: value.string_param for name, value in answer.parameters.items()}
        headers = {name: value for name, value in await call.initial_metadata() if name == "x-modelog-fallback"}
        return np.frombuffer(answer.raw_output_contents[0], "<f8").tolist(), told | headers

    async def prediction(self, prediction_id: str) -> pb.Prediction:
        request = pb.GetPredictionRequest(deployment="flights", prediction_id=prediction_id)
        found: pb.Prediction = await self.alice.deployments.GetPrediction(request)
        return found

    async def told(self, *kinds: type[Any]) -> list[Any]:
        """The events of these kinds."""
        store = await open_event_store(self.rig.settings(), self.rig.clock)
        try:
            stored = [e async for e in store.read_all(categories=[FAILURES.category], until=await store.head())]
        finally:
            await store.close()
        events = [EVENTS.decode(e.type, e.schema, e.payload) for e in stored]
        return [event for event in events if isinstance(event, kinds)]


async def made_ill(rig: Rig, folder: Path) -> Ill:
    raises, dies = folder / "raises", folder / "dies"

    def ill(table: Any) -> Any:
        import os
        import signal

        if dies.exists():
            dies.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if raises.exists():
            raise KeyError("weights")
        return table.to_numpy()[:, 0]

    alice, bob = rig.caller("alice"), rig.caller("bob")
    made = []
    for function in (ill, sound):
        version = await alice.version(cloudpickle.dumps(function), flavor="python_function", signed=SIGNED)
        await bob.approve(version)
        await alice.promote(version, "staging")
        made.append(version)
    await alice.deploy(made[0])
    return Ill(rig, alice, folder, *made)


@pytest.fixture
async def ill(tmp_path: Path) -> AsyncIterator[Ill]:
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        yield await made_ill(rig, tmp_path)


async def test_a_breaker_opens_and_no_request_is_lost(ill: Ill) -> None:
    made = await ill.set(breaker=BREAKER, fallback=pb.Fallback(version=ill.sound))
    assert (made.resilience.breaker, made.resilience.fallback.version) == (BREAKER, ill.sound)
    assert [(b.version, b.state) for b in made.resilience.breakers] in ([], [(ill.ill, pb.BREAKER_STATE_CLOSED)])
    outputs, told = await ill.ask()
    assert (outputs, told["version"], "fallback" in told) == ([0.5], ill.ill, False)
    (ill.folder / "raises").touch()
    answers = await asyncio.gather(*(ill.ask(number / 10) for number in range(40)))
    assert [outputs for outputs, _ in answers] == [[number / 10 * 2] for number in range(40)]
    assert {told["version"] for _, told in answers} == {ill.sound}
    assert {told["instead_of"] for _, told in answers} == {ill.ill}
    assert all(told["fallback"] == told["x-modelog-fallback"] for _, told in answers)
    why = Counter(told["fallback"] for _, told in answers)
    assert why["failed"] >= 4
    assert (await ill.ask())[1]["fallback"] == "breaker_open"
    seen = (await ill.alice.deployment()).resilience
    assert [(b.version, b.state) for b in seen.breakers] == [(ill.ill, pb.BREAKER_STATE_OPEN)]
    assert seen.fallbacks == 41
    # In the log stands what answered.
    logged = await ill.prediction(answers[3][1]["prediction_id"])
    assert (logged.version, logged.model_digest, logged.outputs) == (ill.sound, answers[3][1]["model_digest"], [0.6])
    await until(lambda: told_of(ill, BreakerOpened), "the log says that it opened")
    (opened,) = await ill.told(BreakerOpened)
    assert (opened.name, opened.version, opened.window_s) == ("flights", ill.ill, 3600)
    assert "the model failed: KeyError: 'weights'" in opened.why
    assert opened.failures >= opened.requests / 2


async def test_probes_close_a_breaker_when_its_time_is_over(ill: Ill) -> None:
    await ill.set(breaker=SOON_TRIED, fallback=pb.Fallback(version=ill.sound))
    (ill.folder / "raises").touch()
    await asyncio.gather(*(ill.ask() for _ in range(8)))
    await until(lambda: told_of(ill, BreakerOpened), "it opened")
    # A second later it is tried, and fails.
    await until(lambda: fell_back(ill, "failed"), "a probe failed")
    (ill.folder / "raises").unlink()
    await until(lambda: told_of(ill, BreakerClosed), "the breaker is closed, and the log says so")
    (event,) = await ill.told(BreakerClosed)
    assert "it answers again" in event.why
    outputs, told = await ill.ask(0.25)
    assert (outputs, told["version"]) == ([0.25], ill.ill)


async def fell_back(ill: Ill, why: str) -> bool:
    return (await ill.ask())[1].get("fallback") == why


async def told_of(ill: Ill, kind: type[Any]) -> bool:
    """Whether the log has an event of this kind; asks the version, too."""
    await ill.ask()
    return len(await ill.told(kind)) == 1


async def test_an_open_breaker_without_a_fallback_refuses_at_once_and_bad_input_never_opens_it(ill: Ill) -> None:
    await ill.set(breaker=pb.Breaker(min_requests=4, window_s=3600, open_s=3600))
    for _ in range(8):
        with pytest.raises(Invalid, match="infinite"):
            await ill.ask(float("inf"))
    assert (await ill.ask())[0] == [0.5]
    (ill.folder / "raises").touch()
    # With the one that was answered these are four.
    for _ in range(3):
        with pytest.raises(PeerFailed, match="KeyError: 'weights'"):
            await ill.ask()
    with pytest.raises(Unavailable, match=f"{ill.ill} is not asked: its circuit breaker is open .*it is tried in"):
        await ill.ask()
    # Set anew it begins closed, and the log says what became of the old one.
    (ill.folder / "raises").unlink()
    await ill.set(breaker=BREAKER)
    assert (await ill.ask())[0] == [0.5]
    await until(lambda: told_of(ill, BreakerClosed), "the old breaker is closed in the log")
    (event,) = await ill.told(BreakerClosed)
    assert "was set anew" in event.why


async def test_a_crash_is_tried_again_within_the_budget_and_nobody_notices(
    ill: Ill, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two crashes, each with a new process for the model, may take longer than ten seconds.
    monkeypatch.setattr(breaker, "RETRY_WINDOW_S", 3600)
    await ill.set(retries=pb.Retries(attempts=2, least=1, budget=0.0), timeout_ms=60_000)
    (ill.folder / "dies").touch()
    outputs, told = await ill.ask()
    assert (outputs, told["version"]) == ([0.5], ill.ill)
    assert "fallback" not in told
    assert (await ill.alice.deployment()).resilience.retried == 1
    # One was all that the window gives.
    (ill.folder / "dies").touch()
    with pytest.raises(PeerFailed, match="died of SIGKILL"):
        await ill.ask()
    assert (await ill.alice.deployment()).resilience.retried == 1


async def test_a_default_answer_says_that_it_is_one_on_every_way_and_in_the_log(ill: Ill) -> None:
    made = await ill.set(fallback=pb.Fallback(outputs=DEFAULT))
    digest = made.resilience.fallback.default_digest
    assert len(digest) == 64
    (ill.folder / "raises").touch()
    outputs, told = await ill.ask(0.5, 3)
    assert outputs == [-1.5] * 3
    assert (told["version"], told["model_digest"], told["fallback"]) == ("default", digest, "failed")
    for prediction_id in told["prediction_ids"].split(","):
        logged = await ill.prediction(prediction_id)
        assert (logged.version, logged.model_digest, logged.outputs) == ("default", digest, [-1.5])
    record = dict.fromkeys(COLUMNS, 0.5)
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, len(COLUMNS)], "data": [0.5] * len(COLUMNS)}
    token = {"authorization": f"Bearer {ill.alice.token}"}
    async with aiohttp.ClientSession(ill.rig.http, headers=token) as http:
        for path, body in (
            ("/v2/models/flights/infer", {"inputs": [tensor]}),
            ("/v1/models/flights/predict", {"instances": [record]}),
            ("/v1/models/flights/invocations", {"dataframe_records": [record]}),
        ):
            async with http.post(path, json=body) as response:
                assert response.status == 200, await response.text()
                assert response.headers["x-modelog-fallback"] == "failed"
                answer = await response.json()
                assert answer["model_version"] == "default"
                assert (answer.get("parameters") or answer)["instead_of"] == ill.ill
    # It cannot be explained, so the error of the model is the answer.
    with pytest.raises(PeerFailed, match="KeyError"):
        await ill.ask(explain="shap")
    # What no model gave is not asked of one again.
    replayed = await ill.alice.deployments.ReplayPredictions(pb.ReplayPredictionsRequest(deployment="flights"))
    assert set(replayed.versions) == {"default"}
    assert replayed.replayed == replayed.logged
    # The same prediction id is answered from the log, whatever would answer now.
    first = await ill.ask(prediction_id="p1")
    (ill.folder / "raises").unlink()
    again = await ill.ask(prediction_id="p1")
    assert (again[0], again[1]["version"]) == (first[0], "default")
    assert (await ill.ask())[1]["version"] == ill.ill


async def test_settings_outlive_a_restart_and_a_version_that_cannot_be_loaded_is_stood_in_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with registry_of(rig):
        async with serving_of(rig):
            ill = await made_ill(rig, tmp_path)
            before = await ill.set(breaker=BREAKER, fallback=pb.Fallback(version=ill.sound, outputs=DEFAULT))
            past = await ill.alice.deployment(as_of=str(before.position - 1))
            assert not past.HasField("resilience")
            then = await ill.alice.deployment(as_of=str(before.position))
            assert then.resilience.fallback == before.resilience.fallback
            assert not then.resilience.breakers
        digest = before.variants[0].model_digest
        files = [file for file in tmp_path.rglob(f"*{digest[2:]}*") if file.is_file()]
        assert files
        for file in files:
            file.unlink()
        async with serving_of(rig):
            ill.alice = rig.caller("alice")
            assert (await ill.alice.deployment()).resilience.fallback == before.resilience.fallback
            outputs, told = await ill.ask()
            assert (outputs, told["version"], told["fallback"]) == ([1.0], ill.sound, "not_loaded")


async def test_what_cannot_answer_instead_is_refused_and_only_who_may_sets_it(ill: Ill) -> None:
    other = await ill.alice.version(b"no pickle", flavor="python_function", signed=SIGNED)
    wider = await ill.alice.version(
        cloudpickle.dumps(sound), flavor="python_function", signed=signature((*COLUMNS, "more"))
    )
    field = "resilience.fallback.version: "
    for version, error, refused in (
        ("9.9.9", NotFound, "9.9.9"),
        (other, NotAllowed, "cannot be loaded, so nothing was changed"),
        (wider, NotAllowed, ""),
    ):
        with pytest.raises(error, match=f"{field}.*{refused}"):
            await ill.set(fallback=pb.Fallback(version=version))
    with pytest.raises(Invalid, match=r"resilience.fallback.outputs\[0\].output: 'soon' is no output"):
        await ill.set(fallback=pb.Fallback(outputs=[pb.DefaultOutput(output="soon", values=[1])]))
    with pytest.raises(Invalid, match="resilience: names nothing"):
        await ill.set()
    assert not (await ill.alice.deployment()).HasField("resilience")
    ill.alice = ill.rig.caller("vera", "viewer")
    with pytest.raises(Forbidden):
        await ill.set(breaker=BREAKER)
