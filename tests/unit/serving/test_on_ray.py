"""Models on Ray Serve, without a Ray: settings, and what answers and errors of replicas become."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.rayserve import replica
from modelog_serving.rayserve.cluster import refusal
from modelog_serving.rayserve.remote import OnRay
from modelog_serving.rayserve.replica import Replica
from modelog_serving.rayserve.replicas import runtimes_of
from modelog_serving.rayserve.spec import Spec, name_of
from modelog_serving.settings import load_serving_settings
from modelog_serving.worker import wire
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

ROWS = np.ones((2, 3), np.float32)
ANSWERS = np.zeros((2, 1), np.float32)
SIGNATURE = Signature((TensorSpec("features", "FP32", (-1, 3), ("a", "b", "c")),), (TensorSpec("late", "FP32", (-1,)),))


def spec(**changes: Any) -> Spec:
    whole = {
        "digest": "a" * 64,
        "flavor": "xgboost",
        "signature": SIGNATURE,
        "folder": "/nowhere",
        "threads": 1,
        "predict_s": 30.0,
        "load_s": 300.0,
        "memory_bytes": 0,
        "code": "1",
    }
    return Spec(**(whole | changes))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "MODELOG_SERVING_RAY_ADDRESS: is not set; .* it is host:port of Ray's head"),
        ({"RAY_ADDRESS": "127.0.0.1:1", "WORKERS": "3"}, "MODELOG_SERVING_WORKERS: is 3; .* allowed is 1"),
        ({"RAY_ADDRESS": "127.0.0.1:1", "ONLY": "acme/flights"}, "MODELOG_SERVING_ONLY: is 'acme/flights'; .* not set"),
        ({"RAY_ADDRESS": "127.0.0.1:1", "TORCH_DEVICE": "auto"}, "MODELOG_SERVING_TORCH_DEVICE: is 'auto'; .* is cpu"),
        ({"RAY_ADDRESS": "ray://head"}, 'MODELOG_SERVING_RAY_ADDRESS is "ray://head"'),
        ({"RAY_ADDRESS": "127.0.0.1:1", "RAY_CPUS": "-1"}, 'MODELOG_SERVING_RAY_CPUS is "-1"'),
    ],
)
def test_settings_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], said: str) -> None:
    monkeypatch.setenv("MODELOG_SERVING_REPLICAS", "ray")
    for name, value in wrong.items():
        monkeypatch.setenv(f"MODELOG_SERVING_{name}", value)
    with pytest.raises(Invalid, match=said):
        runtimes_of(load_serving_settings(), Path("models"))


def test_a_server_without_ray_serve_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVING_REPLICAS", "ray")
    found: Callable[[str], Any] = importlib.util.find_spec
    without = "modelog_serving.rayserve.remote.find_spec"
    monkeypatch.setattr(without, lambda name: None if name == "ray" else found(name))
    with pytest.raises(Invalid, match=r"is ray, which needs Ray Serve \(ray\), .*modelog-serving\[ray\]"):
        runtimes_of(load_serving_settings(), Path("models"))


def test_an_application_is_found_again_by_what_it_computes_and_by_nothing_else() -> None:
    assert name_of("modelog", spec()) == name_of("modelog", spec())
    assert name_of("modelog", spec()) != name_of("other", spec())
    others = (spec(digest="b" * 64), spec(flavor="onnx"), spec(threads=2), spec(predict_s=1.0), spec(code="2"))
    assert len({name_of("modelog", each) for each in (spec(), *others)}) == 6


class Handle:
    """One of Ray Serve whose call ends in one way."""

    def __init__(self, end: Any) -> None:
        self._end, self.answer, self.cancelled = end, self, False

    def remote(self, _rows: Any) -> Handle:
        return self

    def result(self, timeout_s: float) -> Any:
        assert timeout_s > 0
        if isinstance(self._end, Exception):
            raise self._end
        return self._end

    def cancel(self) -> None:
        self.cancelled = True


def model(end: Any) -> tuple[OnRay, list[str], Handle]:
    told: list[str] = []
    handle = Handle(end)
    made = OnRay("modelog-a", "a" * 64, handle, 5.0)
    made.tell(lambda cause, _text: told.append(cause))
    return made, told, handle


def test_an_answer_is_the_answer() -> None:
    on_ray, told, _ = model((wire.ANSWER, "", "", ANSWERS))
    np.testing.assert_array_equal(on_ray.predict(ROWS), ANSWERS)
    assert not told


@pytest.mark.parametrize(
    ("end", "error", "said", "told"),
    [
        ((wire.INVALID, "inputs: are wrong", "", None), Invalid, "inputs: are wrong", []),
        ((wire.FAILED, "ValueError: no", "raised", None), ModelFailed, "^the model failed: ValueError: no$", []),
        ((wire.NO_MEMORY, "", "", None), ModelFailed, "needs more memory than its replica", []),
        ((replica.DIED, "it hung", "hung", None), ModelDied, "it hung", ["hung"]),
        ((replica.UNAVAILABLE, "it is started again", "", None), Unavailable, "it is started again", []),
        (RayActorError(), ModelDied, "a replica of the model on Ray Serve died when it was asked for 2 rows", ["died"]),
        (TimeoutError(), ModelDied, "took more than 5 s when it was asked for 2 rows", ["hung"]),
        (RayServeException("gone\nno such thing"), Unavailable, "not answer for the model: no such thing", []),
    ],
)
def test_what_replicas_end_in_is_what_other_models_end_in(
    end: Any, error: type[Exception], said: str, told: list[str]
) -> None:
    on_ray, heard, _ = model(end)
    with pytest.raises(error, match=said):
        on_ray.predict(ROWS)
    assert heard == told


def test_without_a_replica_nothing_hung() -> None:
    on_ray, heard, handle = model(TimeoutError())
    on_ray.have(0)
    with pytest.raises(Unavailable, match="none of the model's replicas on Ray Serve is ready, after 5 s"):
        on_ray.predict(ROWS)
    assert (heard, handle.cancelled) == ([], True)


def test_as_many_batches_are_on_their_way_as_there_are_replicas() -> None:
    on_ray, _, _ = model(None)
    for ready, at_once in ((0, 1), (1, 1), (3, 3), (500, 32)):
        on_ray.have(ready)
        assert on_ray.batcher.at_once == at_once


def test_a_replica_that_cannot_have_its_model_says_so_in_words_that_are_found_again(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as error:
        Replica(msgspec.msgpack.encode(spec(folder=str(tmp_path))), False)
    said = refusal(f"ray::ServeReplica\n  Traceback:\n RuntimeError: {error.value}\n more")
    assert said.startswith(f"there is no file {'a' * 64} in {tmp_path} on this node of Ray")
    assert refusal("Traceback: something else") == ""
