"""Weights of ONNX models are written down once, as the processor wants them, and mapped by whoever loads the file."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from mapped_rig import Kept, mapped_here, same_bits
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes import onnx_making, onnx_runtime
from onnx import TensorProto, helper, numpy_helper
from structlog.testing import capture_logs
from test_onnx_models import classifier, file_of, tensor

pytestmark = pytest.mark.usefixtures("every_level")
FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16
DRAW = np.random.default_rng(5)


def weight(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    values = DRAW.normal(size=shape) * (60 if dtype is np.int8 else 0.05)
    return numpy_helper.from_array(values.astype(dtype), name)


def signed(features: tuple[int, ...], outputs: int, datatype: str = "FP32") -> Signature:
    return Signature((TensorSpec("x", datatype, (-1, *features)),), (TensorSpec("y", datatype, (-1, outputs)),))


def layers(kind: int = FLOAT, dtype: Any = np.float32, wide: int = 512) -> tuple[bytes, Signature]:
    """A multiplication alone, and with an addition."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["kept"]),
        helper.make_node("Gemm", ["kept", "b", "c"], ["y"], transB=1),
    ]
    weights = [weight("a", 64, wide, dtype=dtype), weight("b", wide, wide, dtype=dtype), weight("c", wide, dtype=dtype)]
    content = file_of(nodes, [tensor("x", kind, "n", 64)], [tensor("y", kind, "n", wide)], weights)
    return content, signed((64,), wide, "FP64" if kind == DOUBLE else "FP32")


def pictures() -> tuple[bytes, Signature]:
    """Convolutions, whose weights the library lays out in blocks for the processor, and normalization."""
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["one", "s", "s", "s", "v"], ["same"]),
        helper.make_node("Relu", ["same"], ["kept"]),
        helper.make_node("Conv", ["kept", "b"], ["two"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["two"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["y"]),
    ]
    ones = numpy_helper.from_array(np.ones(256, np.float32), "v")
    weights = [weight("a", 256, 3, 3, 3), weight("s", 256), ones, weight("b", 256, 256, 3, 3)]
    content = file_of(nodes, [tensor("x", FLOAT, "n", 3, 8, 8)], [tensor("y", FLOAT, "n", 256)], weights)
    return content, signed((3, 8, 8), 256)


def sequences() -> tuple[bytes, Signature]:
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r"], ["", "last"], hidden_size=256),
        helper.make_node("Squeeze", ["last", "first"], ["y"]),
    ]
    first = numpy_helper.from_array(np.zeros(1, np.int64), "first")
    weights = [weight("w", 1, 1024, 16), weight("r", 1, 1024, 256), first]
    content = file_of(nodes, [tensor("x", FLOAT, "n", 4, 16)], [tensor("y", FLOAT, "n", 256)], weights)
    return content, signed((4, 16), 256)


def quantized() -> tuple[bytes, Signature]:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "a", "zero"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["number"], to=FLOAT),
        helper.make_node("Mul", ["number", "scale"], ["y"]),
    ]
    content = file_of(
        nodes,
        [tensor("x", FLOAT, "n", 1024)],
        [tensor("y", FLOAT, "n", 2048)],
        [weight("a", 1024, 2048, dtype=np.int8)],
    )
    return content, signed((1024,), 2048)


def halves() -> tuple[bytes, Signature]:
    nodes = [
        helper.make_node("Cast", ["x"], ["small"], to=HALF),
        helper.make_node("MatMul", ["small", "a"], ["found"]),
        helper.make_node("Cast", ["found"], ["y"], to=FLOAT),
    ]
    weights = [weight("a", 512, 2048, dtype=np.float16)]
    content = file_of(nodes, [tensor("x", FLOAT, "n", 512)], [tensor("y", FLOAT, "n", 2048)], weights)
    return content, signed((512,), 2048)


def words() -> tuple[bytes, Signature]:
    """Rows of a table by their numbers: rows that are drawn are none of it."""
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["found"]),
        helper.make_node("ReduceMean", ["found"], ["y"], axes=[1], keepdims=0),
    ]
    content = file_of(
        nodes, [tensor("x", TensorProto.INT64, "n", 3)], [tensor("y", FLOAT, "n", 64)], [weight("table", 9000, 64)]
    )
    return content, Signature((TensorSpec("x", "INT64", (-1, 3)),), (TensorSpec("y", "FP32", (-1, 64)),))


def rows_of(signature: Signature) -> Any:
    draw = np.random.default_rng(8).normal(size=(40, len(signature.features)))
    whole = signature.inputs[0].datatype == "INT64"
    return np.floor(np.abs(draw) * 1000).astype(np.float64) if whole else draw.astype(np.float32)


@pytest.mark.parametrize(
    "made",
    [layers, lambda: layers(DOUBLE, np.float64), pictures, sequences, quantized, halves, words],
    ids=["layers", "doubles", "pictures", "sequences", "quantized", "halves", "words"],
)
def test_mapped_weights_answer_with_the_same_bits(made: Callable[[], tuple[bytes, Signature]], tmp_path: Path) -> None:
    kept = Kept(tmp_path, "onnx", *made())
    first, second, own = kept.load(), kept.load(), kept.by_itself()
    (file,) = kept.made
    assert mapped_here(file)
    rows = rows_of(kept.signature)
    assert same_bits(first, own, rows)
    assert same_bits(second, own, rows)
    del first, second
    gc.collect()
    assert not mapped_here(file)


def flipped(made: Path) -> None:
    content = bytearray(made.read_bytes())
    content[1000] ^= 1
    made.write_bytes(content)


@pytest.mark.parametrize("harm", [flipped, Path.unlink, lambda made: made.write_bytes(made.read_bytes()[: 1 << 20])])
def test_a_damaged_or_missing_file_of_weights_is_made_again(harm: Callable[[Path], Any], tmp_path: Path) -> None:
    kept = Kept(tmp_path, "onnx", *layers())
    kept.load()
    (file,) = kept.made
    harm(file)
    model = kept.load()
    assert kept.made == [file]
    assert mapped_here(file)
    assert same_bits(model, kept.by_itself(), rows_of(kept.signature))


def test_few_weights_are_not_worth_a_file(tmp_path: Path) -> None:
    outputs = (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP32", (-1, 2)))
    small = Kept(tmp_path, "onnx", classifier(FLOAT, np.float32), Signature(signed((3,), 2).inputs, outputs))
    small.load()
    assert small.made == []


def test_a_large_file_without_weights_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = helper.make_node("Identity", ["y"], ["z"], doc_string="x" * (1 << 20))
    ends = [tensor("x", FLOAT, "n", 64)], [tensor("z", FLOAT, "n", 64)]
    kept = Kept(tmp_path, "onnx", file_of([helper.make_node("Relu", ["x"], ["y"]), node], *ends), signed((64,), 64))
    with capture_logs() as logs:
        first = kept.load()
    assert logs == []
    (file,) = kept.made
    assert file.stat().st_size < 1 << 10
    monkeypatch.setattr(onnx_runtime, "failure_of", lambda _: pytest.fail("it was looked at again"))
    second = kept.load()
    assert not mapped_here(file)
    assert same_bits(first, second, rows_of(kept.signature))


def test_weights_with_which_a_model_would_answer_otherwise_are_not_kept(tmp_path: Path) -> None:
    """It draws numbers: no two of its answers are the same."""
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["drawn"]),
        helper.make_node("MatMul", ["drawn", "a"], ["y"]),
    ]
    content = file_of(nodes, [tensor("x", FLOAT, "n", 512)], [tensor("y", FLOAT, "n", 1024)], [weight("a", 512, 1024)])
    kept = Kept(tmp_path, "onnx", content, signed((512,), 1024))
    with capture_logs() as logs:
        kept.load()
    assert [entry["why"] for entry in logs] == ["with mapped weights it answers otherwise"]
    (file,) = kept.made
    assert file.stat().st_size < 1 << 10
    with capture_logs() as logs:
        assert kept.load().predict(rows_of(kept.signature)).shape == (40, 1024)
    assert logs == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.abort()", "its process died of SIGABRT"),
        ("raise SystemExit('no such kernel')", "its process ended with status 1: no such kernel"),
    ],
)
def test_a_library_that_dies_of_writing_weights_down_takes_nothing_along(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_making, "COMMAND", (sys.executable, "-c", code))
    kept = Kept(tmp_path, "onnx", *layers())
    with capture_logs() as logs:
        model = kept.load()
    assert [entry["why"] for entry in logs] == [why]
    assert same_bits(model, kept.by_itself(), rows_of(kept.signature))
    # It is not tried again with the same library on the same processor.
    monkeypatch.setattr(onnx_runtime, "failure_of", lambda _: pytest.fail("it was tried again"))
    assert same_bits(kept.load(), model, rows_of(kept.signature))


def test_what_takes_too_long_to_write_down_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_making, "MOST_S", 0.01)
    kept = Kept(tmp_path, "onnx", *layers())
    with capture_logs() as logs:
        model = kept.load()
    assert [entry["why"] for entry in logs] == ["its process took more than 0.01 s"]
    assert same_bits(model, kept.by_itself(), rows_of(kept.signature))


def test_a_trial_is_of_the_model_s_own_file(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "onnx", *layers())
    assert kept.load(anew=True).predict(rows_of(kept.signature)).shape == (40, 512)
    assert kept.made == []
    kept.load()
    (file,) = kept.made
    gc.collect()
    assert not mapped_here(file)
    kept.load(anew=True)
    assert not mapped_here(file)


def test_a_file_of_weights_cannot_be_named_by_a_model(tmp_path: Path) -> None:
    """What another model's weights were made to must not be read by one that names the file."""
    kept = Kept(tmp_path, "onnx", *layers())
    kept.load()
    (file,) = kept.made
    content, signature = layers()
    proto = onnx.load_from_string(content)
    for each in proto.graph.initializer[:1]:
        each.ClearField("raw_data")
        each.data_location = TensorProto.EXTERNAL
        for key, value in (("location", file.name), ("offset", "0"), ("length", str(64 * 512 * 4))):
            entry = each.external_data.add()
            entry.key, entry.value = key, value
    thief = Kept(tmp_path, "onnx", proto.SerializeToString(), signature)
    with pytest.raises(NotAllowed, match="it names other files that hold its weights"):
        thief.load()
