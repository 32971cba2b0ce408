"""The way of an import: experiments with their runs and logged models first, then what is registered of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence

import modelog
from modelog.errors import NotAllowed
from modelog.moving.ledger import Ledger
from modelog.moving.logged_models import move_logged_model
from modelog.moving.marks import SOURCE_FILES, SOURCE_ID, SOURCE_NAME, moment, tidied
from modelog.moving.registry import Registry
from modelog.moving.runs import PARENT_TAG, Open, close, fill
from modelog.moving.source import PROXIED, Json, NotServed, Source, mapped
from modelog.types import Condition, Experiment


@dataclass(frozen=True)
class Choice:
    """Which experiments and registered models, by name; empty means all, `nothing` of one sort none of it."""

    experiments: Sequence[str] = ()
    models: Sequence[str] = ()
    without_experiments: bool = False
    without_models: bool = False

    def has_experiment(self, name: str) -> bool:
        return not self.without_experiments and (not self.experiments or name in self.experiments)

    def has_model(self, name: str) -> bool:
        return not self.without_models and (not self.models or name in self.models)


@dataclass
class Moved:
    """The ids here by those at the source, and what waits for others to be moved."""

    runs: Dict[str, str] = field(default_factory=dict)
    models: Dict[str, str] = field(default_factory=dict)
    waiting: List[Open] = field(default_factory=list)
    deleted: List[Experiment] = field(default_factory=list)

    def run_of(self, client: modelog.Client) -> Callable[[str], str]:
        """The id here of a run, of this import or an earlier one; empty when there is none."""

        def find(source_id: str) -> str:
            if source_id and source_id not in self.runs:
                found = client.runs.search([_imported(source_id)], view="all", limit=1)
                self.runs[source_id] = found[0].id if found else ""
            return self.runs.get(source_id, "")

        return find

    def model_of(self, client: modelog.Client) -> Callable[[str], str]:
        """The same of a logged model."""

        def find(source_id: str) -> str:
            if source_id and source_id not in self.models:
                found = client.logged_models.search([_imported(source_id)])
                self.models[source_id] = found[0].id if found else ""
            return self.models.get(source_id, "")

        return find


def _imported(source_id: str) -> Condition:
    return Condition(field="FIELD_TAG", key=SOURCE_ID, comparison="COMPARISON_EQUAL", text=source_id)


def move(
    source: Source, client: modelog.Client, choice: Choice, ledger: Ledger, reviewer: Optional[modelog.Client] = None
) -> None:
    """Move what is chosen. What is here already stays as it is, so asking again goes on with what is missing."""
    moved = Moved()
    for there in source.experiments():
        if choice.has_experiment(there["name"]):
            with ledger.trying("experiments", there["name"]):
                _experiment(source, client, there, moved, ledger)
    _close(client, moved, ledger, last=True)
    registry = Registry(source, client, moved.run_of(client), moved.model_of(client), reviewer, ledger)
    for there in source.registered_models():
        if choice.has_model(there["name"]):
            with ledger.trying("registered models", there["name"]):
                registry.move(there)
    # Last: what is deleted takes nothing.
    for experiment in moved.deleted:
        with ledger.trying("experiments", experiment.name):
            client.runs.delete_experiment(experiment.id)
    leave(source, ledger)


def look(source: Source, choice: Choice, ledger: Ledger) -> None:
    """Count what `move` would look at; nothing is written."""
    for there in source.experiments():
        if not choice.has_experiment(there["name"]):
            continue
        ledger.moved("experiments")
        ledger.tell(f"experiment {there['name']}")
        for run in source.runs(there["experiment_id"]):
            ledger.moved("runs")
            _count_files(source, run["info"]["artifact_uri"], f"run {run['info']['run_id']}", ledger)
            for metric in run.get("data", {}).get("metrics", []):
                ledger.moved("metric points", len(source.history(run["info"]["run_id"], metric["key"])))
        for model in source.logged_models(there["experiment_id"]):
            ledger.moved("logged models")
            _count_files(source, model["info"]["artifact_uri"], f"logged model {model['info']['model_id']}", ledger)
    for there in source.registered_models():
        if choice.has_model(there["name"]):
            ledger.moved("registered models")
            ledger.moved("versions", len(source.versions(there["name"])))
    leave(source, ledger)


def leave(source: Source, ledger: Ledger) -> None:
    """Tell what there is no place for."""
    for kind, count in (("prompts", source.prompts()), ("webhooks", source.webhooks())):
        if count:
            ledger.refuse(kind, f"{count}", "there is no place for them here yet")


def _experiment(source: Source, client: modelog.Client, there: Json, moved: Moved, ledger: Ledger) -> None:
    runs = {run["info"]["run_id"]: run for run in source.runs(there["experiment_id"])}
    try:
        here = _here(client, there, ledger)
    except modelog.ModelogError as error:
        for run_id in runs:
            ledger.refuse("runs", run_id, f"its experiment was not moved: {error}")
        raise
    if here.deleted_at is not None:
        ledger.known("runs", len(runs))
        return
    for number, there_run in enumerate(_parents_first(runs), start=1):
        run_id = there_run["info"]["run_id"]
        ledger.tell(f"experiment {there['name']}: run {number} of {len(runs)}")
        with ledger.trying("runs", run_id):
            run, left = fill(source, client, here.name, there_run, moved.runs, ledger)
            moved.runs[run_id] = run.id
            if left is not None:
                moved.waiting.append(left)
    for model in source.logged_models(there["experiment_id"]):
        model_id = model["info"]["model_id"]
        with ledger.trying("logged models", model_id):
            moved.models[model_id] = move_logged_model(source, client, here.id, model, moved.runs, ledger)
    _close(client, moved, ledger)
    if there.get("lifecycle_stage") == "deleted":
        moved.deleted.append(here)


def _here(client: modelog.Client, there: Json, ledger: Ledger) -> Experiment:
    """The experiment here. One that an earlier import moved and deleted is whole."""
    name, source_id = there["name"], there["experiment_id"]
    allowed = tidied(name)
    if allowed != name:
        allowed = f"{allowed[:180].strip()} [{source_id}]"
    before = client.runs.experiment_named(allowed)
    if before is not None and before.deleted_at is not None:
        if before.tags.get(SOURCE_ID) == source_id and there.get("lifecycle_stage") == "deleted":
            ledger.known("experiments")
            return before
        raise NotAllowed(f"an experiment {allowed!r} is here and deleted; restore it first")
    here = before or client.runs.experiment(allowed, created_at=moment(there.get("creation_time")))
    tags = {**mapped(there.get("tags")), SOURCE_ID: source_id}
    location = there.get("artifact_location") or ""
    tags.update({SOURCE_FILES: location} if PROXIED.fullmatch(location) is None else {})
    tags.update({SOURCE_NAME: name} if allowed != name else {})
    new = {key: value for key, value in tags.items() if here.tags.get(key) != value}
    (ledger.moved if new else ledger.known)("experiments")
    return client.runs.tag_experiment(here.id, new) if new else here


def _parents_first(runs: Dict[str, Json]) -> List[Json]:
    """In the order of their start, but each after the run that it is part of."""
    ordered: Dict[str, Json] = {}

    def add(run_id: str, above: Sequence[str]) -> None:
        if run_id in ordered or run_id in above:
            return
        parent = mapped(runs[run_id].get("data", {}).get("tags")).get(PARENT_TAG, "")
        if parent in runs:
            add(parent, [*above, run_id])
        ordered[run_id] = runs[run_id]

    for run_id in runs:
        add(run_id, [])
    return list(ordered.values())


def _close(client: modelog.Client, moved: Moved, ledger: Ledger, *, last: bool = False) -> None:
    """Close the runs whose models are all moved; at the end, every run."""
    left = []
    for run in moved.waiting:
        if not last and any(model_id not in moved.models for model_id in run.models):
            left.append(run)
            continue
        with ledger.trying("runs", run.there["info"]["run_id"]):
            close(client, run, moved.runs, moved.models)
            ledger.moved("runs")
    moved.waiting = left


def _count_files(source: Source, root: str, owner: str, ledger: Ledger) -> None:
    try:
        ledger.moved("artifacts", sum(1 for _ in source.files(root)))
    except NotServed as error:
        ledger.refuse("artifacts", owner, str(error))
