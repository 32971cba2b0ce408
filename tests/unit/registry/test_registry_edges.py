"""What lies between messages and decisions: JSON objects, and rows made of a log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.events.store import StoredEvent
from modelog_registry.api.values import object_of
from modelog_registry.experiment.state import Experiment
from modelog_registry.model.state import Model
from modelog_registry.read.project import experiment_rows, model_rows, run_rows
from modelog_registry.run.state import Run

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
SCALARS = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_a_json_object_passes_through_a_message(value: dict[str, Any]) -> None:
    message = Struct()
    message.update(value)
    assert object_of(Struct.FromString(message.SerializeToString())) == value


def test_whole_numbers_are_whole_again() -> None:
    message = Struct()
    message.update({"depth": 6, "eta": 0.5, "huge": 1e300})
    read = object_of(message)
    assert [type(read[key]) for key in ("depth", "eta", "huge")] == [int, float, float]


def test_a_value_of_no_kind_is_null() -> None:
    assert object_of(Struct(fields={"a": Value()})) == {"a": None}


@pytest.mark.parametrize(("rows", "state"), [(model_rows, Model()), (experiment_rows, Experiment()), (run_rows, Run())])
def test_a_log_without_a_beginning_makes_no_rows(rows: Callable[[Any, StoredEvent], Any], state: Any) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stored = StoredEvent(1, "id", "registry.x-1", 1, "registry.X", 1, now, "acme", "alice", "", "", "", b"{}")
    with pytest.raises(ValueError, match=r"registry\.x-1 has registry\.X before"):
        rows(state, stored)
