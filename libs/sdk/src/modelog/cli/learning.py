"""modelog deploy learning: a deployment whose models learn as they answer."""

from __future__ import annotations

from typing import Any, Dict, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.learning import Learning, LearningTerms

COLUMNS = ["#step", "version", "#labels", "#error", "#registered", "state", "at", "why"]
SHORT = 12


def learning(
    name: str,
    on: bool = typer.Option(False, "--on", help="Learn from labels that come."),
    off: bool = typer.Option(False, "--off", help="Answer as the versions were registered."),
    pause: bool = typer.Option(False, "--pause", help="Keep what was learned; labels wait."),
    replay: int = typer.Option(0, help="Take this step again, and compare."),
    step_labels: int = typer.Option(0, help="From so many labels a step is taken; 100."),
    step_s: int = typer.Option(0, help="Or when one has waited so long; 60."),
    worst_ratio: float = typer.Option(0.0, help="So many times the error of what was registered stops it; 1.5."),
    guard_labels: int = typer.Option(0, help="On so many of the last labels; 200."),
    reason: str = typer.Option("", "--message", "-m"),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """How a deployment of river models learns, and its steps. Example: `modelog deploy learning flights --on`"""
    given = {
        "step_labels": step_labels, "step_s": step_s, "worst_ratio": worst_ratio, "guard_labels": guard_labels
    }  # fmt: skip
    terms: Dict[str, Any] = {field: value for field, value in given.items() if value}
    modes = [mode for mode, chosen in (("on", on), ("off", off), ("paused", pause)) if chosen]
    with told(), modelog.connect() as client:
        if len(modes) + bool(replay) > 1:
            raise Invalid("--on, --off, --pause and --replay: give one of them")
        if terms and modes != ["on"]:
            raise Invalid(f"--{next(iter(terms)).replace('_', '-')}: needs --on")
        if replay:
            again = client.learning.replay(name, replay)
            if as_json:
                show_json(again)
                return
            how = "the same bytes" if again.same_bytes else "the same answers" if again.same else "ANOTHER STATE"
            say(f"step {replay} of {name}, taken again: {how} ({again.digest_again}).")
            if not again.same:
                raise typer.Exit(1)
            return
        found = client.learning.set(name, modes[0], reason=reason, **terms) if modes else None
        found = found or client.learning.get(name, as_of=as_of)
        steps = [] if modes else client.learning.steps(name, as_of=as_of)
        if as_json:
            show_json({"learning": found.to_dict(), "steps": [step.to_dict() for step in steps]})
            return
        _show(found)
        if steps:
            errors = [(f"{step.error:.4g}", f"{step.registered_error:.4g}") for step in steps]
            rows = [
                [s.step, s.version, s.labels, *error, s.digest_after[:SHORT], s.at, s.why]
                for s, error in zip(steps, errors)
            ]
            show_table(COLUMNS, rows, empty="")


def _show(found: Learning) -> None:
    terms = found.terms or LearningTerms()
    versions = {
        f"version {v.version}": v.stopped or f"{v.labels} labels in {v.steps} steps, answers by {v.digest[:SHORT]}"
        for v in found.versions
    }
    show_fields({
        "deployment": found.deployment,
        "learning": word(found.mode, "LEARNING_MODE_"),
        "a step": f"of {terms.step_labels} labels, or after {terms.step_s} s",
        "stops": f"at {terms.worst_ratio:g} times the error, of {terms.guard_labels} labels",
        "labels": f"{found.waiting} wait, {found.passed_over} were passed over",
        **versions,
    })  # fmt: skip
