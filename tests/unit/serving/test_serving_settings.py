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
