"""The setting of the device reaches the processes of models that can use a GPU, and no others see one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.plane import _runtimes
from modelog_serving.runtimes import find
from modelog_serving.settings import ServingSettings
from modelog_serving.worker import isolated, wire
from modelog_serving.worker.limits import CPU, Device
from modelog_serving.worker.process import environment

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),))


def test_flavors_that_can_use_a_gpu_are_told_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads = list[wire.Load]()

    class Started:
        def __init__(self, _file: Any, load: wire.Load, _limits: Any) -> None:
            loads.append(load)

    monkeypatch.setattr(isolated, "Worker", Started)
    monkeypatch.setattr(find, "why_not_run", lambda _flavor: "")
    own = ServingSettings(torch_device="cuda:1", torch_device_memory_mb=2048)
    runtimes = _runtimes(own, tmp_path)
    flavors = [flavor for flavor, kind in find.KINDS.items() if kind.own_process == "all"]
    for flavor in flavors:
        runtimes.of(flavor).load(b"", SIGNATURE, True)
    told = {load.flavor: load.device for load in loads}
    assert set(told) == set(flavors)
    on_gpu = {flavor for flavor, device in told.items() if device == Device("cuda:1", 2048 << 20)}
    assert on_gpu == {"pytorch", "transformers"}
    assert {told[flavor] for flavor in set(told) - on_gpu} == {CPU}


def test_a_process_sees_the_gpus_that_serving_sees_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert environment(1)["CUDA_VISIBLE_DEVICES"] == ""
    assert environment(1, gpus=True)["CUDA_VISIBLE_DEVICES"] == "1,2"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "CUDA_VISIBLE_DEVICES" not in environment(1, gpus=True)
