"""What comes in and goes out at monitoring's edges: requests, signatures, Parquet files, figures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from modelog_common.domain.errors import Invalid
from modelog_monitoring.api import parse
from modelog_monitoring.data.rows import Rows
from modelog_monitoring.handle.reference import columns_of_parquet
from modelog_monitoring.monitor.events import Channel, ChannelKind, DatasetRef, DriftLimits
from modelog_monitoring.monitor.window import WindowUnit
from modelog_monitoring.peers import champion_of
from modelog_monitoring.react.compared import comparison_of
from modelog_monitoring.react.figures import findings_of
from modelog_monitoring.scoring import _request, _scores
from modelog_monitoring.signature import features_of, kinds_of
from modelog_monitoring.stats.profile import Kind, profile_of
from modelog_proto.common.v1.common_pb2 import DatasetRef as DatasetRefMessage
from modelog_proto.inference.grpc_predict_v2_pb2 import InferTensorContents, ModelInferResponse
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.registry.v1.model_pb2 import Signature, TensorSpec
from modelog_proto.serving.v1.deployment_pb2 import Deployment, Variant
from modelog_proto.training.v1.training_pb2 import JobSpec

Output = ModelInferResponse.InferOutputTensor
TWO = Signature(
    inputs=[
        TensorSpec(
            name="when", datatype="FP32", shape=[-1, 2], columns=["hour", "day"], kinds=["numeric", "categorical"]
        ),
        TensorSpec(name="wind", datatype="FP64", shape=[-1]),
        TensorSpec(name="gust", datatype="FP32", shape=[-1, 2]),
    ]
)


def monitor_request(**fields: Any) -> pb.CreateMonitorRequest:
    whole: dict[str, Any] = {
        "name": "m", "deployment": "d", "window": pb.WINDOW_UNIT_WEEK,
        "reference": [DatasetRefMessage(dataset="flights", version=2)],
    }  # fmt: skip
    return pb.CreateMonitorRequest(**{**whole, **fields})


def test_zeros_take_the_defaults_of_the_contract() -> None:
    new = parse.new_monitor(monitor_request())
    assert (new.window, new.reference) == (WindowUnit.WEEK, (DatasetRef("flights", 2),))
    assert (new.drift, new.auc_loss) == (DriftLimits(0.05, 0.1, 0.1, 0.0), 0.02)
    policy = parse.create_policy(pb.CreateRetrainingPolicyRequest(name="p", monitor="m", dataset="flights"))
    assert (policy.evaluation_rows, policy.canary_percent, policy.canary_rows) == (10_000, 10.0, 2_500)
    assert (policy.canary.alpha, policy.canary.margin) == (0.05, 0.005)
    strict = pb.CreateRetrainingPolicyRequest(name="p", monitor="m", dataset="flights", canary_margin=0)
    assert parse.create_policy(strict).canary.margin == 0, "no margin is not the usual one"


def test_what_is_given_is_taken() -> None:
    new = parse.new_monitor(
        monitor_request(
            drift=pb.DriftThresholds(false_discovery_rate=0.01, ks_distance=0.2, cramers_v=0.3, feature_share=0.5),
            quality=pb.QualityThresholds(auc_loss=0.05),
            channels=[pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url="http://x")],
        )
    )
    assert new.drift == DriftLimits(0.01, 0.2, 0.3, 0.5)
    assert (new.auc_loss, new.channels) == (0.05, (Channel(ChannelKind.SLACK, "http://x"),))
    job = JobSpec(name="fit", experiment="e", entry_point="a:b")
    job.parameters["depth"] = 6
    policy = parse.create_policy(pb.CreateRetrainingPolicyRequest(job=job, canary_percent=25))
    assert policy.job == {"name": "fit", "experiment": "e", "entry_point": "a:b", "parameters": {"depth": 6.0}}
    assert policy.canary_percent == 25


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"window": 99}, "window"),
        ({"channels": [pb.AlertChannel(kind=9, url="http://x")]}, "channels[0].kind"),  # type: ignore[arg-type]
        ({"drift": pb.DriftThresholds(false_discovery_rate=1)}, "drift.false_discovery_rate"),
    ],
)
def test_what_is_not_known_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse.new_monitor(monitor_request(**fields))
    assert [v.field for v in refused.value.violations] == [field]


def test_columns_have_the_names_that_the_prediction_log_gives_them() -> None:
    assert features_of(TWO) == ("hour", "day", "wind", "gust[0]", "gust[1]")
    numeric, categorical = Kind.NUMERIC, Kind.CATEGORICAL
    assert list(kinds_of(TWO).values()) == [numeric, categorical, numeric, numeric, numeric]
    with pytest.raises(Invalid, match="names no inputs"):
        kinds_of(Signature())


def test_the_champion_has_most_of_the_traffic() -> None:
    variants = [Variant(version="1.0.0", percent=10), Variant(version="1.1.0", percent=90)]
    assert champion_of(Deployment(variants=variants)) == "1.1.0"
    assert champion_of(Deployment()) == ""


def test_features_are_cut_into_the_tensors_of_the_signature() -> None:
    features = np.arange(10, dtype=np.float32).reshape(2, 5)
    request = _request("flights", "1.1.0", TWO, features)
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [
        ("when", "FP32", [2, 2]), ("wind", "FP64", [2, 1]), ("gust", "FP32", [2, 2]),
    ]  # fmt: skip
    assert np.frombuffer(request.raw_input_contents[1], "<f8").tolist() == [2, 7]
    assert np.frombuffer(request.raw_input_contents[2], "<f4").tolist() == [3, 4, 8, 9]
    with pytest.raises(Invalid, match="has datatype INT8; FP32 or FP64 is needed"):
        _request("flights", "1.1.0", Signature(inputs=[TensorSpec(name="x", datatype="INT8")]), features)


def test_scores_are_the_last_output_in_either_form() -> None:
    both = Output(
        name="p", datatype="FP32", shape=[2, 2], contents=InferTensorContents(fp32_contents=[0.75, 0.25, 0, 1])
    )
    assert _scores(ModelInferResponse(outputs=[both]), 2).tolist() == [0.25, 1]
    raw = ModelInferResponse(outputs=[Output(name="p", datatype="FP64", shape=[2])])
    raw.raw_output_contents.append(np.array([0.5, 0.75]).tobytes())
    assert _scores(raw, 2).tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ModelInferResponse(model_name="flights", model_version="1.1.0"), "flights 1.1.0 answered without outputs"),
        (ModelInferResponse(outputs=[Output(name="p", datatype="BYTES")]), "has datatype BYTES"),
        (ModelInferResponse(outputs=[Output(name="p", datatype="FP32")]), "holds 0 numbers for 2 rows"),
    ],
)
def test_other_answers_are_refused(answer: ModelInferResponse, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        _scores(answer, 2)


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def test_a_reference_is_read_as_models_get_it() -> None:
    content = parquet(late=[True, False], wind=[None, 2.1], hour=[1, 2], name=["a", "b"])
    table = columns_of_parquet(content, ["hour", "wind", "late"], "reference[0]", "flights version 1")
    assert table.dtype == np.float32
    assert table[:, [0, 2]].tolist() == [[1, 1], [2, 0]]
    assert np.isnan(table[0, 1])
    assert table[1, 1] == np.float32(2.1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (parquet(hour=[1.0]), "lacks the columns wind that the deployed model takes"),
        (parquet(hour=[1.0], wind=["strong"]), "has wind as String; models take numbers"),
        (parquet(hour=[1.0], wind=[2.0])[:50], "is not a readable Parquet file"),
        (pl.DataFrame({"hour": [], "wind": []}, schema={"hour": pl.Float32, "wind": pl.Float32}), "has no rows"),
    ],
)
def test_other_files_are_refused(content: Any, reason: str) -> None:
    if isinstance(content, pl.DataFrame):
        content = parquet(**{name: content[name] for name in content.columns})
    with pytest.raises(Invalid, match=reason) as refused:
        columns_of_parquet(content, ["hour", "wind"], "reference[1]", "flights version 2")
    assert [v.field for v in refused.value.violations] == ["reference[1]"]


def rows_of(features: Any, scores: Any, labels: Any) -> Rows:
    count = len(features)
    return Rows(
        np.arange(count), ("hour", "day"), np.asarray(features, np.float32), np.asarray(scores, np.float32),
        ("1.0.0", "1.1.0"), np.arange(count) % 2, np.asarray(labels, np.float64), np.full(count, np.nan),
    )  # fmt: skip


REFERENCE = profile_of(
    np.stack([np.linspace(0, 1, 400), np.arange(400) % 3], axis=1), {"hour": Kind.NUMERIC, "day": Kind.CATEGORICAL}
)


def test_figures_of_a_window_with_two_versions() -> None:
    random = np.random.default_rng(1)
    features = np.stack([random.random(300) + 3, random.integers(0, 3, 300)], axis=1)
    labels = random.integers(0, 2, 300).astype(float)
    labels[:100] = np.nan
    found = findings_of(REFERENCE, DriftLimits(), rows_of(features, random.random(300), labels))
    assert (found.predictions, found.labelled) == (300, 200)
    assert found.predictions_by_version == {"1.0.0": 150, "1.1.0": 150}
    assert [(f.feature, f.test, f.drifted) for f in found.features] == [("hour", "ks", True), ("day", "chi2", False)]
    assert found.quality is not None
    assert found.quality.rows == 200
    assert {v: q.rows for v, q in found.by_version.items()} == {"1.0.0": 100, "1.1.0": 100}
    assert found.note == ""


def test_a_missing_column_is_told_as_what_is_missing() -> None:
    features = np.stack([np.full(300, np.nan), np.arange(300) % 3], axis=1)
    found = findings_of(REFERENCE, DriftLimits(), rows_of(features, np.zeros(300), np.full(300, np.nan)))
    hour = found.features[0]
    assert (hour.test, hour.drifted, hour.missing_share) == ("missing", True, 1.0)
    assert found.quality is None
    assert found.by_version == {}


def test_what_cannot_be_judged_is_said_and_the_rest_is_judged() -> None:
    features = np.full((4, 2), 0.5)
    found = findings_of(REFERENCE, DriftLimits(), rows_of(features, [7, 0.1, 0.2, 0.3], [1, 0, 1, 0]))
    assert found.features == ()
    assert "drift could not be judged: day: 0.5 is not allowed" in found.note
    assert "quality could not be judged: scores: 7.0 is not allowed" in found.note
    assert list(found.by_version) == ["1.1.0"]


def test_a_comparison_of_too_few_rows_has_no_figures() -> None:
    rows = rows_of([[1, 1]], [0.5], [1])
    compared = comparison_of(rows, np.array([0.5]), np.array([0.6]))
    assert (compared.rows, compared.auc, compared.log_loss) == (1, None, None)
