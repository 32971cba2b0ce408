"""PyTorch's models on a GPU: exact, within its memory, and what becomes of those that are too much for it.

Run where there is a GPU, by test_frameworks.py or by itself; MODELOG_TEST_TORCH_DEVICE names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.engine.runtime import Model
from modelog_serving.engine.work import outcomes
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import CPU, Device, Limits
from runtime_suite import DEVICE, SINGLE
from torch_models import ROWS, TWO, Two, exported, made, pickled, scripted

MB = 1 << 20
SIX = (TensorSpec("x", "FP32", (-1, 6)),)
ONE = (TensorSpec("y", "FP32", (-1, 1)),)
PICTURE = (TensorSpec("picture", "FP32", (-1, 3, 32, 32)),)
FLOATS = ROWS.astype(np.float32)
pytestmark = pytest.mark.skipif(DEVICE.name == "cpu", reason="MODELOG_TEST_TORCH_DEVICE names no GPU")


class Where(torch.nn.Module):
    """1 on a GPU, 0 on the processor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full((x.shape[0], 1), float(x.is_cuda), device=x.device)


class Hungry(torch.nn.Module):
    """Takes 64 MiB for each row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones(x.shape[0], 16 << 20, device=x.device).sum(1, keepdim=True) + x[:, :1]


class Placed(torch.nn.Module):
    """Its program names the processor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + torch.ones(6, device="cpu")).sum(1, keepdim=True)


class Pictures(torch.nn.Module):
    """Convolutions, of which PyTorch makes TF32 by default, and a wide layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            *(torch.nn.Conv2d(3, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(64, 64, 3, padding=1)),
            *(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64 * 32 * 32, 10)),
        )

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(picture)
        return found


def here(content: bytes, inputs: Any = SIX, outputs: Any = ONE, device: Device = DEVICE) -> Model:
    return LazyRuntimes(1, device=device).of("pytorch").load(content, Signature(inputs, outputs), True)


def apart(content: bytes, inputs: Any = SIX, outputs: Any = ONE, device: Device = DEVICE) -> Isolated:
    model = LazyRuntimes(1, Limits(device=device)).of("pytorch").load(content, Signature(inputs, outputs), True)
    assert isinstance(model, Isolated)
    return model


@pytest.fixture(scope="module")
def hungry() -> Isolated:
    return apart(scripted(made(Hungry)), device=Device(DEVICE.name, 1024 * MB))


@pytest.mark.parametrize(("device", "where"), [(CPU, 0.0), (DEVICE, 1.0), (Device("auto"), 1.0)])
def test_the_process_of_a_model_computes_where_the_setting_says(device: Device, where: float) -> None:
    np.testing.assert_array_equal(apart(scripted(made(Where)), device=device).predict(FLOATS[:2]), [[where], [where]])


def test_other_gpus_than_there_are_are_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(NotAllowed, match=f"'cuda:{count}', and the GPUs here end with cuda:{count - 1}; allowed here"):
        apart(scripted(made(Where)), device=Device(f"cuda:{count}"))


def test_it_answers_as_the_processor_does_without_tf32() -> None:
    pictures = np.random.default_rng(6).normal(size=(8, 3 * 32 * 32)).astype(np.float32)
    signature = Signature(PICTURE, (TensorSpec("scores", "FP32", (-1, 10)),))
    content = exported(made(Pictures), torch.zeros(4, 3, 32, 32))
    with torch.inference_mode():
        exact = made(Pictures).double()(torch.from_numpy(pictures.reshape(-1, 3, 32, 32)).double()).numpy()
    made(Pictures).float()
    found = here(content, *(signature.inputs, signature.outputs)).predict(pictures)
    own = here(content, *(signature.inputs, signature.outputs), device=CPU).predict(pictures)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    with torch.inference_mode():
        module = made(Pictures).to(DEVICE.name)
        short = module(torch.from_numpy(pictures.reshape(-1, 3, 32, 32)).to(DEVICE.name)).cpu().numpy()
    made(Pictures).to("cpu")
    errors = {name: float(np.abs(each - exact).max()) for name, each in (("GPU", found), ("CPU", own), ("TF32", short))}
    print("\nlargest error beside float64:", errors)
    assert errors["GPU"] < SINGLE
    assert errors["GPU"] < errors["TF32"] / 10
    np.testing.assert_array_equal(found, here(content, *(signature.inputs, signature.outputs)).predict(pictures))


def test_too_large_a_batch_fails_by_itself_and_the_model_goes_on(hungry: Isolated) -> None:
    before = hungry.pid
    small, large = FLOATS[:2], np.repeat(FLOATS, 2, axis=0)
    for _ in range(3):
        first, failed, last = outcomes(hungry, [small, large, small], 8192)
        assert isinstance(failed, ModelFailed)
        assert "a batch of 80 rows is too much for the memory of cuda:0" in str(failed)
        assert "may use up to 1024 MiB (MODELOG_SERVING_TORCH_DEVICE_MEMORY_MB)" in str(failed)
        for answered in (first, last):
            np.testing.assert_allclose(answered, (16 << 20) + small[:, :1], rtol=1e-6)
    print("\n", failed)
    assert hungry.pid == before, "the process stays"


def test_it_lets_go_of_the_memory_that_was_too_little() -> None:
    model = here(scripted(made(Hungry)))
    model.predict(FLOATS[:1])
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved(DEVICE.name)
    rows = torch.cuda.get_device_properties(DEVICE.name).total_memory // (64 * MB) + 1
    with pytest.raises(ModelFailed, match=f"a batch of {rows} rows is too much .* and may use all of it"):
        model.predict(np.zeros((rows, 6), np.float32))
    assert torch.cuda.memory_reserved(DEVICE.name) <= held


def test_a_model_that_does_not_fit_is_refused_at_load() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 4096), torch.nn.Linear(4096, 4096), torch.nn.Linear(4096, 1))
    with pytest.raises(NotAllowed, match="cannot be loaded: the model is too much for the memory of cuda:0"):
        apart(pickled(module), device=Device(DEVICE.name, 32 * MB))


def test_an_index_out_of_range_has_the_process_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    """After such an error CUDA lets a process compute no more."""
    outputs = (TensorSpec("score", "FP32", (-1,)), TensorSpec("label", "INT64", (-1,)))
    model, told = apart(scripted(made(Two)), TWO, outputs), list[tuple[str, str]]()
    model.tell(lambda cause, text: told.append((cause, text)))
    rows = ROWS[:4].copy()
    rows[:, 5] = 1
    expected, before = model.predict(rows), model.pid
    beyond = rows.copy()
    beyond[0, 5] = 99
    with pytest.raises(
        ModelDied, match="the model cannot use cuda:0 any more, and is loaded anew: .*device-side assert"
    ):
        model.predict(beyond)
    np.testing.assert_array_equal(model.predict(rows), expected)
    assert model.pid not in (None, before)
    assert [cause for cause, _ in told] == ["died"]
    print("\n", told)


def test_programs_that_name_the_processor() -> None:
    """An exported one is moved as a whole; TorchScript is refused, with what may help."""
    content = exported(made(Placed), torch.zeros(4, 6))
    np.testing.assert_allclose(here(content).predict(FLOATS), FLOATS.sum(1, keepdims=True) + 6, rtol=1e-5, atol=1e-5)
    with pytest.raises(NotAllowed, match="MODELOG_SERVING_TORCH_DEVICE says, and may answer with it set to cpu"):
        here(scripted(made(Placed)))


def test_what_counts_as_its_memory_is_within_the_usual_limit(hungry: Isolated) -> None:
    hungry.predict(FLOATS[:1])
    worker = hungry._home._worker
    assert worker is not None
    print("\nMiB that count against MODELOG_SERVING_WORKER_MEMORY_MB:", worker.memory_bytes >> 20)
    assert worker.memory_bytes < Limits().memory_bytes / 2
