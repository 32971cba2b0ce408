"""One run: begun with the time that it had, filled with what it is not yet filled with, and closed as it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional

import modelog
from modelog.moving.files import Carrier
from modelog.moving.ledger import Ledger
from modelog.moving.marks import SOURCE_ID, SOURCE_NAME, WHOLE, fingerprint, moment, request_of, tidied
from modelog.moving.source import Json, Source, mapped
from modelog.types import Artifact, DatasetInput, MetricColumn, Run, RunModel

STATUSES = {
    "RUNNING": "running", "SCHEDULED": "scheduled", "FINISHED": "completed", "FAILED": "failed", "KILLED": "cancelled",
}  # fmt: skip
OPEN = ("RUN_STATUS_RUNNING", "RUN_STATUS_SCHEDULED")
NAME_TAG, PARENT_TAG, HISTORY_TAG = "mlflow.runName", "mlflow.parentRunId", "mlflow.log-model.history"
PARAMETERS_TOGETHER = 100
TAGS_TOGETHER = 100
POINTS_TOGETHER = 5000


@dataclass
class Open:
    """A run that is filled and still to be closed."""

    here: Run
    there: Json
    state: str

    @property
    def models(self) -> List[str]:
        """The logged models that it made or read, by their ids at the source."""
        return [m["model_id"] for m in (*_outputs(self.there), *_model_inputs(self.there))]


def fill(carrier: Carrier, experiment: str, there: Json, parents: Mapping[str, str]) -> "tuple[Run, Optional[Open]]":
    """The run here, and what is left to do for it: nothing when it was moved wholly before, and so were its files."""
    source, client, ledger = carrier.source, carrier.client, carrier.ledger
    info, data = there["info"], there.get("data", {})
    run_id, name = info["run_id"], info.get("run_name") or ""
    tags = mapped(data.get("tags"))
    tags.pop(NAME_TAG, None)
    state = fingerprint([info, data, there.get("inputs"), there.get("outputs")])
    allowed = tidied(name)
    tags[SOURCE_ID] = run_id
    if allowed != name:
        tags[SOURCE_NAME] = name[:8000]
    here = client.runs.start(
        experiment,
        allowed,
        parent_run_id=parents.get(tags.get(PARENT_TAG, ""), ""),
        started_at=moment(info.get("start_time")),
        request_id=request_of("run", run_id),
    )
    if here.tags.get(WHOLE) == state:
        return _only_files(carrier, here, there, state)
    here = _reopened(client, here)
    if HISTORY_TAG in tags:
        tags[HISTORY_TAG] = tags[HISTORY_TAG].replace(run_id, here.id)
    _parameters(client, here, mapped(data.get("params")))
    _tags(client, here, tags)
    for metric in data.get("metrics", []):
        _points(source, client, here, run_id, metric["key"], ledger)
    _datasets(client, here, there)
    root = info["artifact_uri"]
    carrier.move(
        source.files(root),
        root,
        here.artifacts,
        lambda files: client.runs.log(here.id, artifacts=files),
        f"run {run_id}",
    )
    return here, Open(here, there, state)


def _only_files(carrier: Carrier, here: Run, there: Json, state: str) -> "tuple[Run, Optional[Open]]":
    """The server tells nothing of a file that was changed: a run that is here wholly is opened when one was."""
    client = carrier.client
    added: List[Artifact] = []

    def add(files: List[Artifact]) -> None:
        if not added:
            _reopened(client, here)
        client.runs.log(here.id, artifacts=files)
        added.extend(files)

    root, owner = there["info"]["artifact_uri"], f"run {there['info']['run_id']}"
    carrier.move(carrier.source.files(root), root, here.artifacts, add, owner)
    if added:
        return here, Open(here, there, state)
    carrier.ledger.known("runs")
    return here, None


def _reopened(client: modelog.Client, here: Run) -> Run:
    """Without its mark first: an import that is broken off from here on begins the run anew."""
    if here.deleted_at is not None:
        here = client.runs.restore(here.id)
    if here.tags.get(WHOLE):
        here = client.runs.tag(here.id, {WHOLE: ""})
    return here if here.status in OPEN else client.runs.resume(here.id)


def close(client: modelog.Client, run: Open, runs: Mapping[str, str], models: Mapping[str, str]) -> None:
    """Tell what refers to others, end it, and delete it if it was; the mark that it is whole comes last but that."""
    here, info = run.here, run.there["info"]
    made = [RunModel(model_id=models[m["model_id"]], step=int(m.get("step") or 0)) for m in _outputs(run.there)
            if m["model_id"] in models]  # fmt: skip
    read = [RunModel(model_id=models[m["model_id"]]) for m in _model_inputs(run.there) if m["model_id"] in models]
    if {m.model_id for m in made} - {m.model_id for m in here.model_outputs}:
        client.runs.log_outputs(here.id, made)
    if {m.model_id for m in read} - {m.model_id for m in here.model_inputs}:
        client.runs.log_inputs(here.id, models=read)
    parent = mapped(run.there.get("data", {}).get("tags")).get(PARENT_TAG, "")
    if parent in runs:
        client.runs.tag(here.id, {PARENT_TAG: runs[parent]})
    client.runs.update(here.id, status=STATUSES.get(info.get("status", ""), "running"), ended_at=_end(info))
    client.runs.tag(here.id, {WHOLE: run.state})
    if info.get("lifecycle_stage") == "deleted":
        client.runs.delete(here.id)


def _end(info: Json) -> Any:
    ended = info.get("status") in ("FINISHED", "FAILED", "KILLED")
    return moment(info.get("end_time")) if ended else None


def _parameters(client: modelog.Client, here: Run, told: Dict[str, str]) -> None:
    new = {key: value for key, value in told.items() if (here.parameters or {}).get(key) != value}
    for part in _parts(new, PARAMETERS_TOGETHER):
        client.runs.log(here.id, parameters=part)


def _tags(client: modelog.Client, here: Run, told: Dict[str, str]) -> None:
    new = {key: value for key, value in told.items() if here.tags.get(key) != value}
    for part in _parts(new, TAGS_TOGETHER):
        client.runs.tag(here.id, part)


def _points(source: Source, client: modelog.Client, here: Run, run_id: str, key: str, ledger: Ledger) -> None:
    """The points that are not here: an import that was broken off may have logged some of them."""
    told = [(int(p.get("step") or 0), int(p["timestamp"]), float(p["value"])) for p in source.history(run_id, key)]
    # Asked for each time: what a run is shown with lacks the points that were taken a moment ago.
    column = client.runs.history(here.id, key)
    known = Counter(zip(column.steps, column.times_ms, map(repr, column.values)))
    new = []
    for step, time_ms, value in told:
        if known[step, time_ms, repr(value)] > 0:
            known[step, time_ms, repr(value)] -= 1
        else:
            new.append((step, time_ms, value))
    for first in range(0, len(new), POINTS_TOGETHER):
        part = new[first : first + POINTS_TOGETHER]
        steps, times_ms, values = (list(column) for column in zip(*part))
        client.runs.log_points(here.id, [MetricColumn(name=key, steps=steps, times_ms=times_ms, values=values)])
    ledger.moved("metric points", len(new))
    ledger.known("metric points", len(told) - len(new))


def _datasets(client: modelog.Client, here: Run, there: Json) -> None:
    known = {(given.name, given.digest) for given in here.inputs}
    told = []
    for given in there.get("inputs", {}).get("dataset_inputs", []):
        dataset = given["dataset"]
        if (dataset["name"], dataset["digest"]) not in known:
            fields = {key: dataset.get(key) or "" for key in ("source_type", "source", "schema", "profile")}
            about = (dataset["name"], dataset["digest"])
            told.append(DatasetInput(name=about[0], digest=about[1], tags=mapped(given.get("tags")), **fields))
    if told:
        client.runs.log_inputs(here.id, told)


def _outputs(there: Json) -> List[Json]:
    return list(there.get("outputs", {}).get("model_outputs", []))


def _model_inputs(there: Json) -> List[Json]:
    return list(there.get("inputs", {}).get("model_inputs", []))


def _parts(told: Dict[str, str], size: int) -> Iterator[Dict[str, str]]:
    items = list(told.items())
    for first in range(0, len(items), size):
        yield dict(items[first : first + size])
