"""Runs ONNX models on onnxruntime: whatever takes and gives tensors of numbers whose first dimension is the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnxruntime
import structlog
from modelog_common.domain.errors import Invalid, NotAllowed
from numpy.typing import NDArray

from modelog_serving.deployment.signature import Signature, column_names
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.fitting import check_width
from modelog_serving.runtimes.onnx_making import MOST_S, Task, failure_of
from modelog_serving.runtimes.onnx_mapped import LEAST_BYTES, NO_FOLDER, NO_WEIGHTS, MappedSessions

_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
    **{f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_FATAL_ONLY = 4
PROOF_ROWS = 64
log = structlog.get_logger()


@dataclass(frozen=True)
class Feed:
    """A tensor of the file: `columns` of the rows, as `shape` after the first dimension."""

    name: str
    columns: slice
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def of(self, rows: Matrix) -> AnyArray:
        return np.ascontiguousarray(rows[:, self.columns], self.dtype).reshape(len(rows), *self.shape)


@dataclass(frozen=True)
class OnnxModel:
    """A session; running one is safe from several threads."""

    session: Any
    feeds: Sequence[Feed]
    outputs: Sequence[str]

    def predict(self, rows: Matrix) -> Matrix:
        return _joined(self.answers(rows))

    def answers(self, rows: Matrix) -> list[AnyArray]:
        """Each output as (rows, numbers), in its own dtype; raises Invalid for rows that the model cannot take."""
        feeds = {feed.name: feed.of(rows) for feed in self.feeds}
        try:
            found = self.session.run(self.outputs, feeds)
        except Exception as error:  # the library has no class for its errors
            raise Invalid.field("inputs", f"cannot be taken by this model: {_first(error)}") from error
        return [np.asarray(values).reshape(len(rows), -1) for values in found]


class OnnxRuntime:
    """The adapter for flavor "onnx"; `threads` is how many threads one prediction uses. `beside` is where weights are
    kept, for all processes that load the same file."""

    def __init__(self, threads: int = 1, *, beside: Beside | None = None) -> None:
        self._threads, self._beside = threads, beside
        self._mapped = None if beside is None else MappedSessions(beside, self._options)

    def load(self, content: bytes, signature: Signature, approved: bool) -> OnnxModel:
        # A trial is of the model's own file.
        if self._mapped is None or self._beside is None or self._beside.anew or len(content) < LEAST_BYTES:
            return _checked(self._session(content), signature)
        digest = hashlib.sha256(content).hexdigest()
        session, unfit = self._mapped.find(digest)
        if session is None and not unfit:
            with self._beside.turn(digest, MOST_S):
                session, unfit = self._mapped.find(digest)
                if session is None and not unfit:
                    # What it refuses is refused before another process is asked to write it down.
                    model = _checked(self._session(content), signature)
                    session = self._made(self._mapped, Task(str(self._beside.folder), digest, self._threads, signature))
                    return model if session is None else replace(model, session=session)
        return _checked(session or self._session(content), signature)

    def _made(self, mapped: MappedSessions, task: Task) -> Any | None:
        failure = failure_of(task)
        if failure:
            mapped.unfit(task.digest, failure)
        session, unfit = mapped.find(task.digest)
        if unfit and unfit != NO_WEIGHTS:
            log.warning("an ONNX model's weights are not mapped", digest=task.digest, why=unfit)
        return session

    def write_down(self, digest: str, content: bytes, signature: Signature) -> None:
        """Make the file of weights that are mapped, in the process that is there for it."""
        if self._mapped is not None:
            model = _checked(self._session(content), signature)
            self._mapped.make(digest, content, lambda session: _alike(model, replace(model, session=session)))

    def _session(self, content: bytes) -> Any:
        try:
            return onnxruntime.InferenceSession(content, self._options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has no class for its errors
            reason = _first(error)
            if "xternal data" in str(error):
                reason = "it names other files that hold its weights; save it whole, with save_as_external_data=False"
            raise NotAllowed(f"the model file is not an ONNX model that can be run here: {reason}") from error

    def _options(self, folder: str = NO_FOLDER) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        return options


def _checked(session: Any, signature: Signature) -> OnnxModel:
    model = OnnxModel(session, _feeds(session.get_inputs(), signature), _outputs(session.get_outputs(), signature))
    try:
        answers = model.answers(np.zeros((1, len(signature.features)), np.float32))
    except (Invalid, ValueError) as error:
        raise NotAllowed(f"the model file does not answer a row of zeros: {error}") from error
    for spec, values in zip(signature.outputs, answers, strict=True):
        if values.dtype.kind == "f" and not spec.datatype.startswith("FP"):
            raise NotAllowed(f"the model file answers {spec.name!r} with {values.dtype}, not with {spec.datatype}")
        if values.shape[1] != spec.width:
            check_width(sum(found.shape[1] for found in answers), signature)
            raise NotAllowed(f"the model file answers {spec.name!r} with {values.shape[1]} numbers")
    return model


def _alike(one: OnnxModel, other: OnnxModel) -> bool:
    """Whether two answer with the same bits: rows that are drawn, where they are taken, of ones and of zeros."""
    width = sum(feed.columns.stop - feed.columns.start for feed in one.feeds)
    drawn = np.random.default_rng(7).normal(size=(PROOF_ROWS, width)).astype(np.float32)
    for rows in (drawn, drawn[:1], np.ones((3, width), np.float32), np.zeros((1, width), np.float32)):
        try:
            wanted = one.answers(rows)
        except (Invalid, ValueError):
            continue
        found = other.answers(rows)
        if [values.tobytes() for values in found] != [values.tobytes() for values in wanted]:
            return False
    return True


def _feeds(inputs: Sequence[Any], signature: Signature) -> list[Feed]:
    """By the names of tensors, by those of columns, or all columns as the only tensor."""
    places: dict[str, tuple[slice, str]] = {}
    start = 0
    for spec in signature.inputs:
        places[spec.name] = slice(start, start + spec.width), spec.datatype
        start += spec.width
    columns = [(name, spec.datatype) for spec in signature.inputs for name in column_names(spec)]
    by_column = {name: (slice(n, n + 1), datatype) for n, (name, datatype) in enumerate(columns)}
    names = {each.name for each in inputs}
    for known in (places, by_column):
        if names == set(known):
            return [_feed(each, *known[each.name]) for each in inputs]
    if len(inputs) == 1:
        datatypes = [spec.datatype for spec in signature.inputs]
        floats = next((datatype for datatype in datatypes if datatype.startswith("FP")), datatypes[0])
        return [_feed(inputs[0], slice(0, start), floats)]
    raise NotAllowed(
        f"the model file takes {', '.join(sorted(names))}, its signature names the tensors {', '.join(places)}"
    )


def _feed(told: Any, columns: slice, datatype: str) -> Feed:
    dtype = _dtype(told, "takes")
    if dtype.kind in "iub" and datatype.startswith("FP"):
        raise NotAllowed(f"the model file takes {told.name!r} as {told.type}, its signature says {datatype}")
    rows, *rest = told.shape or ["rows"]
    if isinstance(rows, int):
        raise NotAllowed(f"the model file takes {rows} rows at a time; export it with the first dimension left open")
    width = columns.stop - columns.start
    shape = tuple(rest) if all(isinstance(size, int) for size in rest) else (width,)
    if prod(shape) != width:
        raise NotAllowed(
            f"the model file takes {prod(shape)} numbers a row as {told.name!r}, its signature names {width}"
        )
    return Feed(told.name, columns, shape, dtype)


def _outputs(outputs: Sequence[Any], signature: Signature) -> list[str]:
    """Those that the signature names; or all, in their order, where it gives them other names."""
    types = {each.name: each for each in outputs}
    wanted = [spec.name for spec in signature.outputs]
    if not set(wanted) <= set(types):
        if len(wanted) != len(types):
            raise NotAllowed(f"the model file answers with {', '.join(types)}, its signature names {', '.join(wanted)}")
        wanted = list(types)
    for name in wanted:
        _dtype(types[name], "answers with")
    return wanted


def _dtype(told: Any, verb: str) -> np.dtype[Any]:
    if told.type not in _DTYPES:
        more = "; convert it with zipmap=False" if told.type.startswith("seq") else ""
        raise NotAllowed(f"the model file {verb} {told.name!r} as {told.type}, which is no tensor of numbers{more}")
    dtype: np.dtype[Any] = np.dtype(_DTYPES[told.type])
    return dtype


def _joined(answers: Sequence[AnyArray]) -> Matrix:
    if len(answers) == 1 and answers[0].dtype in (np.float32, np.float64):
        return answers[0]
    whole: NDArray[np.float64] = np.concatenate(answers, axis=1, dtype=np.float64)
    return whole


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:500]


runtime = OnnxRuntime
