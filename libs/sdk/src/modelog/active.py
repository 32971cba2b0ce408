"""A run of the code that is running: what it ran in is recorded, so that it can be reproduced.

with modelog.start_run("flight-delay", parameters={"depth": 6}, seed=7) as run:
    rows = polars.read_parquet(run.dataset("flights", 1))
    run.log_metric("auc", 0.71)
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from modelog.client import Client, connect
from modelog.errors import Invalid
from modelog.git import WorkTree, work_tree
from modelog.project import environment
from modelog.system_metrics import INTERVAL_S, hardware, sampler
from modelog.types import Environment, MetricColumn, Run, RunDataset

# Told to a run that reproduces another: the other's id, a file for its own id, and the folder with the datasets.
REPRODUCES, RUN_FILE, DATASETS = "MODELOG_REPRODUCES", "MODELOG_RUN_FILE", "MODELOG_DATASETS"
IMAGE = "MODELOG_CONTAINER_IMAGE"
REPRODUCES_TAG = "modelog.reproduces"
DIFF_PATH = "environment/git.diff"
SEED_LIMIT = 2**32


class ActiveRun:
    """A run from here to the end of its `with` block; an exception ends it as failed."""

    def __init__(self, client: Client, run: Run, datasets: Dict[Tuple[str, int], Path]) -> None:
        self.id, self._client, self._datasets = run.id, client, datasets
        self._sampler: Any = None

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Keep one value of a metric."""
        self._client.runs.log(self.id, metrics={name: value}, step=step)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep one value of each of several metrics."""
        self._client.runs.log(self.id, metrics=metrics, step=step)

    def log_points(self, columns: Sequence[MetricColumn]) -> None:
        """Keep points of any steps and times, 10,000 at most together."""
        self._client.runs.log_points(self.id, columns)

    def params(self) -> Dict[str, Any]:
        """The parameters that the run has now."""
        return self._client.runs.get(self.id).parameters or {}

    def log_params(self, parameters: Mapping[str, Any]) -> None:
        """Keep more parameters."""
        self._client.runs.log(self.id, parameters=parameters)

    def log_artifact(self, file: Path, path: str = "") -> None:
        """Keep a file."""
        self._client.runs.log(self.id, artifacts=[self._client.artifacts.upload(Path(file), path)])

    def dataset(self, name: str, version: int) -> Path:
        """The Parquet file of one of the dataset versions that the run was started with."""
        if (name, version) not in self._datasets:
            raise Invalid(f"the run was not started with {name} {version}; name it among its datasets")
        return self._datasets[name, version]

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        left = isinstance(error, SystemExit) and error.code in (None, 0)
        if error is None or left:
            self._client.runs.end(self.id)
        else:
            self._client.runs.end(self.id, "failed", f"{type(error).__name__}: {error}")

    def sample(self, wanted: Optional[bool], interval_s: float) -> None:
        """Begin to sample what the machine is busy with."""
        self._sampler = sampler(self._keep, wanted, interval_s)
        if self._sampler is not None:
            self._sampler.start()

    def _keep(self, sample: Dict[str, float], step: int) -> None:
        self._client.runs.log_metrics(self.id, {name: [value] for name, value in sample.items()}, first_step=step)


def start_run(
    experiment: str,
    name: str = "",
    *,
    parameters: Optional[Mapping[str, Any]] = None,
    datasets: Sequence[Tuple[str, int]] = (),
    seed: Optional[int] = None,
    seeds: Optional[Mapping[str, int]] = None,
    tags: Optional[Mapping[str, str]] = None,
    system_metrics: Optional[bool] = None,
    interval_s: float = INTERVAL_S,
    client: Optional[Client] = None,
) -> ActiveRun:
    """Start a run of this program in an experiment, which is made when there is none.

    Recorded are Python, packages, Git commit and what differs from it, the script and its arguments, the hardware, the
    datasets (name and version) and the seeds. `seed` is given to `random` and, where they are loaded, numpy and torch;
    `seeds` tells of generators that the program seeds itself. System metrics are sampled every `interval_s` seconds if
    psutil is there (`system_metrics` True: it must be; False: not at all).
    """
    client = client or connect()
    given = {**(seeds or {}), **_seeded(seed), **_hash_seed()}
    told, tree = recorded(given)
    # Before anything is recorded of the run: a dataset that is not there is not read.
    versions = [client.datasets.version(dataset, version) for dataset, version in datasets]
    used = [RunDataset(dataset=v.dataset, version=v.version, digest=v.digest) for v in versions]
    files = {(d.dataset, d.version): _file(client, d) for d in used}
    diff = None
    if tree is not None and tree.diff:
        diff = client.artifacts.upload_bytes(tree.diff, DIFF_PATH)
        told.git_diff = diff.digest
    linked = {REPRODUCES_TAG: os.environ[REPRODUCES]} if REPRODUCES in os.environ else {}
    client.runs.experiment(experiment)
    run = client.runs.start(
        experiment, name, parameters=parameters, datasets=used, environment=told, tags={**(tags or {}), **linked}
    )
    if RUN_FILE in os.environ:
        Path(os.environ[RUN_FILE]).write_text(run.id)
    active = ActiveRun(client, run, files)
    if diff is not None:
        client.runs.log(run.id, artifacts=[diff])
    active.sample(system_metrics, interval_s)
    return active


def recorded(seeds: Mapping[str, int]) -> Tuple[Environment, Optional[WorkTree]]:
    """What this process runs in, and the Git work tree that its script is in."""
    script = _script()
    tree = work_tree(script.parent if script is not None else Path.cwd())
    told = environment()
    told.seeds, told.hardware = dict(seeds), hardware()
    told.container_image = os.environ.get(IMAGE, "")
    told.entry_point, told.git_folder = _entry(script, tree)
    told.arguments = sys.argv[1:] if told.entry_point else []
    if tree is not None:
        told.git_commit, told.git_dirty, told.git_remote = tree.commit, tree.dirty, tree.remote
    return told, tree


def _script() -> Optional[Path]:
    """What Python was called with; None in a session at a prompt or a notebook."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve() if file else None


def _entry(script: Optional[Path], tree: Optional[WorkTree]) -> Tuple[str, str]:
    """How the program is called, and from which folder of the repository."""
    if script is None:
        return "", ""
    here, root = Path.cwd().resolve(), tree.root.resolve() if tree is not None else script.parent
    inside = here == root or root in here.parents
    folder = here if inside else root
    where = "" if folder == root else folder.relative_to(root).as_posix()
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name:
        module = spec.name[: -len(".__main__")] if spec.name.endswith(".__main__") else spec.name
        return f"-m {module}", where
    return Path(os.path.relpath(script, folder)).as_posix(), where


def _file(client: Client, used: RunDataset) -> Path:
    """The dataset version's file, by its digest; fetched once."""
    folder = Path(os.environ.get(DATASETS) or Path.home() / ".modelog" / "datasets")
    return client.artifacts.kept(used.digest, folder / f"{used.digest}.parquet")


def _seeded(seed: Optional[int]) -> Dict[str, int]:
    """Seeds what is there."""
    if seed is None:
        return {}
    if not isinstance(seed, int) or not 0 <= seed < SEED_LIMIT:
        raise Invalid(f"seed must be a whole number from 0 to {SEED_LIMIT - 1}, not {seed!r}")
    random.seed(seed)
    seeded: List[str] = ["random"]
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
        seeded.append("numpy")
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
        seeded.append("torch")
    return dict.fromkeys(seeded, seed)


def _hash_seed() -> Dict[str, int]:
    told = os.environ.get("PYTHONHASHSEED", "")
    return {"PYTHONHASHSEED": int(told)} if told.isdecimal() else {}
