"""`serving.engine`: every setting of the inference server can be given, within the limits that serving has itself."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import msgspec
import pytest
from helm_python import HelmRenderError, HelmValuesError
from modelog_serving.settings import PREFIX, ServingSettings, load_serving_settings
from modelog_serving.worker.limits import Device

# The chart itself says where replicas run, and not on Ray, which its images lack; a replica is told by serving what it
# answers for.
OTHERS = {"replicas", "only", "ray_address", "ray_installation", "ray_cpus", "ray_unused_s"}
LIMITS = ("minimum", "maximum", "exclusiveMinimum")


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def test_the_chart_names_every_setting_with_its_limits(chart: Any) -> None:
    schema = json.loads((chart.path / "values.schema.json").read_text())
    named = schema["definitions"]["service"]["properties"]["engine"]["properties"]
    fields = {name: field for name, field in ServingSettings.fields.items() if name not in OTHERS}
    wanted = {camel(name): msgspec.json.schema(field.type) for name, field in fields.items()}
    assert set(named) == set(wanted)
    for name in set(wanted) - {"workers"}:
        assert {k: v for k, v in named[name].items() if k in LIMITS} == {
            k: v for k, v in wanted[name].items() if k in LIMITS
        }, name


def test_serving_reads_what_was_given(chart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = {"workers": "auto", "logMaxBytes": 50_000_000_000, "workerPredictS": 2.5, "models": 0, "trials": False}
    rendered = chart.render({"serving": {"engine": engine}})
    for name, text in rendered.settings("serving").items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, text)
    read = load_serving_settings()
    assert (read.workers, read.log_max_bytes, read.worker_predict_s, read.models) == ("auto", 50_000_000_000, 2.5, 0)
    assert not read.trials
    assert not [name for name in rendered.settings("registry") if name.startswith(PREFIX)]


def test_a_gpu_is_asked_for_and_used(chart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": 1}}
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    where = {"nodeSelector": {"gpu": "l4"}, "tolerations": [taint], "resources": amounts}
    rendered = chart.render({"serving": {**where, "engine": {"torchDevice": "cuda:0", "torchDeviceMemoryMb": 4096}}})
    for manifest in rendered.manifests:
        kubernetes_validate.validate(manifest, "1.25", strict=True)
    pod = rendered.pod("serving")
    assert (pod["tolerations"], pod["nodeSelector"]) == ([taint], {"gpu": "l4"})
    assert rendered.container("serving")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "tolerations" not in rendered.pod("registry")
    for name, text in rendered.settings("serving").items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, text)
    assert load_serving_settings().limits.device == Device("cuda:0", 4096 << 20)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"serving": {"engine": {"workers": 31}}}, "'/serving/engine/workers'"),
        ({"serving": {"engine": {"wrkers": 2}}}, "additional properties 'wrkers' not allowed"),
        (
            {"serving": {"engine": {"torchDevice": "gpu"}}},
            "'/serving/engine/torchDevice': 'gpu' does not match pattern",
        ),
        ({"serving": {"engine": {"threads": 0}}}, "'/serving/engine/threads': minimum: got 0, want 1"),
    ],
)
def test_a_wrong_setting_is_refused(chart: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmValuesError) as refused:
        chart.render(values)
    assert message in str(refused.value)


def test_other_services_have_no_engine(chart: Any) -> None:
    with pytest.raises(HelmRenderError, match="registry.engine is set; it is for serving only"):
        chart.render({"registry": {"engine": {"threads": 2}}})
