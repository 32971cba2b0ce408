"""A folder that MLflow wrote keeps what every runtime promises, as one file; run where MLflow is installed."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.pyfunc
import numpy as np
import pytest
from mlflow.models import infer_signature
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.limits import Limits
from runtime_suite import Case, RuntimeSuite

cloudpickle.register_pickle_by_value(sys.modules[__name__])
ROWS = np.random.default_rng(5).normal(size=(30, 3))
SIGNATURE = Signature((TensorSpec("x", "FP64", (-1, 3), tuple("abc")),), (TensorSpec("y", "FP64", (-1,)),))


class Weighted(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Its weights are in a file beside it, which it reads anew each time."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        weights = json.loads(Path(context.artifacts["weights"]).read_text())
        return model_input.to_numpy() @ np.array(weights)


@cache
def folder() -> bytes:
    import pandas

    target = io.BytesIO()
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(target, "w") as packed:
        weights = Path(made) / "weights.json"
        weights.write_text("[2.0, 3.0, 5.0]")
        table = pandas.DataFrame(ROWS, columns=list("abc"))
        mlflow.pyfunc.save_model(
            Path(made) / "model",
            python_model=Weighted(),
            artifacts={"weights": str(weights)},
            signature=infer_signature(table, ROWS[:, 0]),
            pip_requirements=[],
        )
        for file in sorted((Path(made) / "model").rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(made))
    return target.getvalue()


class TestFolderOfMlflow(RuntimeSuite):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            "python_function",
            folder(),
            SIGNATURE,
            ROWS,
            lambda rows: (rows @ np.array([2.0, 3.0, 5.0])).reshape(-1, 1),
            checks_names=False,
            counts_columns=False,
            approved=True,
        )


def test_nothing_of_a_folder_runs_before_its_version_is_approved() -> None:
    case = Case("python_function", folder(), SIGNATURE, ROWS, lambda rows: rows)
    with pytest.raises(NotAllowed, match="have the version approved by somebody else"):
        case.load()


def test_its_files_are_there_as_long_as_its_process_and_no_longer() -> None:
    before = set(Path(tempfile.gettempdir()).glob("modelog-model-*"))
    model = LazyRuntimes(1, Limits()).of("python_function").load(folder(), SIGNATURE, True)
    for _ in range(2):
        np.testing.assert_allclose(model.predict(ROWS)[:, 0], ROWS @ np.array([2.0, 3.0, 5.0]))
    del model
    assert set(Path(tempfile.gettempdir()).glob("modelog-model-*")) <= before
