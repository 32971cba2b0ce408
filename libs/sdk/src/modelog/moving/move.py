"""The way of an import: experiments with their runs and logged models first, then what is registered of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import List, Optional, Sequence

import modelog
from modelog.moving.crew import WHOLE, Crew
from modelog.moving.experiments import Moved, Mover
from modelog.moving.files import Carrier
from modelog.moving.ledger import Ledger
from modelog.moving.registry import Registry
from modelog.moving.source import PROXIED, Json, NotServed, Source
from modelog.types import Experiment

NO_PLACE = "there is no place for them here yet"


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


def move(
    source: Source,
    client: modelog.Client,
    choice: Choice,
    ledger: Ledger,
    reviewer: Optional[modelog.Client] = None,
    *,
    jobs: int = 4,
    compare: bool = False,
) -> None:
    """Move what is chosen. What is here already stays as it is, so asking again goes on with what is missing."""
    crew = Crew(jobs)
    try:
        _move(source, client, choice, reviewer, crew, Carrier(source, client, crew, ledger, compare))
    finally:
        crew.close()


def _move(
    source: Source,
    client: modelog.Client,
    choice: Choice,
    reviewer: Optional[modelog.Client],
    crew: Crew,
    carrier: Carrier,
) -> None:
    moved, ledger = Moved(), carrier.ledger
    everything = list(source.experiments())
    chosen = [there for there in everything if choice.has_experiment(there["name"])]
    mover = Mover(source, client, moved, crew, carrier, ledger, _roots(everything))

    def experiment(there: Json) -> None:
        with ledger.trying("experiments", there["name"]):
            mover.move(there)

    crew.each(WHOLE, experiment, chosen)
    mover.close(moved.waiting)
    registry = Registry(carrier, moved.run_of(client), moved.model_of(client), reviewer)

    def model(there: Json) -> None:
        with ledger.trying("registered models", there["name"]):
            registry.move(there)

    crew.each(WHOLE, model, [there for there in source.registered_models() if choice.has_model(there["name"])])

    def delete(experiment: Experiment) -> None:
        with ledger.trying("experiments", experiment.name):
            client.runs.delete_experiment(experiment.id)

    # Last: what is deleted takes nothing.
    crew.each(WHOLE, delete, moved.deleted)
    leave(source, chosen, ledger)


def look(source: Source, choice: Choice, ledger: Ledger) -> None:
    """Count what `move` would look at; nothing is written."""
    everything = list(source.experiments())
    chosen = [there for there in everything if choice.has_experiment(there["name"])]
    for there in chosen:
        ledger.moved("experiments")
        ledger.tell(f"experiment {there['name']}")
        for run in source.runs(there["experiment_id"]):
            ledger.moved("runs")
            _count(ledger, f"run {run['info']['run_id']}", source, run["info"]["artifact_uri"])
            for metric in run.get("data", {}).get("metrics", []):
                ledger.moved("metric points", len(source.history(run["info"]["run_id"], metric["key"])))
        for model in source.logged_models(there["experiment_id"]):
            ledger.moved("logged models")
            _count(ledger, f"logged model {model['info']['model_id']}", source, model["info"]["artifact_uri"])
        root = there.get("artifact_location") or ""
        if PROXIED.fullmatch(root) is not None:
            ledger.moved("artifacts", sum(1 for _ in source.files_of_none(root, _roots(everything))))
    for there in source.registered_models():
        if choice.has_model(there["name"]):
            ledger.moved("registered models")
            ledger.moved("versions", len(source.versions(there["name"])))
    leave(source, chosen, ledger)


def leave(source: Source, experiments: Sequence[Json], ledger: Ledger) -> None:
    """Tell what there is no place for."""
    for kind, names in (("prompts", source.prompts()), ("webhooks", source.webhooks())):
        for name in names:
            ledger.refuse(kind, name, NO_PLACE)
    for there in experiments:
        name = there["name"]
        with ledger.trying("traces", name):
            _traces(source, there, ledger)


def _traces(source: Source, there: Json, ledger: Ledger) -> None:
    """Those of an experiment together, and what was assessed of them by its name: there may be millions."""
    traces, assessments = 0, Counter[str]()
    for trace in source.traces(there["experiment_id"]):
        traces += 1
        assessments.update(str(told.get("assessment_name")) for told in trace.get("assessments", []))
    if traces:
        ledger.refuse("traces", there["name"], f"{traces:,} of this experiment: {NO_PLACE}", traces)
    for name, count in assessments.items():
        ledger.refuse("assessments", f"{there['name']}: {name}", f"{count:,} of its traces: {NO_PLACE}", count)


def _roots(experiments: Sequence[Json]) -> List[str]:
    return [there.get("artifact_location") or "" for there in experiments]


def _count(ledger: Ledger, owner: str, source: Source, root: str) -> None:
    try:
        ledger.moved("artifacts", sum(1 for _ in source.files(root)))
    except NotServed as error:
        ledger.refuse("artifacts", owner, str(error))
