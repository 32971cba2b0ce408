"""The fastest engine for a model of XGBoost: compiled trees where they were proven to answer as the library does.

numba is an extra (modelog-serving[trees]); without it, and where a model does not fit or the proof fails, the library
goes on answering, and the log says why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import structlog
from modelog_common.domain.errors import Invalid

from modelog_serving.engine.choice import Choice, Chosen, Difference, difference
from modelog_serving.engine.runtime import Matrix, Quick
from modelog_serving.runtimes.xgboost_library import Booster
from modelog_serving.runtimes.xgboost_trees import DoesNotFit, Trees, trees_of

# Engines.
COMPILED, LIBRARY = "compiled trees", "xgboost"
EQUAL = "they answer a sample as the library does, and are quicker"
ALONE = 64
PROOF_ROWS = 1024
TIMED_ROWS = 256
log = structlog.get_logger()


class CompiledTrees(Quick, Chosen):
    """A model in the kernel's arrays, of so many features; `library` gives the same model in the library."""

    def __init__(self, trees: Trees, features: int, library: Callable[[], Booster]) -> None:
        from modelog_serving.runtimes.tree_kernel import warmed

        self.trees, self._library = trees, library
        self._features, self._outputs, self._kernel = features, len(trees.bases), warmed()
        self._arrays = (
            trees.features, trees.thresholds, trees.missing_right, trees.leaves, trees.groups, trees.bases, trees.link
        )  # fmt: skip
        self.rows_per_ms = self._timed()

    def predict(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs) float32, as the library does."""
        data = np.ascontiguousarray(rows, np.float32)
        if data.ndim != 2 or data.shape[1] != self._features:
            raise Invalid.field("inputs", f"make rows of shape {data.shape}; the model takes {self._features} features")
        answers = np.empty((len(data), self._outputs), np.float32)
        self._kernel(data, *self._arrays, answers)
        return answers

    def contributions(self, rows: Matrix) -> Matrix:
        """Of the library."""
        return self.original.contributions(rows)

    @property
    def original(self) -> Booster:
        """The library; raises Unavailable where it is not in memory and the model's file cannot be read."""
        return self._library()

    def _timed(self) -> int:
        # Rows that miss values take the longest.
        rows = np.full((TIMED_ROWS, self._features), np.nan, np.float32)
        took = []
        for _ in range(3):
            began = time.perf_counter()
            self.predict(rows)
            took.append(time.perf_counter() - began)
        return max(1, int(TIMED_ROWS / (min(took) * 1000)))


def fastest(booster: Booster, unfit: Callable[[str], None] | None = None) -> Booster | CompiledTrees:
    """The compiled trees of a model if they answer a sample as the library does, else the library. `unfit` is told what
    of the model they have no place for, which is so on any machine.
    """
    if find_spec("numba") is None:
        return stays(booster, "numba is missing: pip install 'modelog-serving[trees]'")
    try:
        trees = trees_of(booster.document())
        compiled, rows = CompiledTrees(trees, booster.features(), lambda: booster), sample(trees, booster.features())
    except DoesNotFit as error:
        if unfit is not None:
            unfit(str(error))
        return stays(booster, str(error))
    except (RuntimeError, ImportError, OSError) as error:
        # numba has no place to keep what it compiles, or does not work on this machine.
        why = f"trees cannot be compiled: {error}"
        log.warning("xgboost's own engine answers", why=why)
        return by_library(booster, why)
    found = compared(compiled, rows, booster.predict(rows))
    if found.unequal:
        why = unlike(found)
        log.warning("xgboost's own engine answers", why=why)
        return by_library(booster, why, rows, found)
    compiled.choice = Choice(COMPILED, EQUAL, rows, found)
    return compiled


def stays(booster: Booster, why: str) -> Booster:
    """The library answers, as was to be expected."""
    log.info("xgboost's own engine answers", why=why)
    return by_library(booster, why)


def by_library(booster: Booster, why: str, rows: Matrix | None = None, found: Difference | None = None) -> Booster:
    """The library answers, for this reason."""
    booster.choice = Choice(LIBRARY, why, rows, found)
    return booster


def unlike(found: Difference) -> str:
    """Why compiled trees do not answer."""
    if math.isinf(found.largest):
        return f"compiled trees and the library answer {found.rows} rows with other shapes, or miss other values"
    return f"compiled trees differ from the library by up to {found.largest:.3g} on a sample of {found.rows} rows"


def sample(trees: Trees, features: int) -> Matrix:
    """Rows (PROOF_ROWS, features) that go close by the splits and on them; always the same ones.

    Those of the first half miss values: the kernel answers rows that do in another way than those that do not.
    """
    draw = np.random.default_rng(7)
    rows = draw.normal(size=(PROOF_ROWS, features)).astype(np.float32)
    asked, thresholds = trees.splits
    for feature in np.unique(asked):
        own = draw.choice(thresholds[asked == feature], PROOF_ROWS)
        below, above = np.nextafter(own, np.float32(-np.inf)), np.nextafter(own, np.float32(np.inf))
        rows[:, feature] = np.choose(draw.integers(0, 4, PROOF_ROWS), [own, below, above, own + rows[:, feature]])
    first = rows[: PROOF_ROWS // 2]
    first[draw.random(first.shape) < 0.1] = np.nan
    rows[0], rows[1] = np.nan, 0
    return rows


def compared(compiled: CompiledTrees, rows: Matrix, expected: Matrix) -> Difference:
    """The larger difference from what the library answers, of rows that come together and of the first ALONE that come
    alone."""
    alone = np.concatenate([compiled.predict(row[None]) for row in rows[:ALONE]])
    found = (difference(compiled.predict(rows), expected), difference(alone, expected[:ALONE]))
    return Difference(len(rows), max(one.largest for one in found))
