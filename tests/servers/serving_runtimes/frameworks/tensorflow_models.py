"""TensorFlow's models keep what every runtime promises; run where TensorFlow is installed."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import Limits
from runtime_suite import Case, RuntimeSuite

ROWS = np.random.default_rng(5).normal(size=(40, 6)).astype(np.float32).astype(np.float64)
TABLE = (TensorSpec("x", "FP64", (-1, 6), tuple("abcdef")),)
TWO = (TensorSpec("numbers", "FP32", (-1, 5)), TensorSpec("code", "INT64", (-1, 1)))
BOTH = (TensorSpec("score", "FP64", (-1,)), TensorSpec("label", "INT64", (-1,)))


@cache
def dense() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2, "softmax")])


class Two(tf.Module):  # type: ignore[misc]
    """Numbers and a code in, a score of float64 and a label out."""

    def __init__(self) -> None:
        self.codes = tf.Variable(np.random.default_rng(0).normal(size=(4, 5)), dtype=tf.float64)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, 5], tf.float32, "numbers"), tf.TensorSpec([None, 1], tf.int64, "code")]
    )
    def serve(self, numbers: Any, code: Any) -> dict[str, Any]:
        score = tf.reduce_sum(tf.gather(self.codes, code[:, 0]) * tf.cast(numbers, tf.float64), axis=1)
        return {"label": tf.cast(score > 0, tf.int64), "score": score}


@cache
def two() -> Any:
    return Two()


def files(write: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "model"
        write(str(folder))
        return {str(f.relative_to(made)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@cache
def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name, content in files(lambda at: tf.saved_model.save(two(), at, {"serving_default": two().serve})).items():
            packed.writestr(name, content)
    return target.getvalue()


@cache
def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as packed:
        for name, content in files(lambda at: dense().export(at, verbose=False)).items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            packed.addfile(told, io.BytesIO(content))
    return target.getvalue()


@cache
def of_keras() -> bytes:
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "model.keras"
        dense().save(file)
        return file.read_bytes()


def of_two(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = two().serve(tf.constant(rows[:, :5], tf.float32), tf.constant(rows[:, 5:], tf.int64))
    return np.column_stack([found["score"].numpy(), found["label"].numpy()])


def of_dense(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(dense()(rows.astype(np.float32), training=False))


class TestSavedModel(RuntimeSuite):
    """Of two tensors of two datatypes, with two outputs by name, in a zip file."""

    @pytest.fixture
    def case(self) -> Case:
        rows = ROWS.copy()
        rows[:, 5] = np.arange(len(rows)) % 4
        signature = Signature(TWO, BOTH)
        return Case("tensorflow", zipped(), signature, rows, of_two, checks_names=False, has_codes=True, approved=True)


class TestKerasExportedAsSavedModel(RuntimeSuite):
    """In a tar file, asked by the columns of a table."""

    @pytest.fixture
    def case(self) -> Case:
        signature = Signature(TABLE, (TensorSpec("output", "FP32", (-1, 2)),))
        return Case("tensorflow", tarred(), signature, ROWS, of_dense, checks_names=False, approved=True)


class TestKerasFile(RuntimeSuite):
    @pytest.fixture
    def case(self) -> Case:
        signature = Signature(TABLE, (TensorSpec("output", "FP32", (-1, 2)),))
        return Case("tensorflow", of_keras(), signature, ROWS, of_dense, checks_names=False, approved=True)


def test_no_file_runs_before_its_version_is_approved() -> None:
    for content in (zipped(), of_keras()):
        case = Case("tensorflow", content, Signature(TWO, BOTH), ROWS, of_two)
        with pytest.raises(NotAllowed, match="reading it may run code: have the version approved by somebody else"):
            case.load()


def test_a_signature_with_other_names_is_refused_with_the_file_s() -> None:
    other = (TensorSpec("figures", "FP32", (-1, 5)), TWO[1])
    case = Case("tensorflow", zipped(), Signature(other, BOTH), ROWS, of_two, approved=True)
    with pytest.raises(NotAllowed, match="the model file takes code, numbers, its signature names code, figures"):
        case.load()


def test_it_answers_from_a_process_of_its_own() -> None:
    signature = Signature(TABLE, (TensorSpec("output", "FP32", (-1, 2)),))
    model = LazyRuntimes(1, Limits()).of("tensorflow").load(tarred(), signature, True)
    assert isinstance(model, Isolated)
    np.testing.assert_allclose(model.predict(ROWS), of_dense(ROWS), rtol=1e-5, atol=1e-6)
