"""Comparisons of runs and of model versions through gRPC."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import compare_pb2 as pb
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2

LOW, HIGH = (0.70, 0.72, 0.71, 0.69), (0.75, 0.78, 0.76, 0.74)


async def ran(person: Any, *, ended: bool = False, metrics: dict[str, float] | None = None, **fields: Any) -> str:
    """A run that logged metrics; its id."""
    run = await person.run(**fields)
    points = [experiment_pb2.MetricPoint(name=name, value=value) for name, value in (metrics or {}).items()]
    if points:
        await person.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, metrics=points))
    if ended:
        status = experiment_pb2.RUN_STATUS_COMPLETED
        await person.experiments.EndRun(experiment_pb2.EndRunRequest(run_id=run.id, status=status))
    return str(run.id)


async def repeated(person: Any, name: str, values: Sequence[float]) -> str:
    """Repeated runs of one thing, as a request names them."""
    return ",".join([await ran(person, name=name, metrics={"auc": value, "seed": n}) for n, value in enumerate(values)])


async def compare(person: Any, *runs: str, **fields: Any) -> Any:
    return await person.comparisons.CompareRuns(pb.CompareRunsRequest(runs=runs, **fields))


async def test_what_differs_between_two_runs(alice: Any) -> None:
    await alice.experiment()
    environments = [
        experiment_pb2.Environment(python="3.11", git_commit="c0ffee", packages={"numpy": "2.4", "scipy": scipy})
        for scipy in ("1.17", "1.18")
    ]
    environments[1].git_dirty = True
    columns = [
        {"metrics": {"auc": 0.7, "loss": math.nan}, "parameters": {"depth": 6, "eta": 0.1, "booster": "gbtree"}},
        {"metrics": {"auc": 0.75}, "parameters": {"depth": "6", "eta": 0.1}},
    ]
    ids = [
        await ran(alice, name=name, environment=environment, ended=True, **fields)
        for name, environment, fields in zip(("first", "second"), environments, columns, strict=True)
    ]
    found = await compare(alice, *ids)
    assert [(c.name, list(c.run_ids), c.HasField("duration_s")) for c in found.columns] == [
        ("first", [ids[0]], True),
        ("second", [ids[1]], True),
    ]
    auc, loss = found.metrics
    assert [(s.runs, s.mean, s.HasField("sd")) for s in auc.columns] == [(1, 0.7, False), (1, 0.75, False)]
    assert auc.differences[0].estimate == pytest.approx(0.05)
    assert auc.differences[0].sentence == (
        "not tested: 3 repeated runs or more are needed on each side; there are 1 and 1"
    )
    assert not auc.differences[0].HasField("p_value")
    assert (loss.columns[1].runs, loss.columns[1].HasField("mean"), len(loss.differences)) == (0, False, 0)
    # A number and its text are not the same, though they look alike.
    assert [(v.name, list(v.values), v.differs) for v in found.parameters] == [
        ("booster", ["gbtree", ""], True),
        ("depth", ["6", "6"], True),
        ("eta", ["0.1", "0.1"], False),
    ]
    assert [(v.name, list(v.values)) for v in found.environment if v.differs] == [
        ("package scipy", ["1.17", "1.18"]),
        ("uncommitted changes", ["", "yes"]),
    ]
    assert "package numpy" not in {v.name for v in found.environment}


async def test_repeated_runs_are_tested_by_their_design(alice: Any) -> None:
    await alice.experiment()
    low, high = await repeated(alice, "low", LOW), await repeated(alice, "high", HIGH)
    welch = await compare(alice, low, high)
    auc, seed = welch.metrics
    assert [(round(s.mean, 4), s.runs, round(s.sd, 4)) for s in auc.columns] == [
        (0.705, 4, 0.0129),
        (0.7575, 4, 0.0171),
    ]
    (difference,) = auc.differences
    assert difference.method == "Welch's t"
    assert difference.low < difference.estimate < difference.high
    assert difference.p_value < difference.corrected_p < 0.01
    assert difference.effect_low < difference.effect < difference.effect_high
    assert difference.sentence.startswith("auc of high (4 runs) is higher than that of low (4 runs) by 0.0525 (95 %")
    # The corrected p is that of two tests: the seeds were logged as a metric too, and do not differ.
    assert seed.differences[0].corrected_p == seed.differences[0].p_value == 1
    assert difference.corrected_p == pytest.approx(2 * difference.p_value)
    paired = (await compare(alice, low, high, design=pb.RUN_DESIGN_PAIRED)).metrics
    assert paired[0].differences[0].method == "paired t"
    assert paired[0].differences[0].p_value < difference.p_value
    assert paired[1].differences[0].sentence.startswith("not tested: b: the runs do not vary at all")
    folds = (await compare(alice, low, high, design=pb.RUN_DESIGN_RESAMPLED, test_share=0.25)).metrics[0]
    assert folds.differences[0].p_value > paired[0].differences[0].p_value
    ranks = (await compare(alice, low, high, ranks=True)).metrics[0].differences[0]
    assert (ranks.method, ranks.HasField("low")) == ("Mann-Whitney", True)
    pairs = (await compare(alice, low, high, ranks=True, design=pb.RUN_DESIGN_PAIRED)).metrics[0].differences[0]
    # Four pairs are too few for an interval by ranks.
    assert (pairs.method, pairs.HasField("low")) == ("Wilcoxon's signed ranks", False)


async def test_metrics_that_not_every_run_has_or_that_are_not_finite(alice: Any) -> None:
    await alice.experiment()
    first = [await ran(alice, metrics={"auc": value, "f1": value}) for value in LOW]
    other = [await ran(alice, metrics={"auc": math.inf if n == 1 else v}) for n, v in enumerate(HIGH)]
    other[0] = await ran(alice, metrics={"f1": 0.7})
    found = await compare(alice, ",".join(first), ",".join(other), design=pb.RUN_DESIGN_PAIRED)
    auc, f1 = found.metrics
    assert auc.columns[1].runs == 3
    assert auc.differences[0].estimate == math.inf
    assert auc.differences[0].sentence == "not tested: b: inf is not allowed; finite numbers are needed"
    assert f1.differences[0].sentence.endswith("there are 4 and 1")


async def test_versions_are_compared_with_the_runs_that_they_came_from(alice: Any) -> None:
    await alice.experiment()
    await alice.model()
    digest = (await alice.upload()).digest
    column = dataset_pb2.Column(name="hour", type="float")
    request = dataset_pb2.RegisterDatasetVersionRequest(dataset="flights", digest=digest, rows=1, schema=[column])
    await alice.datasets.RegisterDatasetVersion(request)
    environment = experiment_pb2.Environment(python="3.11", packages={"xgboost": "3.2"})
    read = [experiment_pb2.RunDataset(dataset="flights", version=1, digest=digest)]
    run = await ran(alice, metrics={"auc": 0.7}, parameters={"depth": 6}, environment=environment, datasets=read)
    await alice.version(version="1.0.0", run_id=run)
    await alice.version(version="1.1.0", metrics={"auc": 0.72}, flavor="onnx")
    named = ["flight-delay/1.0.0", "flight-delay/1.1.0"]
    found = await alice.comparisons.CompareVersions(pb.CompareVersionsRequest(versions=named))
    assert [(c.name, list(c.run_ids), c.size_bytes) for c in found.columns] == [
        ("flight-delay/1.0.0", [run], 7),
        ("flight-delay/1.1.0", [], 7),
    ]
    assert found.metrics[0].differences[0].estimate == pytest.approx(0.02)
    assert [(v.name, list(v.values)) for v in found.parameters] == [("depth", ["6", ""])]
    assert [(v.name, list(v.values)) for v in found.datasets] == [("flights", [f"version 1 ({digest[:12]})", ""])]
    assert [(v.name, list(v.values)) for v in found.environment] == [
        ("flavor", ["xgboost", "onnx"]),
        ("package xgboost", ["3.2", ""]),
        ("python", ["3.11", ""]),
    ]


async def test_datasets_that_only_a_client_knows_are_compared_too(alice: Any) -> None:
    await alice.experiment()
    ids = [await ran(alice, metrics={"auc": 0.7}) for _ in range(2)]
    for run_id, digests in zip(ids, (["aa", "bb"], ["aa", "cc"]), strict=True):
        read = [experiment_pb2.DatasetInput(name="dataset", digest=digest) for digest in digests]
        await alice.experiments.LogInputs(experiment_pb2.LogInputsRequest(run_id=run_id, datasets=read))
    found = await compare(alice, *ids)
    assert [(v.name, list(v.values), v.differs) for v in found.datasets] == [("dataset", ["aa, bb", "aa, cc"], True)]


async def test_a_comparison_as_of_then(alice: Any) -> None:
    await alice.experiment()
    ids = [await ran(alice, metrics={"auc": value}) for value in (0.7, 0.8)]
    then = (await alice.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=ids[1]))).position
    points = [experiment_pb2.MetricPoint(name="auc", value=0.9, step=1)]
    await alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=ids[1], metrics=points))
    now, past = (await compare(alice, *ids), await compare(alice, *ids, read=common.ReadOptions(as_of=str(then))))
    assert [found.metrics[0].columns[1].mean for found in (now, past)] == [0.9, 0.8]


async def test_what_cannot_be_compared_is_refused_by_name(alice: Any, registry: Any) -> None:
    await alice.experiment()
    a, b, c = [await ran(alice, metrics={"auc": 0.7}) for _ in range(3)]
    refused: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
        ((a,), {}, "runs: "),
        ((a, f"{b},{b}"), {}, rf"runs\[1\]: names run {b} twice"),
        ((a, f"{b},"), {}, r"runs\[1\]: .*a run's id, or several joined by commas"),
        ((a, f"{b},{c}"), {"design": pb.RUN_DESIGN_PAIRED}, r"runs\[1\]: names 2 runs; paired runs are as many"),
        ((a, b), {"design": pb.RUN_DESIGN_RESAMPLED}, "test_share: 0.0 is not allowed; the share of the rows held out"),
        ((a, b), {"design": pb.RUN_DESIGN_RESAMPLED, "ranks": True}, "ranks: true is not allowed"),
    ]
    for runs, fields, said in refused:
        with pytest.raises(Invalid, match=said):
            await compare(alice, *runs, **fields)
    with pytest.raises(NotFound, match="there is no run 'nowhere'"):
        await compare(alice, a, "nowhere")
    with pytest.raises(NotFound, match="there is no run"):
        await compare(registry.person("eve", tenant="other"), a, b)
    with pytest.raises(Invalid, match="versions"):
        await alice.comparisons.CompareVersions(pb.CompareVersionsRequest(versions=["flight-delay", "x/1.0.0"]))
    with pytest.raises(NotFound, match="there is no version '9.9.9' of a model 'x'"):
        await alice.comparisons.CompareVersions(pb.CompareVersionsRequest(versions=["x/9.9.9", "x/1.0.0"]))


def test_a_registry_that_compares_nothing_loads_no_statistics() -> None:
    told = "import sys, modelog_registry.app; print('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "False\n"
