"""Serving's own settings."""

from __future__ import annotations

import pytest
from modelog_common.domain.errors import Invalid
from modelog_serving.settings import load_serving_settings
from modelog_serving.worker.limits import Device


def test_defaults_and_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_serving_settings().threads == 1
    monkeypatch.setenv("MODELOG_SERVING_THREADS", "4")
    assert load_serving_settings().threads == 4


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVING_THREADS", "none")
    with pytest.raises(Invalid, match='MODELOG_SERVING_THREADS is "none": it must be a whole number'):
        load_serving_settings()


def test_how_many_workers_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_serving_settings().crew() == 0, "one process does it all"
    for wanted, workers in (("1", 0), ("3", 3)):
        monkeypatch.setenv("MODELOG_SERVING_WORKERS", wanted)
        assert load_serving_settings().crew() == workers
    monkeypatch.setenv("MODELOG_SERVING_WORKERS", "auto")
    for cores, workers in ((1, 0), (2, 0), (4, 3)):
        monkeypatch.setattr("modelog_serving.settings.processors", lambda cores=cores: cores)
        assert load_serving_settings().crew() == workers
    monkeypatch.setenv("MODELOG_SERVING_ONLY", "acme/flights")
    assert load_serving_settings().crew() == 0, "a replica is one process"


@pytest.mark.parametrize("wrong", ["0", "31", "many"])
def test_a_wrong_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("MODELOG_SERVING_WORKERS", wrong)
    with pytest.raises(Invalid, match="MODELOG_SERVING_WORKERS"):
        load_serving_settings()


def test_where_pytorch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_serving_settings().limits.device == Device("cpu", 0), "a GPU is used when somebody says so"
    monkeypatch.setenv("MODELOG_SERVING_TORCH_DEVICE_MEMORY_MB", "2048")
    for wanted in ("auto", "cuda", "cuda:3"):
        monkeypatch.setenv("MODELOG_SERVING_TORCH_DEVICE", wanted)
        assert load_serving_settings().limits.device == Device(wanted, 2048 << 20)


@pytest.mark.parametrize("wrong", ["gpu", "cuda:", "cuda:-1", "mps", "CUDA"])
def test_a_device_of_another_name_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("MODELOG_SERVING_TORCH_DEVICE", wrong)
    with pytest.raises(
        Invalid, match=f'MODELOG_SERVING_TORCH_DEVICE is "{wrong}": it must be cpu, auto, cuda or cuda:N'
    ):
        load_serving_settings()
