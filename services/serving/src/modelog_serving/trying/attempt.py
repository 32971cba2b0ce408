"""What the process of a trial does: load a file, have it answer, and look at the answers."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid, ModelogError

from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.choice import TOLERANCE, Chosen, difference
from modelog_serving.engine.failed import NeedsApproval, NoRuntime
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import AnyArray, Matrix, Model
from modelog_serving.engine.texts import OBJECT, numbers_in, text_columns
from modelog_serving.folder import FolderFiles
from modelog_serving.oip.tensors import DTYPES
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.feeds import WrongAnswer, first_line
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.trial.events import KEPT, NOT_TRIED, REFUSED, WORKS, Found
from modelog_serving.trying.rows import DRAWN, drawn, with_missing
from modelog_serving.trying.task import Step, Task
from modelog_serving.worker.memory import memory_bytes

THRESHOLDS = "rows on, below and above its splits, and with missing values"
TIMES, TIMED_S = 15, 0.5
Say = Callable[[Step], None]
ADVICE = "register the version with an input example (input_example= in MLflow) to have it tried with rows of its own"


@dataclass(frozen=True)
class _Sample:
    """`own` says that a model of this kind must answer these rows."""

    what: str
    rows: Matrix
    own: bool


def tried(task: Task, given: Matrix | None, say: Say) -> Found:
    """What became of the file. Whatever a model does beyond raising an error ends this process."""
    say(Step("it is loaded", task.limits.load_s))
    ref = ModelRef(task.digest, task.flavor, task.signature, task.approved)
    try:
        # What a trial makes is kept for those who load the file; what others made is what it has to look at anew.
        runtimes = LazyRuntimes(task.threads, beside=Beside(Path(task.folder), anew=True))
        models = Models(FolderFiles(Path(task.folder)), runtimes, 1)
        model = asyncio.run(models.get(ref))
    except (NeedsApproval, NoRuntime) as error:
        return Found(NOT_TRIED, _needs(error))
    except ModelogError as error:
        return Found(REFUSED, str(error))
    return _answered(task, model, _sample(task, model, given), say)


def _needs(error: ModelogError) -> str:
    return f"needs approval: {error}" if isinstance(error, NeedsApproval) else str(error)


def _sample(task: Task, model: Model, given: Matrix | None) -> _Sample:
    if given is not None:
        return _Sample(f"its {task.example}", given, own=True)
    choice = model.choice if isinstance(model, Chosen) else None
    if choice is not None and choice.sample is not None:
        return _Sample(THRESHOLDS, choice.sample, own=True)
    return _Sample(DRAWN, drawn(task.signature), own=False)


def _answered(task: Task, model: Model, sample: _Sample, say: Say) -> Found:
    said = Step(f"it answers {len(sample.rows)} rows", task.limits.predict_s)
    say(said)
    try:
        answers = np.asarray(model.predict(sample.rows))
    except MemoryError:
        raise
    except WrongAnswer as error:
        return Found(REFUSED, str(error), sample=sample.what, rows=len(sample.rows))
    except Exception as error:  # whatever the code of the model raises
        text = str(error) if isinstance(error, Invalid) else first_line(error)
        why = f"it does not answer {sample.what}: {text}"
        if sample.own:
            return Found(REFUSED, why, sample=sample.what, rows=len(sample.rows))
        return Found(NOT_TRIED, f"{why}; {ADVICE}", sample=sample.what, rows=len(sample.rows))
    wrong = unfit(task.signature, answers, len(sample.rows))
    if wrong:
        return Found(REFUSED, wrong, sample=sample.what, rows=len(sample.rows))
    found, answering = _engine(task, model, sample)
    found = msgspec.structs.replace(found, missing=_missing(task, answering, sample, say))
    say(Step("its answers are timed", 2 * task.limits.predict_s + 2 * TIMED_S))
    alone, together = timed_us(answering, sample.rows, 1), timed_us(answering, sample.rows, 32)
    return msgspec.structs.replace(found, row_us=alone, row_of_32_us=together, memory_bytes=memory_bytes())


def _engine(task: Task, model: Model, sample: _Sample) -> tuple[Found, Model]:
    """Which engine answers, and it itself: where the sample tells engines apart, the library's own."""
    plain = Found(WORKS, engine=task.flavor, why="no other engine is there for models of its kind")
    plain = msgspec.structs.replace(plain, sample=sample.what, rows=len(sample.rows))
    if not isinstance(model, Chosen):
        return plain, model
    choice, seen = model.choice, model.choice.difference
    why, original = choice.why, model.original
    if original is not None and choice.sample is not sample.rows:
        own = difference(np.asarray(model.predict(sample.rows)), np.asarray(original.predict(sample.rows)))
        if seen is None or own.largest >= seen.largest or own.unequal:
            seen = own
        if own.unequal:
            why = f"another engine, {choice.engine}, differs from it by up to {own.largest:.3g} on {sample.what}"
    unequal = seen is not None and seen.unequal
    kept = original is None or unequal
    compared = seen.rows if seen is not None else len(sample.rows)
    found = msgspec.structs.replace(
        plain,
        state=KEPT if kept else WORKS,
        engine=task.flavor if kept else choice.engine,
        why=why,
        rows=compared,
        largest_difference=None if seen is None or not np.isfinite(seen.largest) else seen.largest,
        tolerance=TOLERANCE if seen is not None else 0.0,
        unequal=unequal,
    )
    return found, (original if kept and original is not None else model)


def _missing(task: Task, model: Model, sample: _Sample, say: Say) -> str:
    """What becomes of rows with missing values, which a model need not take."""
    if sample.rows.dtype != OBJECT and np.isnan(sample.rows).any():
        return "answered"
    rows = with_missing(sample.rows, task.signature)
    if rows is None:
        return ""
    say(Step("it answers rows with missing values", task.limits.predict_s))
    try:
        answers = np.asarray(model.predict(rows))
    except MemoryError:
        raise
    except Exception as error:  # whatever the code of the model raises
        return f"refused: {error if isinstance(error, Invalid) else first_line(error)}"
    wrong = unfit(task.signature, answers, len(rows))
    return f"answered wrongly: {wrong}" if wrong else "answered"


def unfit(signature: Signature, answers: AnyArray, rows: int) -> str:
    """What of the answers is not as the signature says, naming the output; "" when all is."""
    expected = (rows, signature.output_width)
    texts = any(spec.datatype == TEXT for spec in signature.outputs)
    if answers.shape != expected or answers.dtype not in ((OBJECT,) if texts else (np.float32, np.float64)):
        kind = "cells" if texts else "numbers"
        shape = list(answers.shape)
        return (
            f"it answers {rows} rows with {answers.dtype} of shape {shape}; its signature says {list(expected)} {kind}"
        )
    start, numbers, words = 0, numbers_in(answers), set(text_columns(answers))
    for spec in signature.outputs:
        columns = range(start, start + spec.width)
        start += spec.width
        if (spec.datatype == TEXT) != all(column in words for column in columns):
            what = "no text" if spec.datatype == TEXT else "a text"
            return f"its output {spec.name!r} is {what}, and signed as {spec.datatype}"
        if spec.datatype == TEXT:
            continue
        beyond = _beyond(spec.datatype, numbers[:, columns.start : columns.stop])
        if beyond is not None:
            return f"its output {spec.name!r} is {beyond:g}, which is no {spec.datatype}"
    return ""


def _beyond(datatype: str, values: Matrix) -> float | None:
    """The first value that a datatype does not hold; numbers with a fraction may be NaN and infinite."""
    dtype = DTYPES[datatype]
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            held = ~np.isfinite(values) | np.isfinite(values.astype(dtype))
    elif dtype.kind == "b":
        held = (values == 0) | (values == 1)
    else:
        info = np.iinfo(dtype.str)
        held = (values == np.floor(values)) & (values >= info.min) & (values <= info.max)
    return None if held.all() else float(values[~held][0])


def timed_us(model: Model, rows: Matrix, together: int) -> float:
    """Microseconds for a row of so many that come together: the median of TIMES, or of as many as TIMED_S has."""
    batch = np.concatenate([rows] * -(-together // len(rows)))[:together]
    took, until = list[float](), time.perf_counter() + TIMED_S
    model.predict(batch)
    while len(took) < TIMES and (not took or time.perf_counter() < until):
        began = time.perf_counter()
        model.predict(batch)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6 / together
