"""What may be asked of an experiment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CreateExperiment:
    """Give an experiment its name."""

    name: str
    description: str = ""


ExperimentCommand = CreateExperiment
