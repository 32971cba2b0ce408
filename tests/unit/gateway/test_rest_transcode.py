"""JSON, paths and queries become messages and come back; what does not fit is refused by the name the caller wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import FieldViolation, Invalid
from modelog_gateway.rest.contracts import Route, routes
from modelog_gateway.rest.mismatch import mismatch
from modelog_gateway.rest.transcode import request_message, to_json
from modelog_proto.gateway.v1 import identity_pb2
from modelog_proto.registry.v1 import artifact_pb2, experiment_pb2

ROUTES = {(r.verb, r.path): r for r in routes()}
MODELS = ROUTES["POST", "/api/v1/models"]
LIST_MODELS = ROUTES["GET", "/api/v1/models"]
EVENTS = ROUTES["GET", "/api/v1/events"]
LOG_RUN = ROUTES["POST", "/api/v1/runs/{run_id}/log"]
DATASET_VERSION = ROUTES["GET", "/api/v1/datasets/{dataset}/versions/{version}"]
VERSIONS = ROUTES["POST", "/api/v1/models/{model}/versions"]
TEXT = st.text(st.characters(exclude_categories=("Cs",)))
FINITE = st.floats(allow_nan=False)


def refused(
    route: Route, body: bytes | str = b"", *, path: dict[str, str] | None = None, query: Sequence[tuple[str, str]] = ()
) -> Invalid:
    with pytest.raises(Invalid) as caught:
        request_message(route, path or {}, query, body.encode() if isinstance(body, str) else body)
    assert len(caught.value.violations) == 1
    return caught.value


def read_or_refused(route: Route, path: dict[str, str], body: bytes) -> None:
    """Nothing but Invalid, which names a field and says what is wrong with it, may come of a body."""
    violations: Sequence[FieldViolation] = ()
    try:
        request_message(route, path, [], body)
    except Invalid as error:
        violations = error.violations
    assert all(v.field and v.description for v in violations)


def field_of(error: Invalid) -> str:
    return error.violations[0].field


@given(
    st.builds(
        experiment_pb2.LogRunRequest,
        run_id=TEXT,
        metrics=st.lists(
            st.builds(experiment_pb2.MetricPoint, name=TEXT, value=FINITE, step=st.integers(-(2**63), 2**63 - 1))
        ),
        tags=st.dictionaries(TEXT, TEXT),
        request_id=TEXT,
    )
)
def test_what_is_written_as_json_is_read_back(message: experiment_pb2.LogRunRequest) -> None:
    assert request_message(LOG_RUN, {}, [], to_json(message).encode()) == message


@given(
    st.recursive(
        st.none() | st.booleans() | FINITE | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
    )
)
def test_any_json_is_read_or_refused_by_field(value: object) -> None:
    read_or_refused(LOG_RUN, {"run_id": "r"}, json.dumps(value).encode())


FIELDS = ("metrics", "tags", "artifacts", "parameters", "request_id", "runId", "nothing")


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.recursive(
            st.none() | st.booleans() | st.integers() | FINITE | TEXT,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("name", "value", "step", "x")), inner)
            ),
            max_leaves=6,
        ),
    )
)
def test_nearly_right_json_is_read_or_refused_by_field(fields: dict[str, object]) -> None:
    read_or_refused(LOG_RUN, {"run_id": "r"}, json.dumps(fields).encode())


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read_or_refused(MODELS, {}, body)


def test_numbers_that_json_cannot_write_are_texts() -> None:
    message = experiment_pb2.LogRunRequest(metrics=[experiment_pb2.MetricPoint(name="loss", value=math.nan)])
    assert json.loads(to_json(message))["metrics"][0]["value"] == "NaN"
    again = request_message(LOG_RUN, {"run_id": "r"}, [], to_json(message).replace('"run_id": "", ', "").encode())
    assert math.isnan(again.metrics[0].value)  # type: ignore[attr-defined]


def test_empty_fields_are_written_too() -> None:
    assert json.loads(to_json(identity_pb2.ListUsersResponse())) == {"users": [], "next_page_token": ""}


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ("{", "body", "is not JSON"),
        (b"\xff\xfe\xfd", "body", "is not JSON"),
        ("[1]", "body", "is a JSON list; it must be an object"),
        ("null", "body", "is a JSON NoneType; it must be an object"),
        ("1" * 5000, "body", "is not JSON"),
        ("[" * 100_000, "body", "is not JSON"),
        ('{"name": 5}', "name", "5 is not allowed; it must be text"),
        ('{"nme": "x"}', "nme", "is not a field of this request"),
        ('{"tags": {"a": 1}}', 'tags["a"]', "1 is not allowed; it must be text"),
        ('{"tags": ["a"]}', "tags", "it must be an object, and each value in it text"),
        ('{"name": "\\ud800"}', "name", "it must be text"),
    ],
)
def test_a_wrong_body_is_refused_by_field(body: bytes | str, field: str, text: str) -> None:
    error = refused(MODELS, body)
    assert (field_of(error), text in str(error)) == (field, True), str(error)


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ('{"metrics": [{"name": "a", "value": "many"}]}', "metrics[0].value", 'a number, "NaN"'),
        ('{"metrics": [{"name": "a"}, {"name": "b", "step": 1.5}]}', "metrics[1].step", "1.5 is not allowed"),
        ('{"metrics": [{"name": "a", "step": 9223372036854775808}]}', "metrics[0].step", "to 9223372036854775807"),
        ('{"metrics": [{"nme": "a"}]}', "metrics[0].nme", "is not a field of this request"),
        ('{"metrics": {"name": "a"}}', "metrics", "it must be a list, and each value in it an object"),
        ('{"metrics": [null]}', "metrics[0]", "null is not allowed; it must be an object"),
        ('{"metrics": [{"name": "a", "at": "soon"}]}', "metrics[0].at", "an RFC 3339 time"),
        ('{"parameters": [1]}', "parameters", "[1] is not allowed; it must be an object"),
        ('{"parameters": "' + "x" * 99 + '"}', "parameters", "…"),
    ],
)
def test_a_wrong_field_inside_is_named_by_its_path(body: str, field: str, text: str) -> None:
    error = refused(LOG_RUN, body, path={"run_id": "r"})
    assert (field_of(error), text in str(error)) == (field, True), str(error)


def test_a_wrong_enum_is_told_what_there_is() -> None:
    promote = ROUTES["POST", "/api/v1/models/{model}/versions/{version}/promotions"]
    error = refused(promote, '{"stage": "best"}', path={"model": "m", "version": "1.0.0"})
    assert field_of(error) == "stage"
    assert '"best" is not allowed; it must be one of STAGE_UNSPECIFIED, STAGE_DEVELOPMENT' in str(error)


def test_a_wrong_bool_and_wrong_bytes_are_told_what_there_is() -> None:
    policy = ROUTES["POST", "/api/v1/retraining-policies"]
    assert "it must be true or false" in str(refused(policy, '{"on_drift": "yes"}'))
    upload = artifact_pb2.DESCRIPTOR.services_by_name["ArtifactStore"].methods_by_name["UploadArtifact"]
    assert "it must be base64 text" in str(refused(Route("POST", "/x", "registry", upload, True), '{"chunk": 1}'))


def test_the_path_fills_its_fields_and_must_agree_with_the_body() -> None:
    message = request_message(VERSIONS, {"model": "flights"}, [], b'{"version": "1.0.0"}')
    assert (message.model, message.version) == ("flights", "1.0.0")  # type: ignore[attr-defined]
    assert request_message(VERSIONS, {"model": "a"}, [], b'{"model": "a"}').model == "a"  # type: ignore[attr-defined]
    error = refused(VERSIONS, '{"model": "b"}', path={"model": "a"})
    assert str(error) == "model: is 'b' in the body and 'a' in the path; they must be the same"


def test_a_number_in_the_path_must_be_one() -> None:
    message = request_message(DATASET_VERSION, {"dataset": "d", "version": "3"}, [], b"")
    assert message.version == 3  # type: ignore[attr-defined]
    assert field_of(refused(DATASET_VERSION, path={"dataset": "d", "version": "three"})) == "version"
    assert field_of(refused(DATASET_VERSION, path={"dataset": "d", "version": "99999999999"})) == "version"


def test_short_names_stand_for_nested_fields() -> None:
    query = [("as_of", "12"), ("at_least", "7"), ("page_size", "5"), ("page_token", "t")]
    message = request_message(LIST_MODELS, {}, query, b"")
    assert message.read.as_of == "12"  # type: ignore[attr-defined]
    assert message.read.at_least == 7  # type: ignore[attr-defined]
    assert (message.page.size, message.page.token) == (5, "t")  # type: ignore[attr-defined]
    assert request_message(EVENTS, {}, [("newest_first", "true")], b"").newest_first  # type: ignore[attr-defined]
    assert not request_message(EVENTS, {}, [("newest_first", "false")], b"").newest_first  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("route", "query", "field", "text"),
    [
        (LIST_MODELS, [("as_off", "1")], "as_off", "there are as_of, at_least, page_size, page_token"),
        (LIST_MODELS, [("read", "1")], "read", "is not a parameter here"),
        (LIST_MODELS, [("page_size", "many")], "page_size", "many"),
        (LIST_MODELS, [("page_size", "1"), ("page_size", "2")], "page_size", "more than once"),
        (EVENTS, [("newest_first", "yes")], "newest_first", "must be true or false"),
        (EVENTS, [("after", "1e3x")], "after", "1e3x"),
        (MODELS, [("name", "x")], "name", "stands in the body"),
        (ROUTES["GET", "/api/v1/me"], [("x", "1")], "x", "there are none"),
    ],
)
def test_a_wrong_query_is_refused_as_it_was_written(
    route: Route, query: list[tuple[str, str]], field: str, text: str
) -> None:
    error = refused(route, query=query)
    assert (field_of(error), text in str(error)) == (field, True), str(error)


def test_a_repeated_field_may_be_given_more_than_once_in_a_query() -> None:
    method = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"].methods_by_name["CreateUser"]
    route = Route("GET", "/x", "gateway", method, has_body=False)
    message = request_message(route, {}, [("roles", "viewer"), ("roles", "admin")], b"")
    assert list(message.roles) == ["viewer", "admin"]  # type: ignore[attr-defined]


def test_what_is_nested_too_deep_is_refused_by_field() -> None:
    deep: object = 1
    for _ in range(120):
        deep = {"x": deep}
    error = refused(LOG_RUN, json.dumps({"parameters": deep}), path={"run_id": "r"})
    assert (field_of(error), "at most 100 deep" in str(error)) == ("parameters", True)


def test_what_fits_field_by_field_and_not_together_is_refused_all_the_same() -> None:
    error = mismatch(LOG_RUN.method.input_type, {"run_id": "r"}, {})
    assert str(error) == "body: does not fit the request"
