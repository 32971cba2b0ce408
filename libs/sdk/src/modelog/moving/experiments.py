"""One experiment: its runs, parents first, its logged models, and the files that belong to neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator, List, Sequence

import modelog
from modelog.errors import NotAllowed
from modelog.moving.crew import PARTS, Crew
from modelog.moving.files import Carrier
from modelog.moving.ledger import Ledger
from modelog.moving.logged_models import move_logged_model
from modelog.moving.marks import SOURCE_FILES, SOURCE_ID, SOURCE_NAME, moment, tidied
from modelog.moving.runs import PARENT_TAG, Open, close, fill
from modelog.moving.source import PROXIED, Json, Source, mapped
from modelog.types import Condition, Experiment


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


@dataclass(frozen=True)
class Mover:
    """Moves experiments; `besides` are the roots of all of them, for one may lie in another's folder."""

    source: Source
    client: modelog.Client
    moved: Moved
    crew: Crew
    carrier: Carrier
    ledger: Ledger
    besides: Sequence[str]

    def move(self, there: Json) -> None:
        name = there["name"]
        runs = {run["info"]["run_id"]: run for run in self.source.runs(there["experiment_id"])}
        try:
            here = self._here(there)
        except modelog.ModelogError as error:
            for run_id in runs:
                self.ledger.refuse("runs", run_id, f"its experiment was not moved: {error}")
            raise
        if here.deleted_at is not None:
            self.ledger.known("runs", len(runs))
            return
        waiting: List[Open] = []
        progress = self.ledger.counting(f"experiment {name}: run", len(runs))

        def run(there_run: Json) -> None:
            run_id = there_run["info"]["run_id"]
            progress()
            with self.ledger.trying("runs", run_id):
                filled, left = fill(self.carrier, here.name, there_run, self.moved.runs)
                self.moved.runs[run_id] = filled.id
                waiting.extend([left] if left is not None else [])

        for generation in _generations(runs):
            self.crew.each(PARTS, run, generation)
        self.crew.each(PARTS, lambda model: self._model(here, model), self.source.logged_models(there["experiment_id"]))
        # A run of a model that is still to come, of another experiment, is closed at the end.
        ready: List[Open] = []
        for left in waiting:
            complete = all(model_id in self.moved.models for model_id in left.models)
            (ready if complete else self.moved.waiting).append(left)
        self.close(ready)
        self._files(there, here)
        if there.get("lifecycle_stage") == "deleted":
            self.moved.deleted.append(here)

    def close(self, runs: Sequence[Open]) -> None:
        """End runs whose models are moved, as far as they are."""

        def end(run: Open) -> None:
            with self.ledger.trying("runs", run.there["info"]["run_id"]):
                close(self.client, run, self.moved.runs, self.moved.models)
                self.ledger.moved("runs")

        self.crew.each(PARTS, end, runs)

    def _model(self, here: Experiment, model: Json) -> None:
        model_id = model["info"]["model_id"]
        with self.ledger.trying("logged models", model_id):
            self.moved.models[model_id] = move_logged_model(self.carrier, here.id, model, self.moved.runs)

    def _files(self, there: Json, here: Experiment) -> None:
        """What the server does not serve is told of each run; whether there is more, nobody knows."""
        root = there.get("artifact_location") or ""
        if PROXIED.fullmatch(root) is None:
            return
        self.carrier.move(
            self.source.files_of_none(root, self.besides), root,
            self.client.runs.experiment_artifacts(here.id),
            lambda files: self.client.runs.add_experiment_artifacts(here.id, files),
            f"experiment {there['name']}",
        )  # fmt: skip

    def _here(self, there: Json) -> Experiment:
        """The experiment here. One that an earlier import moved and deleted is whole."""
        name, source_id = there["name"], there["experiment_id"]
        allowed = tidied(name)
        if allowed != name:
            allowed = f"{allowed[:180].strip()} [{source_id}]"
        before = self.client.runs.experiment_named(allowed)
        if before is not None and before.deleted_at is not None:
            if before.tags.get(SOURCE_ID) == source_id and there.get("lifecycle_stage") == "deleted":
                self.ledger.known("experiments")
                return before
            raise NotAllowed(f"an experiment {allowed!r} is here and deleted; restore it first")
        here = before or self.client.runs.experiment(allowed, created_at=moment(there.get("creation_time")))
        tags = {**mapped(there.get("tags")), SOURCE_ID: source_id}
        location = there.get("artifact_location") or ""
        tags.update({SOURCE_FILES: location} if PROXIED.fullmatch(location) is None else {})
        tags.update({SOURCE_NAME: name} if allowed != name else {})
        new = {key: value for key, value in tags.items() if here.tags.get(key) != value}
        (self.ledger.moved if new else self.ledger.known)("experiments")
        return self.client.runs.tag_experiment(here.id, new) if new else here


def _generations(runs: Dict[str, Json]) -> Iterator[List[Json]]:
    """First those that are part of no other, then those that are part of the ones before, by their start."""
    left = dict(runs)
    parents = {run_id: _parent(run) for run_id, run in runs.items()}
    while left:
        ready = [run_id for run_id in left if parents[run_id] not in left or parents[run_id] == run_id]
        # Those that are part of each other, which MLflow allows, go together.
        ready = ready or list(left)
        yield [left.pop(run_id) for run_id in ready]


def _parent(run: Json) -> str:
    return mapped(run.get("data", {}).get("tags")).get(PARENT_TAG, "")
