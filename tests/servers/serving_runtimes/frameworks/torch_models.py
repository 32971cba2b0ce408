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
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.runtimes.torch_device import TorchDevice
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import Device, Limits
from runtime_suite import DEVICE, SINGLE, Case, RuntimeSuite

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
    model = LazyRuntimes(1, Limits(device=DEVICE)).of("pytorch").load(scripted(made(Image)), signature, True)
    assert isinstance(model, Isolated)
    np.testing.assert_allclose(model.predict(ROWS.astype(np.float32)), of_image(ROWS), rtol=SINGLE)


def test_a_device_that_is_not_there_is_refused_with_what_is_allowed() -> None:
    absent = "MODELOG_SERVING_TORCH_DEVICE is 'cuda:63', and .* allowed here are auto, cpu"
    for limits in (None, Limits(device=Device("cuda:63"))):
        runtime = LazyRuntimes(1, limits, device=Device("cuda:63")).of("pytorch")
        with pytest.raises(NotAllowed, match=absent):
            runtime.load(scripted(made(Image)), Signature(IMAGE, (TensorSpec("p", "FP32", (-1, 4)),)), True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU; gpu_models.py looks that it is used")
def test_without_a_gpu_auto_is_the_processor() -> None:
    device = TorchDevice(Device("auto"))
    assert (device.is_gpu, device.at) == (False, torch.device("cpu"))


def on_a_stand_in(monkeypatch: pytest.MonkeyPatch, lost: bool = False) -> TorchDevice:
    """A device whose GPU is always ready, or lost once somebody has waited for it in vain."""

    def wait(_at: Any) -> None:
        if lost:
            raise RuntimeError("CUDA error: device-side assert triggered")

    device = TorchDevice(Device("cpu"))
    device.is_gpu, device.at, device._most_bytes = True, torch.device("cuda", 0), 64 << 20
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _at: (100 << 20, 80_000 << 20))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _at: 7 << 20)
    return device


def failing(error: Exception) -> Any:
    def fail(*_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when")]
)
def test_too_large_a_batch_is_told_with_what_the_gpu_has(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    device = on_a_stand_in(monkeypatch)
    said = (
        "is too much for the memory of cuda:0: of its 80000 MiB 100 are free, the model holds 7 MiB and may use up to"
    )
    with pytest.raises(ModelFailed, match=f"a batch of 9 rows {said} 64 MiB .MODELOG_SERVING_TORCH_DEVICE_MEMORY_MB"):
        device.done(failing(error), "a batch of 9 rows")
    with pytest.raises(NotAllowed, match=f"the model file cannot be loaded: the model {said}"):
        device.hold(failing(error))
    assert device.done(lambda: 5, "one more") == 5


def test_a_gpu_that_is_lost_ends_the_process_and_other_errors_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        on_a_stand_in(monkeypatch).done(failing(wrong), "rows")
    lost = RuntimeError("The following operation failed\nRuntimeError: CUDA error: device-side assert triggered\n")
    with pytest.raises(
        ModelDied, match="cannot use cuda:0 any more, and is loaded anew: RuntimeError: CUDA error: device"
    ):
        on_a_stand_in(monkeypatch, lost=True).done(failing(lost), "rows")
