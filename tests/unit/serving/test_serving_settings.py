"""Serving's own settings."""

from __future__ import annotations

import pytest
from modelog_common.domain.errors import Invalid
from modelog_serving.settings import load_serving_settings


def test_defaults_and_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_serving_settings().threads == 1
    monkeypatch.setenv("MODELOG_SERVING_THREADS", "4")
    assert load_serving_settings().threads == 4


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVING_THREADS", "none")
    with pytest.raises(Invalid, match="MODELOG_SERVING_THREADS 'none'"):
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
