"""ONNX models keep what every runtime promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from numpy.typing import NDArray
from onnx import TensorProto, helper
from runtime_suite import Case, RuntimeSuite

ROWS = np.random.default_rng(5).normal(size=(50, 3))
ROWS[:, 2] = np.arange(50) % 4
WEIGHTS = np.random.default_rng(6).normal(size=(3, 2))
NAMES = ("hour", "wind", "carrier")


def tensor(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def file_of(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] = []) -> bytes:  # noqa: B006
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def classifier(kind: int, dtype: Any, rows: Any = "rows") -> bytes:
    """One tensor in; labels, and probabilities of two classes, out."""
    return file_of(
        [
            helper.make_node("MatMul", ["X", "W"], ["raw"]),
            helper.make_node("Softmax", ["raw"], ["probabilities"]),
            helper.make_node("ArgMax", ["raw"], ["label"], axis=1, keepdims=0),
        ],
        [tensor("X", kind, rows, 3)],
        [tensor("label", TensorProto.INT64, rows), tensor("probabilities", kind, rows, 2)],
        [onnx.numpy_helper.from_array(WEIGHTS.astype(dtype), "W")],
    )


def by_itself(content: bytes, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, feeds)
    return np.concatenate([np.asarray(each, np.float64).reshape(len(each), -1) for each in found], axis=1)


class TestOnnxOfDoubles(RuntimeSuite):
    """Labels and probabilities, by columns of a table."""

    @pytest.fixture
    def case(self) -> Case:
        content = classifier(TensorProto.DOUBLE, np.float64)
        signature = Signature(
            (TensorSpec("input", "FP64", (-1, 3), NAMES),),
            (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2))),
        )
        return Case("onnx", content, signature, ROWS, lambda rows: by_itself(content, {"X": rows}), checks_names=False)


class TestOnnxOfFloats(RuntimeSuite):
    """What MLflow signs as doubles and the file takes as float32; one output, under another name."""

    @pytest.fixture
    def case(self) -> Case:
        content = file_of(
            [helper.make_node("MatMul", ["X", "W"], ["y"])],
            [tensor("X", TensorProto.FLOAT, None, 3)],
            [tensor("y", TensorProto.FLOAT, None, 2)],
            [onnx.numpy_helper.from_array(WEIGHTS.astype(np.float32), "W")],
        )
        signature = Signature((TensorSpec("input", "FP64", (-1, 3), NAMES),), (TensorSpec("output", "FP32", (-1, 2)),))
        return Case(
            "onnx",
            content,
            signature,
            ROWS,
            lambda rows: by_itself(content, {"X": rows.astype(np.float32)}),
            checks_names=False,
        )


class TestOnnxOfSeveralTensors(RuntimeSuite):
    """By name, with codes as whole numbers, in another order than the file's."""

    @pytest.fixture
    def case(self) -> Case:
        content = file_of(
            [
                helper.make_node("Gather", ["E", "carrier"], ["embedded"], axis=0),
                helper.make_node("Add", ["embedded", "weather"], ["y"]),
            ],
            [tensor("carrier", TensorProto.INT64, "n"), tensor("weather", TensorProto.FLOAT, "n", 2)],
            [tensor("y", TensorProto.FLOAT, "n", 2)],
            [onnx.numpy_helper.from_array(np.arange(8, dtype=np.float32).reshape(4, 2), "E")],
        )
        signature = Signature(
            (TensorSpec("weather", "FP32", (-1, 2)), TensorSpec("carrier", "INT64", (-1,))),
            (TensorSpec("y", "FP32", (-1, 2)),),
        )
        return Case(
            "onnx",
            content,
            signature,
            ROWS,
            lambda rows: by_itself(
                content, {"carrier": rows[:, 2].astype(np.int64), "weather": rows[:, :2].astype(np.float32)}
            ),
            has_codes=True,
            checks_names=False,
        )

    def test_a_code_that_the_model_does_not_know_is_the_caller_s_mistake(self, case: Case) -> None:
        rows = ROWS[:1].copy()
        rows[0, 2] = 99
        with pytest.raises(
            Invalid, match="inputs: cannot be taken by this model: .*indices element out of data bounds"
        ):
            case.asked(case.load(), case.tensors(rows))


def load(content: bytes, datatype: str = "FP64") -> None:
    outputs = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2)))
    signature = Signature((TensorSpec("X", datatype, (-1, 3)),), outputs)
    Case("onnx", content, signature, ROWS, lambda rows: rows).load()


def test_a_file_that_takes_a_fixed_number_of_rows_is_refused() -> None:
    with pytest.raises(NotAllowed, match="takes 1 rows at a time; export it with the first dimension left open"):
        load(classifier(TensorProto.DOUBLE, np.float64, 1))


def test_whole_numbers_are_not_made_of_what_is_signed_as_floats() -> None:
    content = file_of(
        [helper.make_node("Identity", ["X"], ["label"]), helper.make_node("Identity", ["X"], ["probabilities"])],
        [tensor("X", TensorProto.INT64, None, 3)],
        [tensor("label", TensorProto.INT64, None, 3), tensor("probabilities", TensorProto.INT64, None, 3)],
    )
    with pytest.raises(NotAllowed, match=r"takes 'X' as tensor\(int64\), its signature says FP64"):
        load(content)


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin", "/etc/hostname"])
def test_a_file_cannot_read_others(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not those in the folder that the process works in."""
    (tmp_path / "weights.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(tmp_path)
    model = onnx.load_from_string(classifier(TensorProto.DOUBLE, np.float64))
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place)
    with pytest.raises(NotAllowed, match="it names other files that hold its weights"):
        load(model.SerializeToString())
