"""The rows that runs are searched by: one for each metric, parameter, tag and dataset of a run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from modelog_common.read.tables import Change, Put, Remove

from modelog_registry.read import tables
from modelog_registry.run.events import (
    DatasetInput,
    MetricsSealed,
    Point,
    RunEvent,
    RunInputsLogged,
    RunLogged,
    RunStarted,
    RunTagged,
)
from modelog_registry.run.state import Run

METRIC, PARAMETER, TAG, DATASET = "metric", "parameter", "tag", "dataset"
# MLflow's clients tell in a tag of a dataset what it was read for.
CONTEXT = "mlflow.data.context"
WORD, LONGEST = 60, 8000
# MariaDB has no infinity.
LARGEST = 1.7976931348623157e308


@lru_cache(maxsize=10_000)
def field_of(kind: str, name: str) -> str:
    """The short name under which values of a kind and a name stand."""
    return hashlib.blake2b(f"{kind}\x1f{name}".encode(), digest_size=10).hexdigest()


def values_changed(run: Run, event: RunEvent) -> Iterator[Change]:
    """What an event changed of a run that is now as `run`."""
    match event:
        case RunStarted(parameters=parameters, tags=tags):
            yield from _texts(run, PARAMETER, parameters)
            yield from _texts(run, TAG, tags)
        case RunLogged(parameters=parameters, tags=tags, metrics=points):
            yield from _texts(run, PARAMETER, parameters)
            yield from _texts(run, TAG, tags)
            yield from _metrics(run, points)
        case MetricsSealed(latest=points):
            yield from _metrics(run, points)
        case RunTagged(tags=tags, removed=removed):
            yield from _texts(run, TAG, tags)
            for name in removed:
                yield Remove(tables.RUN_VALUES, _key(run, f"{field_of(TAG, name)}.0"))
        case RunInputsLogged():
            for n, dataset in enumerate(run.inputs.values()):
                yield from _dataset(run, n, dataset)


def text_of(value: Any) -> str:
    """A parameter as the text it is compared as."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def searchable(text: str) -> str:
    """What of a text is searched: PostgreSQL compares no text with a NUL in it by a pattern."""
    return text[:LONGEST].replace("\0", "\ufffd")


def number_of(value: float) -> float | None:
    """A metric's value as the tables hold it; None for what is no number."""
    return None if math.isnan(value) else max(-LARGEST, min(LARGEST, value))


def _metrics(run: Run, points: Iterable[Point]) -> Iterator[Change]:
    for name in {point.name: None for point in points}:
        number = number_of(float(run.metrics[name].value))
        yield _put(run, field_of(METRIC, name), number=number)


def _texts(run: Run, kind: str, names: Iterable[str]) -> Iterator[Change]:
    now = run.parameters if kind == PARAMETER else run.tags
    for name in names:
        yield _put(run, field_of(kind, name), text=text_of(now[name]))


def _dataset(run: Run, n: int, dataset: DatasetInput) -> Iterator[Change]:
    told = {"name": dataset.name, "digest": dataset.digest, "context": dataset.tags.get(CONTEXT, "")}
    for name, text in told.items():
        yield _put(run, field_of(DATASET, name), n, text=text)


def _put(run: Run, field: str, n: int = 0, *, number: float | None = None, text: str | None = None) -> Change:
    text = None if text is None else searchable(text)
    values = {
        "experiment_id": _started(run).experiment_id,
        "field": field,
        "number": number,
        "word": None if text is None else text[:WORD],
        "text": text,
    }
    return Put(tables.RUN_VALUES, _key(run, f"{field}.{n}"), b"", values)


def _key(run: Run, entry: str) -> dict[str, str]:
    return {"run_id": _started(run).run_id, "entry": entry}


def _started(run: Run) -> RunStarted:
    if run.started is None:
        raise ValueError("a run that has not started has no values")
    return run.started
