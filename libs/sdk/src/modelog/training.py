"""What a training job's code gets from the platform: its parameters and data, and where its results go.

The entry point "module:function" of a job is called with a `Context`:

    def main(context: Context) -> None:
        rows = polars.read_parquet(context.dataset_paths)
        booster = fit(rows, **context.params)
        context.log_metric("auc", 0.71)
        booster.save_model("model.ubj")
        context.save_model("model.ubj", flavor="xgboost", signature=SIGNATURE)

What is printed goes to the job's log. `local_context` runs the same code without a platform.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Union

import msgspec

from modelog.types import Signature, TensorSpec

NAME_LONGEST = 250
FLAVOR_LONGEST = 50
PathLike = Union[str, Path]


class Sink(Protocol):
    """Where a job's results go; everything that comes here has been checked."""

    def metric(self, name: str, value: float, step: int) -> None: ...

    def params(self, params: Dict[str, Any]) -> None: ...

    def artifact(self, file: Path, name: str) -> None: ...

    def model(
        self, file: Path, name: str, flavor: str, signature: Signature, metrics: Optional[Dict[str, float]]
    ) -> None: ...

    def progress(self, fraction: float, text: str) -> None: ...


class StoredModel(msgspec.Struct):
    """A stored version of a model that a job asked for: its file, and the columns that it takes.

    digest: SHA-256 of the file. approved: whether its last review approved it.
    """

    model: str
    version: str
    flavor: str
    file: str
    features: List[str] = []
    digest: str = ""
    signature: Optional[Signature] = None
    approved: bool = False

    @property
    def path(self) -> Path:
        return Path(self.file)


class Context:
    """A job as its own code sees it.

    params: the job's parameters. datasets: by name of the dataset, the Parquet files of its versions in order.
    cpus: how many the job may use; OMP_NUM_THREADS and the like are set accordingly.
    models: the stored versions that the job asked for, in its order.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        datasets: Mapping[str, Sequence[Path]],
        sink: Sink,
        *,
        cpus: float = 1.0,
        models: Sequence[StoredModel] = (),
    ) -> None:
        self.params: Dict[str, Any] = dict(params)
        self.datasets: Dict[str, List[Path]] = {name: list(files) for name, files in datasets.items()}
        self.cpus = cpus
        self.models: List[StoredModel] = list(models)
        self._sink = sink
        self._told = dict(params)

    @property
    def sink(self) -> Sink:
        """Where results go; for what comes with the platform, which tells more than the methods here."""
        return self._sink

    @property
    def dataset_paths(self) -> List[Path]:
        """The Parquet files of all datasets, in the order in which the job names them."""
        return [file for files in self.datasets.values() for file in files]

    def log_metric(self, name: str, value: float, step: Optional[int] = None) -> None:
        """Keep one value of a metric; NaN and infinities are kept too. Without a step it is that of step 0."""
        _check_name("name", name)
        self._sink.metric(name, _number(f"the metric {name!r}", value), _step(name, step))

    def log_metrics(self, metrics: Mapping[str, float], step: Optional[int] = None) -> None:
        """Keep one value of each of several metrics."""
        for name, value in metrics.items():
            self.log_metric(name, value, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep more parameters, such as those that were derived. ValueError when one is known with another value."""
        found = {name: _plain(name, value) for name, value in params.items()}
        for name, value in found.items():
            _check_name("name", name)
            if name in self._told and self._told[name] != value:
                raise ValueError(
                    f"the parameter {name!r} is {self._told[name]!r} and cannot become {value!r}; use another name"
                )
        self._told.update(found)
        self._sink.params(found)

    def log_artifact(self, path: PathLike, name: str = "") -> None:
        """Keep a file, under its own name or another."""
        file = _file(path)
        self._sink.artifact(file, _artifact_name(name or file.name))

    def save_model(
        self,
        path: PathLike,
        *,
        flavor: str,
        signature: Union[Signature, Mapping[str, Any]],
        metrics: Optional[Mapping[str, float]] = None,
    ) -> None:
        """Keep a file as the job's model; a later call takes the place of an earlier one.

        flavor: how the file is to be read, such as "xgboost". signature: {"inputs": [...], "outputs": [...]}, each
        {"name", "datatype", "shape"} as in the Open Inference Protocol, with "columns" and "kinds" where known.
        metrics: the figures of the model version; by default the last values of the job's metrics.
        """
        file = _file(path)
        if not isinstance(flavor, str) or not 0 < len(flavor) <= FLAVOR_LONGEST:
            raise ValueError(
                f"flavor must be a text of 1 to {FLAVOR_LONGEST} characters such as 'xgboost', not {flavor!r}"
            )
        figures = None
        if metrics is not None:
            figures = {name: _number(f"the metric {name!r}", value) for name, value in metrics.items()}
        self._sink.model(file, _artifact_name(file.name), flavor, signature_of(signature), figures)

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the job is: 0 to 1. It stands in the job's log."""
        value = _number("fraction", fraction)
        if not 0 <= value <= 1:
            raise ValueError(f"fraction must be from 0 to 1, not {fraction!r}")
        self._sink.progress(value, text)


def signature_of(signature: Union[Signature, Mapping[str, Any]]) -> Signature:
    """A checked signature; ValueError says which part is wrong and what is allowed."""
    plain = signature.to_dict() if isinstance(signature, Signature) else signature
    try:
        found = msgspec.convert(plain, Signature)
    except msgspec.ValidationError as error:
        raise ValueError(f"signature: {error}") from None
    for side, tensors in (("inputs", found.inputs), ("outputs", found.outputs)):
        if not tensors:
            raise ValueError(f"signature: {side} is empty; a model has at least one")
        _check_names(side, tensors)
    return found


class LocalRun:
    """A sink for trying a job's code: keeps values in memory and files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics: Dict[str, float] = {}
        self.points: List[Dict[str, Any]] = []
        self.logged_params: Dict[str, Any] = {}
        self.artifacts: List[Path] = []
        self.model_file: Optional[Path] = None
        self.flavor = ""
        self.signature: Optional[Signature] = None

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics[name] = value
        self.points.append({"name": name, "value": value, "step": step})

    def params(self, params: Dict[str, Any]) -> None:
        self.logged_params.update(params)

    def artifact(self, file: Path, name: str) -> None:
        self.artifacts.append(self._keep(file, name))

    def model(
        self, file: Path, name: str, flavor: str, signature: Signature, metrics: Optional[Dict[str, float]]
    ) -> None:
        self.model_file, self.flavor, self.signature = self._keep(file, name), flavor, signature

    def progress(self, fraction: float, text: str) -> None:
        print(f"[{fraction:4.0%}] {text}")

    def _keep(self, file: Path, name: str) -> Path:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.resolve() != file.resolve():
            shutil.copyfile(file, target)
        return target


def local_context(
    run: LocalRun,
    params: Optional[Mapping[str, Any]] = None,
    datasets: Optional[Mapping[str, Sequence[PathLike]]] = None,
    *,
    cpus: float = 1.0,
    models: Sequence[StoredModel] = (),
) -> Context:
    """A context for trying a job's code on this machine: `run` gets what the code logs."""
    files = {name: [Path(f) for f in paths] for name, paths in (datasets or {}).items()}
    return Context(params or {}, files, run, cpus=cpus, models=models)


def _check_names(side: str, tensors: Sequence[TensorSpec]) -> None:
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise ValueError(f"signature: two of the {side} have the same name")


def _check_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LONGEST:
        raise ValueError(f"{what} must be a text of 1 to {NAME_LONGEST} characters, not {name!r}")


def _number(what: str, value: Any) -> float:
    """Any kind of real number, numpy's too, but no text."""
    if not isinstance(value, (str, bytes)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise ValueError(f"{what} must be a number, not {value!r}")


def _step(name: str, step: Optional[int]) -> int:
    if step is None:
        return 0
    if not hasattr(step, "__index__") or not -(2**63) <= step < 2**63:
        raise ValueError(f"step of the metric {name!r} must be a whole number, not {step!r}")
    return int(step)


def _plain(name: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the parameter {name!r} is {value!r}, which JSON cannot hold: {error}") from None


def _file(path: PathLike) -> Path:
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"path: {file.absolute()} is not a file; write it first")
    return file


def _artifact_name(name: str) -> str:
    parts = name.split("/")
    if "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"name: {name!r} is not a relative path with / between its parts, such as plots/roc.png")
    return name
