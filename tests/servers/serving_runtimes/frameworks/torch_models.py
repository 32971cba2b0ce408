"""PyTorch's models keep what every runtime promises; run where PyTorch is installed."""

from __future__ import annotations

import io
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import Limits
from runtime_suite import Case, RuntimeSuite

warnings.filterwarnings("ignore", category=FutureWarning)
ROWS = np.random.default_rng(5).normal(size=(40, 6)).astype(np.float32).astype(np.float64)
IMAGE = (TensorSpec("image", "FP32", (-1, 2, 3)),)
TABLE = (TensorSpec("x", "FP64", (-1, 6), tuple("abcdef")),)
TWO = (TensorSpec("numbers", "FP32", (-1, 5)), TensorSpec("code", "INT64", (-1, 1)))


class Image(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 4), torch.nn.Softmax(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(image)
        return found


class Two(torch.nn.Module):
    """Numbers and a code in, a score and a label out."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = torch.nn.Embedding(4, 5)

    def forward(self, numbers: torch.Tensor, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        score = (self.codes(code[:, 0]) * numbers).sum(1)
        return score, (score > 0).long()


@cache
def made(kind: type[torch.nn.Module]) -> torch.nn.Module:
    torch.manual_seed(1)
    return kind().eval()


@cache
def exported_image() -> bytes:
    return exported(made(Image), torch.zeros(4, 2, 3))


def exported(module: torch.nn.Module, *inputs: torch.Tensor) -> bytes:
    rows = torch.export.Dim("rows")
    program = torch.export.export(module, inputs, dynamic_shapes=tuple({0: rows} for _ in inputs))
    target = io.BytesIO()
    torch.export.save(program, target)
    return target.getvalue()


@cache
def scripted(module: torch.nn.Module) -> bytes:
    target = io.BytesIO()
    torch.jit.save(torch.jit.script(module), target)
    return target.getvalue()


def pickled(what: Any) -> bytes:
    target = io.BytesIO()
    torch.save(what, target)
    return target.getvalue()


def of_image(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return made(Image)(torch.tensor(rows.reshape(-1, 2, 3), dtype=torch.float32)).numpy()


def of_two(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        numbers = torch.tensor(rows[:, :5], dtype=torch.float32)
        found = made(Two)(numbers, torch.tensor(rows[:, 5:], dtype=torch.int64))
        return np.column_stack([part.numpy() for part in found])


class TestExportedProgram(RuntimeSuite):
    """Of a tensor of three dimensions."""

    @pytest.fixture
    def case(self) -> Case:
        outputs = (TensorSpec("probabilities", "FP32", (-1, 4)),)
        content = exported_image()
        return Case("pytorch", content, Signature(IMAGE, outputs), ROWS, of_image, checks_names=False, approved=True)


class TestTorchScript(RuntimeSuite):
    """Of two tensors of two datatypes, with two outputs."""

    @pytest.fixture
    def case(self) -> Case:
        rows = ROWS.copy()
        rows[:, 5] = np.arange(len(rows)) % 4
        outputs = (TensorSpec("score", "FP32", (-1,)), TensorSpec("label", "INT64", (-1,)))
        signature = Signature(TWO, outputs)
        return Case(
            "pytorch",
            scripted(made(Two)),
            signature,
            rows,
            of_two,
            checks_names=False,
            counts_columns=False,
            has_codes=True,
            approved=True,
        )


class TestPickledModule(RuntimeSuite):
    """As MLflow writes it, asked by the columns of a table."""

    @pytest.fixture
    def case(self) -> Case:
        torch.manual_seed(2)
        module = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))

        def answers(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            with torch.inference_mode():
                return module(torch.tensor(rows, dtype=torch.float32)).numpy()

        signature = Signature(TABLE, (TensorSpec("delay", "FP32", (-1, 1)),))
        return Case("pytorch", pickled(module), signature, ROWS, answers, checks_names=False, approved=True)


def load(content: bytes, approved: bool = True, signature: Signature | None = None) -> Any:
    signature = signature or Signature(IMAGE, (TensorSpec("probabilities", "FP32", (-1, 4)),))
    return Case("pytorch", content, signature, ROWS, of_image, approved=approved).load()


def test_no_file_runs_before_its_version_is_approved() -> None:
    for content in (exported_image(), scripted(made(Image)), pickled(made(Image))):
        with pytest.raises(NotAllowed, match="reading it may run code: have the version approved by somebody else"):
            load(content, approved=False)


def test_weights_alone_are_no_model() -> None:
    from safetensors.torch import save

    with pytest.raises(NotAllowed, match="holds weights by name, and not the model that they belong to"):
        load(pickled(made(Image).state_dict()))
    with pytest.raises(NotAllowed, match="is of safetensors: it holds weights, and not the model"):
        load(save(made(Image).state_dict()))


def test_a_program_of_a_fixed_number_of_rows_is_refused() -> None:
    target = io.BytesIO()
    torch.export.save(torch.export.export(made(Image), (torch.zeros(4, 2, 3),)), target)
    with pytest.raises(NotAllowed, match="must leave the number of rows open, by dynamic_shapes"):
        load(target.getvalue())


def test_it_answers_from_a_process_of_its_own() -> None:
    signature = Signature(IMAGE, (TensorSpec("probabilities", "FP32", (-1, 4)),))
    model = LazyRuntimes(1, Limits()).of("pytorch").load(scripted(made(Image)), signature, True)
    assert isinstance(model, Isolated)
    np.testing.assert_allclose(model.predict(ROWS.astype(np.float32)), of_image(ROWS), rtol=1e-6)
