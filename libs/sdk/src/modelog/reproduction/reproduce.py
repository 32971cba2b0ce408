"""The way of a reproduction: look what is missing, build, run, compare."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import modelog
from modelog.active import DATASETS, REPRODUCES, RUN_FILE
from modelog.gpus import is_gpu
from modelog.reproduction.agreement import RELATIVE, Agreement, compared
from modelog.reproduction.building import CannotReproduce, build_environment, check_out, fetch
from modelog.reproduction.missing import missing_of
from modelog.system_metrics import hardware
from modelog.types import Environment, Record, Run

# What of the caller's environment would lead Python elsewhere.
LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONHASHSEED", "MODELOG_AS_OF")
TAIL = 4000


@dataclass(frozen=True)
class Plan:
    """How: in which folder, from which repository, within which tolerance, for how long at most."""

    folder: Path
    repository: Optional[str] = None
    absolute: float = 0.0
    relative: float = RELATIVE
    metrics: Sequence[str] = ()
    timeout_s: float = 3600.0


class Reproduced(Record):
    """What came of it; `notes` says what was not as it had been."""

    run_id: str
    new_run_id: str
    metrics: List[Agreement]
    notes: List[str]

    @property
    def agrees(self) -> bool:
        return all(metric.agrees for metric in self.metrics)


def reproduce(client: modelog.Client, token: str, run_id: str, plan: Plan, tell: Callable[[str], None]) -> Reproduced:
    """Run a run again as a new one, which names the old one in its tag `modelog.reproduces`.

    Raises CannotReproduce when something was not recorded, or is not to be had any more, or when it failed.
    """
    run = client.runs.get(run_id)
    missing = missing_of(run)
    if missing or run.environment is None:
        raise CannotReproduce("\n".join([f"run {run_id} cannot be reproduced:", *(f"- {each}" for each in missing)]))
    told = run.environment
    compared(run.metrics, {}, only=plan.metrics)  # an unknown metric is told before the work begins
    plan.folder.mkdir(parents=True, exist_ok=True)
    folder = plan.folder.resolve()
    diff = client.artifacts.download(told.git_diff, folder / "git.diff") if told.git_diff else None
    source = check_out(told, diff, plan.repository, folder / "source", tell)
    fetch(client, run.datasets, folder / "datasets", tell)
    python, notes = build_environment(told, folder / "environment", tell)
    tell(f"running {' '.join([told.entry_point, *told.arguments])}")
    new_id = _run(client, token, run, told, python, source, folder, plan.timeout_s)
    new = client.runs.get(new_id)
    agreements = compared(run.metrics, new.metrics, absolute=plan.absolute, relative=plan.relative, only=plan.metrics)
    return Reproduced(run_id=run_id, new_run_id=new_id, metrics=agreements, notes=[*notes, *_otherwise(told)])


def _run(
    client: modelog.Client,
    token: str,
    run: Run,
    told: Environment,
    python: Path,
    source: Path,
    folder: Path,
    timeout_s: float,
) -> str:
    """Run the entry point; the id of the run that it started."""
    run_file = folder / "run"
    run_file.unlink(missing_ok=True)
    environ: Dict[str, str] = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    environ.update(
        {
            "MODELOG_URL": client.url,
            "MODELOG_TOKEN": token,
            REPRODUCES: run.id,
            RUN_FILE: str(run_file),
            DATASETS: str(folder / "datasets"),
            "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
        }
    )
    if "PYTHONHASHSEED" in told.seeds:
        environ["PYTHONHASHSEED"] = str(told.seeds["PYTHONHASHSEED"])
    entry = told.entry_point.split(" ", 1) if told.entry_point.startswith("-m ") else [told.entry_point]
    log = folder / "output.txt"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [str(python), *entry, *told.arguments],
                cwd=source, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=timeout_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CannotReproduce(f"it ran longer than {timeout_s:g} s; its output is in {log}") from None
    said = log.read_text(errors="replace")[-TAIL:]
    if done.returncode != 0:
        raise CannotReproduce(f"it ended with exit status {done.returncode}; the end of {log}:\n{said}")
    if not run_file.exists():
        raise CannotReproduce(f"it ran, and started no run; the end of {log}:\n{said}")
    return run_file.read_text()


def _otherwise(told: Environment) -> List[str]:
    """What of the machine is not as it was."""
    notes = differences(told.hardware, hardware())
    if told.container_image:
        notes.append(f"it ran in the container image {told.container_image}, and now outside of it")
    return notes


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> List[str]:
    """Between the hardware that was recorded and that of now; a GPU that there was not makes one, too."""
    notes = [
        f"{name} is {now.get(name) or 'not there'}, and was {value}"
        for name, value in was.items()
        if now.get(name) != value
    ]
    return notes + [f"{name} is {now[name]}, and there was none" for name in now if is_gpu(name) and name not in was]
