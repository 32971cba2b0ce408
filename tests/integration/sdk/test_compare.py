"""Comparisons through the SDK and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog.cli.main import app
from modelog.types import Environment, Signature, TensorSpec
from typer.testing import CliRunner

SIGNATURE = Signature(
    inputs=[TensorSpec(name="input", datatype="FP32", shape=[-1, 1])],
    outputs=[TensorSpec(name="output", datatype="FP32", shape=[-1])],
)


@pytest.fixture
def command(platform: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command as alice; gives what it printed."""
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    monkeypatch.setenv("MODELOG_URL", platform.url)
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "admin"))
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == status, result.output
        return str(result.output if status == 0 else result.stderr)

    return command


def repeated(client: modelog.Client, name: str, depth: int, values: list[float]) -> list[str]:
    """Ended runs of one thing with a metric; their ids."""
    client.runs.experiment("compared")
    ids = []
    for value in values:
        environment = Environment(python="3.11", packages={"xgboost": "3.2"})
        parameters = {"depth": depth, "eta": 0.1}
        run = client.runs.start("compared", name, parameters=parameters, environment=environment)
        client.runs.log(run.id, metrics={"auc": value})
        client.runs.end(run.id)
        ids.append(run.id)
    return ids


def test_repeated_runs_are_compared(alice: modelog.Client, command: Any, tmp_path: Path) -> None:
    shallow, deep = (
        repeated(alice, "shallow", 3, [0.70, 0.72, 0.71, 0.69]),
        repeated(alice, "deep", 9, [0.75, 0.78, 0.76, 0.74]),
    )
    found = alice.runs.compare(shallow, deep, design="paired")
    (difference,) = found.metrics[0].differences
    assert difference.method == "paired t"
    assert difference.corrected_p is not None
    assert difference.corrected_p < 0.01
    assert [value.values for value in found.parameters if value.differs] == [["3", "9"]]
    assert found.columns[0].duration_s is not None
    printed = command("run", "compare", ",".join(shallow), ",".join(deep), "--design", "paired")
    assert "0.705 ± 0.013 (4)" in printed
    assert "+0.0525 *" in printed
    assert "auc of deep (4 runs) is higher than that of shallow (4 runs) by 0.0525 (95 % interval" in printed
    assert "eta" not in printed
    assert "eta" in command("run", "compare", shallow[0], deep[0], "--all")
    plain = json.loads(command("run", "compare", shallow[0], deep[0], "--json"))
    assert plain["metrics"][0]["differences"][0]["sentence"].startswith("not tested: 3 repeated runs or more")
    report = tmp_path / "compared.html"
    assert f"Written to {report}." in command(
        "run", "compare", ",".join(shallow), ",".join(deep), "--html", str(report)
    )
    assert "auc of deep (4 runs) is higher" in report.read_text()
    past = str(alice.runs.get(shallow[1]).position)
    assert "there is no run" in command("run", "compare", shallow[0], deep[0], "--as-of", past, status=1)


def test_versions_are_compared(alice: modelog.Client, command: Any) -> None:
    (run,) = repeated(alice, "trained", 6, [0.7])
    alice.models.create("compared-model")
    artifact = alice.artifacts.upload_bytes(b"m", "model.ubj")
    alice.models.register("compared-model", artifact, flavor="xgboost", signature=SIGNATURE, run_id=run)
    alice.models.register("compared-model", artifact, flavor="onnx", signature=SIGNATURE, metrics={"auc": 0.75})
    versions = ["compared-model/1.0.0", "compared-model/1.1.0"]
    found = alice.models.compare(*versions)
    assert [column.name for column in found.columns] == versions
    assert found.metrics[0].differences[0].estimate == pytest.approx(0.05)
    printed = command("model", "compare", *versions)
    assert "onnx" in printed
    assert "+0.05" in printed


def test_what_cannot_be_compared_is_said(alice: modelog.Client, command: Any) -> None:
    ids = repeated(alice, "one", 1, [0.5, 0.6])
    assert "runs" in command("run", "compare", ids[0], status=1)
    assert "test_share" in command("run", "compare", *ids, "--design", "resampled", status=1)
    assert "design" in command("run", "compare", *ids, "--design", "guessed", status=1)
