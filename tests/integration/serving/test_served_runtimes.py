"""Models of other frameworks than XGBoost, from their registration to the log of what they answered."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
from aiohttp import ClientSession
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, PATIENCE_S, Caller, Rig, model_file, registry_of, serving_of
from sklearn.linear_model import LinearRegression

# Numbers that float32 does not hold.
ROWS = np.random.default_rng(4).normal(size=(6, len(COLUMNS)))
DOUBLES = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)


@cache
def booster() -> lightgbm.Booster:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(300, len(COLUMNS)))
    data = lightgbm.Dataset(features, (features[:, 3] > 0).astype(int), feature_name=list(COLUMNS))
    return lightgbm.train({"objective": "binary", "num_threads": 1, "verbosity": -1, "num_leaves": 6}, data, 5)


def request(rows: np.ndarray[Any, Any], name: str = "trees", prediction_id: str = "") -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP64", "shape": rows.shape}],
        raw_input_contents=[rows.astype("<f8").tobytes()],
    )
    if prediction_id:
        message.parameters["prediction_id"].string_param = prediction_id
    return message


async def test_a_lightgbm_model_answers_in_its_own_precision_also_from_the_log(rig: Rig, alice: Caller) -> None:
    version = await alice.version(booster().model_to_string().encode(), flavor="lightgbm", signed=DOUBLES)
    await alice.deploy(version, "trees")
    expected = booster().predict(ROWS)
    for _ in range(2):
        answer = await alice.inference.ModelInfer(request(ROWS, prediction_id="p"))
        found = np.frombuffer(answer.raw_output_contents[0], "<f8")
        np.testing.assert_array_equal(found, expected)
    logged = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="trees", prediction_id="p.1"))
    assert list(logged.outputs) == [expected[1]]
    assert dict(logged.features) == dict(zip(COLUMNS, ROWS[1].tolist(), strict=True))
    headers = {"authorization": f"Bearer {alice.token}"}
    body = {"instances": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS.tolist()]}
    async with ClientSession(headers=headers) as session:
        async with session.post(f"{rig.http}/v1/models/trees/predict", json=body) as response:
            assert (await response.json())["predictions"] == expected.tolist()
        async with session.get(f"{rig.http}/v2/models/trees") as response:
            assert (await response.json())["platform"] == "lightgbm"


async def test_an_id_that_comes_with_other_features_is_refused_however_close_they_are(alice: Caller) -> None:
    version = await alice.version(booster().model_to_string().encode(), flavor="lightgbm", signed=DOUBLES)
    await alice.deploy(version, "trees")
    await alice.inference.ModelInfer(request(ROWS[:1], prediction_id="p"))
    with pytest.raises(AlreadyExists, match="was already answered for other features"):
        await alice.inference.ModelInfer(request(np.nextafter(ROWS[:1], 9), prediction_id="p"))


async def test_a_whole_number_that_is_too_large_to_be_carried_is_refused(alice: Caller) -> None:
    whole = model_pb2.Signature(
        inputs=[model_pb2.TensorSpec(name="features", datatype="INT64", shape=[-1, 4], columns=COLUMNS)],
        outputs=DOUBLES.outputs,
    )
    version = await alice.version(booster().model_to_string().encode(), flavor="lightgbm", signed=whole)
    await alice.deploy(version, "trees")
    asked = oip.ModelInferRequest(
        model_name="trees",
        inputs=[{"name": "features", "datatype": "INT64", "shape": [1, 4]}],
        raw_input_contents=[np.array([1, 2, 3, 2**53 + 1], "<i8").tobytes()],
    )
    with pytest.raises(Invalid, match="holds 9007199254740993; whole numbers up to 9007199254740992"):
        await alice.inference.ModelInfer(asked)


async def test_a_version_whose_package_is_missing_is_named_with_what_to_install(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await alice.version(booster().model_to_string().encode(), flavor="lightgbm", signed=DOUBLES)
    # This is how Python is told that a package cannot be imported.
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(NotAllowed) as refused:
        await alice.deploy(version, "trees")
    assert f"flight-delay {version} cannot be loaded, so nothing was changed" in str(refused.value)
    assert "pip install 'modelog-serving[lightgbm]'" in str(refused.value)


class Writes:
    """Whoever reads its pickle makes a folder, and gets a model of scikit-learn."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return eval, (f"[__import__('os').mkdir({str(self._path)!r}), model][1]", {"model": linear()})


@cache
def linear() -> LinearRegression:
    return LinearRegression().fit(ROWS, ROWS[:, 0])


async def test_a_pickle_runs_nothing_in_a_version_that_nobody_approved(tmp_path: Path) -> None:
    """Neither when it is deployed, nor when it is asked by its version; after its approval it is served."""
    trace = tmp_path / "it-ran"
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice, bob = rig.caller("alice"), rig.caller("bob")
            safe = await alice.version(skops.io.dumps(linear()), flavor="sklearn", signed=DOUBLES)
            version = await alice.version(pickle.dumps(Writes(trace)), flavor="sklearn", signed=DOUBLES)
            await alice.deploy(safe, "lines")
            asked = request(ROWS, "lines")
            asked.model_version = version
            for attempt in (
                alice.deploy(version, "harmful"),
                alice.split("lines", **{f"v{version.replace('.', '_')}": 100}),
                alice.inference.ModelInfer(asked, timeout=PATIENCE_S),
            ):
                with pytest.raises(NotAllowed, match="reading a pickle runs the code in it"):
                    await attempt
            ready = oip.ModelReadyRequest(name="lines", version=version)
            assert not (await alice.inference.ModelReady(ready, timeout=PATIENCE_S)).ready
            await bob.approve(version)
            # Approved, but not where it would be used.
            with pytest.raises(NotAllowed, match="reading a pickle runs the code in it"):
                await alice.deploy(version, "harmful")
            assert not trace.exists()
            await alice.promote(version, "staging")
            answer = await alice.inference.ModelInfer(asked, timeout=PATIENCE_S)
            assert trace.exists()
            np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], "<f8"), linear().predict(ROWS))
            await alice.deploy(version, "approved")
        trace.rmdir()
        async with serving_of(rig):
            # What was approved when it was deployed is loaded again.
            answer = await rig.caller("alice").inference.ModelInfer(request(ROWS, "approved"), timeout=PATIENCE_S)
            assert trace.exists()
            np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], "<f8"), linear().predict(ROWS))


async def test_rows_that_a_model_cannot_take_are_the_caller_s_mistake(alice: Caller) -> None:
    version = await alice.version(skops.io.dumps(linear()), flavor="sklearn", signed=DOUBLES)
    await alice.deploy(version, "lines")
    rows = ROWS.copy()
    rows[0, 0] = np.nan
    with pytest.raises(Invalid, match="inputs: hold a missing value, which this model cannot take"):
        await alice.inference.ModelInfer(request(rows, "lines"))


USED = """
import json, sys
from modelog_serving.__main__ import main
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.deployment.signature import Signature, TensorSpec
signature = Signature((TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1,)),))
LazyRuntimes().of("xgboost").load(open(sys.argv[1], "rb").read(), signature, False)
print(json.dumps(sorted(sys.modules)))
"""
# numba asks how the linear algebra of scipy was built, and loads no more of it than that.
OTHERS = {"lightgbm", "onnxruntime", "pandas", "scipy.sparse", "scipy.stats", "sklearn", "skops", "xgboost"}


def test_a_process_that_serves_xgboost_loads_nothing_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "model.ubj"
    file.write_bytes(model_file())
    done = subprocess.run([sys.executable, "-c", USED, str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert loaded & OTHERS == set()
    assert {name for name in loaded if name.startswith("modelog_serving.runtimes.")} == {
        f"modelog_serving.runtimes.{name}"
        for name in (
            "beside",
            "find",
            "fitting",
            "links",
            "made_file",
            "shared_library",
            "tree_kernel",
            "ubjson",
            "xgboost_compiled",
            "xgboost_library",
            "xgboost_mapped",
            "xgboost_runtime",
            "xgboost_trees",
        )
    }
