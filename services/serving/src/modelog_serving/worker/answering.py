"""Asks a model in its own process, and says what came of it as `worker.wire` has it."""

from __future__ import annotations

import numpy as np
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.engine.texts import OBJECT
from modelog_serving.worker import wire
from modelog_serving.worker.memory import memory_bytes


def answered(
    model: Model, rows: Matrix, signature: Signature, passing: type[Exception] | tuple[type[Exception], ...] = ()
) -> tuple[wire.Said, Matrix | None]:
    """The outputs (rows, outputs), held against the signature, or what the model or its code did instead; raises what
    is `passing`."""
    width = signature.output_width
    texts = any(spec.datatype == TEXT for spec in signature.outputs)
    allowed = (OBJECT,) if texts else (np.float32, np.float64)
    try:
        answers = np.asarray(model.predict(rows))
        if answers.shape != (len(rows), width) or answers.dtype not in allowed:
            cells = "cells" if texts else "numbers"
            what = f"with {answers.dtype} of shape {list(answers.shape)}; expected are {[len(rows), width]} {cells}"
            return wire.Said(wire.FAILED, f"it answered {len(rows)} rows {what}"), None
    except passing:
        raise
    except Exception as error:  # whatever the code of the model raises
        return _wrong(error), None
    return wire.Said(wire.ANSWER, matrix=wire.rows_of(answers), memory_bytes=memory_bytes()), answers


def learned(model: Model, state: bytes, rows: Matrix) -> tuple[wire.Said, bytes | None]:
    """What a state of a model becomes when it learns a lesson, as `engine.runtime.Learner` has it."""
    learn = getattr(model, "learn", None)
    if learn is None:
        return wire.Said(wire.REFUSED, f"a {type(model).__name__} does not learn"), None
    try:
        content, seen = learn(state, rows)
    except NotAllowed as error:
        return wire.Said(wire.REFUSED, str(error)), None
    except Exception as error:  # whatever the code of the model raises
        return _wrong(error), None
    return wire.Said(wire.LEARNED, memory_bytes=memory_bytes(), seen=seen), content


def _wrong(error: Exception) -> wire.Said:
    match error:
        case Invalid():
            return wire.Said(wire.INVALID, str(error))
        case MemoryError():
            return wire.Said(wire.NO_MEMORY)
        case ModelDied():
            return wire.Said(wire.DIED, str(error))
        case ModelFailed():
            return wire.Said(wire.FAILED, str(error))
        case _:
            return wire.Said(wire.FAILED, f"{type(error).__name__}: {error}".splitlines()[0][:500])
