"""MLflow's filter language: the examples of its documentation, and refusals that name the place."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid
from modelog_gateway.mlflow.filters.conditions import Condition, Kind, Order, Vocabulary, parse_filter, parse_order
from modelog_gateway.mlflow.filters.vocabularies import EXPERIMENTS, LOGGED_MODELS, RUNS

M, P, T, A, D = Kind.METRIC, Kind.PARAMETER, Kind.TAG, Kind.ATTRIBUTE, Kind.DATASET


# From https://mlflow.org/docs/latest/search-runs and search-experiments.
@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        ("  ", []),
        ("metrics.accuracy > 0.72", [Condition(M, "accuracy", ">", 0.72)]),
        ("metrics.loss <= 0.15", [Condition(M, "loss", "<=", 0.15)]),
        ("metrics.accuracy != 0.15", [Condition(M, "accuracy", "!=", 0.15)]),
        ("metrics.`f1 score` >= -1e-3", [Condition(M, "f1 score", ">=", -1e-3)]),
        ("metric.a=1", [Condition(M, "a", "=", 1)]),
        ("metrics.`cross-entropy` < .5", [Condition(M, "cross-entropy", "<", 0.5)]),
        ("params.batch_size = '2'", [Condition(P, "batch_size", "=", "2")]),
        ("params.model LIKE 'GPT%'", [Condition(P, "model", "LIKE", "GPT%")]),
        ("param.model ilike 'gpt%'", [Condition(P, "model", "ILIKE", "gpt%")]),
        ('params."learning rate" = "0.1"', [Condition(P, "learning rate", "=", "0.1")]),
        ("tags.mlflow.parentRunId = '1'", [Condition(T, "mlflow.parentRunId", "=", "1")]),
        ("tags.`mlflow.parentRunId` = '1'", [Condition(T, "mlflow.parentRunId", "=", "1")]),
        ("tag.environment = 'it''s'", [Condition(T, "environment", "=", "it's")]),
        ("tags.missing IS NULL", [Condition(T, "missing", "IS NULL", None)]),
        ("params.there is not null", [Condition(P, "there", "IS NOT NULL", None)]),
        ("status = 'FAILED'", [Condition(A, "status", "=", "FAILED")]),
        ("attributes.status != 'RUNNING'", [Condition(A, "status", "!=", "RUNNING")]),
        ("attribute.run_name LIKE '%ab%'", [Condition(A, "run_name", "LIKE", "%ab%")]),
        ("attributes.`Run name` = 'x'", [Condition(A, "run_name", "=", "x")]),
        ("run.created > 17", [Condition(A, "start_time", ">", 17)]),
        ("start_time >= 1664067852747", [Condition(A, "start_time", ">=", 1664067852747)]),
        ("run_id IN ('a', 'b')", [Condition(A, "run_id", "IN", ("a", "b"))]),
        ("attributes.run_id NOT IN ('a')", [Condition(A, "run_id", "NOT IN", ("a",))]),
        ("dataset.name = 'mnist'", [Condition(D, "name", "=", "mnist")]),
        ("datasets.digest IN ('s8ds293b', 'jks834s2')", [Condition(D, "digest", "IN", ("s8ds293b", "jks834s2"))]),
        ("dataset.context ILIKE '%train%'", [Condition(D, "context", "ILIKE", "%train%")]),
        (
            "metrics.rmse < 1 AND params.model = 'tree' and\n tags.x != 'AND'",
            [Condition(M, "rmse", "<", 1), Condition(P, "model", "=", "tree"), Condition(T, "x", "!=", "AND")],
        ),
        ("params.名前 = '値'", [Condition(P, "名前", "=", "値")]),
    ],
)  # fmt: skip
def test_runs(text: str, conditions: list[Condition]) -> None:
    assert parse_filter(text, RUNS) == conditions


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("name = 'x'", [Condition(A, "name", "=", "x")]),
        ("attribute.name LIKE 'x%'", [Condition(A, "name", "LIKE", "x%")]),
        ("name != 'x' AND tags.a = 'b'", [Condition(A, "name", "!=", "x"), Condition(T, "a", "=", "b")]),
        ("creation_time < 5", [Condition(A, "creation_time", "<", 5)]),
        ("experiment_id IN ('1')", [Condition(A, "experiment_id", "IN", ("1",))]),
    ],
)  # fmt: skip
def test_experiments(text: str, conditions: list[Condition]) -> None:
    assert parse_filter(text, EXPERIMENTS) == conditions


def test_logged_models() -> None:
    text = "name IN ('a', 'b') AND metrics.acc > 0.9 AND creation_time > 1 AND params.x = 'y'"
    assert parse_filter(text, LOGGED_MODELS) == [
        Condition(A, "name", "IN", ("a", "b")),
        Condition(M, "acc", ">", 0.9),
        Condition(A, "creation_timestamp", ">", 1),
        Condition(P, "x", "=", "y"),
    ]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("metrics.a > 1 OR metrics.b > 2", "at character 15, 'OR': expected AND or the end"),
        ("metrics.a >", "at its end: expected a number"),
        ("metrics.a > 'x'", "at character 13, \"'x'\": expected a number"),
        ("metrics.a LIKE 'x'", "at character 11, 'LIKE': metric 'a' cannot be compared so; allowed: =, !=, <"),
        ("metrics.a IS NULL", "at character 11, 'IS': metric 'a' cannot be compared so"),
        ("params.a = 5", "at character 12, '5': expected a text in quotes"),
        ("params.a > '5'", "at character 10, '>': parameter 'a' cannot be compared so; allowed: =, !=, LIKE"),
        ("params.a == '5'", "at character 10, '==': parameter 'a' cannot be compared so"),
        ("params.a = 'open", 'at character 12, "\'open": the quote is not closed'),
        ("params.a-b = 'x'", "at character 9, '-b': is not part of the language"),
        ("tags.a IN ('x')", "at character 8, 'IN': tag 'a' cannot be compared so"),
        ("run_name IN ('x')", "at character 10, 'IN': attribute 'run_name' cannot be compared so"),
        ("run_id IN 'x'", "at character 11, \"'x'\": expected a list"),
        ("run_id IN ('x' 'y')", "at character 16, \"'y'\": expected , or ) in the list"),
        ("run_id IN ()", "at character 12, ')': expected a text in quotes"),
        ("color = 'red'", "at character 1, 'color': there is no attribute 'color'; there are end_time, run_id,"),
        ("model.color = 'red'", "there is no 'model' to search by; a name begins with attribute., metric.,"),
        ("dataset.color = 'red'", "a dataset has no 'color'; there are name, digest, context"),
        ("= 5", "at character 1, '=': expected a name"),
        ("tags.a IS 5", "at character 11, '5': expected NULL or NOT NULL"),
        ("metrics.a", "at its end: expected a comparison"),
        ("metrics.a > 1 AND", "at its end: expected a name"),
        ("metrics.a > 1; DROP TABLE runs", "at character 14, ';': is not part of the language"),
    ],
)
def test_refusals_name_the_place(text: str, trouble: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter(text, RUNS)
    assert trouble in str(caught.value)
    assert caught.value.violations[0].field == "filter"


def test_experiments_have_no_metrics() -> None:
    with pytest.raises(Invalid, match="a name begins with attribute., tag."):
        parse_filter("metrics.a > 1", EXPERIMENTS)


@pytest.mark.parametrize(
    ("text", "vocabulary", "order"),
    [
        ("metrics.acc DESC", RUNS, Order(M, "acc", True)),
        ("metrics.`a b` asc", RUNS, Order(M, "a b")),
        ('params."a b"', RUNS, Order(P, "a b")),
        ("start_time", RUNS, Order(A, "start_time")),
        ("attributes.Created desc", RUNS, Order(A, "start_time", True)),
        ("tags.mlflow.user", RUNS, Order(T, "mlflow.user")),
        ("last_update_time DESC", EXPERIMENTS, Order(A, "last_update_time", True)),
    ],
)
def test_orders(text: str, vocabulary: Vocabulary, order: Order) -> None:
    assert parse_order(text, vocabulary) == order


@pytest.mark.parametrize("text", ["", "metrics.a down", "metrics.a DESC, metrics.b", "color", "5"])
def test_orders_that_are_none(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_order(text, RUNS)
    assert caught.value.violations[0].field == "order_by"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        parse_filter(text, RUNS)


@given(st.text(), st.text())
def test_any_key_and_value_can_be_written(key: str, value: str) -> None:
    quoted = f"tags.`{key.replace('`', '``')}` = '{value.replace(chr(39), chr(39) * 2)}'"
    assert parse_filter(quoted, RUNS) == [Condition(T, key, "=", value)]
