"""Compiled trees that lie in a file beside the model's, so that all processes have them in memory once.

The file has what the library answered to the sample, too: each process proves its trees against that, and reads the
model into the library's own memory only when somebody asks for what only the library knows.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import msgspec
import numpy as np
import structlog

from modelog_serving.engine.choice import Choice
from modelog_serving.runtimes.beside import Beside, named_by
from modelog_serving.runtimes.made_file import Damaged, MadeFile, Place, add, finish
from modelog_serving.runtimes.xgboost_compiled import COMPILED, EQUAL, CompiledTrees, compared, fastest, stays, unlike
from modelog_serving.runtimes.xgboost_library import Booster
from modelog_serving.runtimes.xgboost_trees import Trees

# What decides on the arrays, and on what they answer.
_CODE = ("made_file", "tree_kernel", "xgboost_compiled", "xgboost_library", "xgboost_mapped", "xgboost_trees")
_PACKAGES = ("xgboost-cpu", "xgboost", "numba", "numpy")
_ARRAYS = ("features", "thresholds", "missing_right", "leaves", "groups", "bases")
log = structlog.get_logger()


class Traits(msgspec.Struct, frozen=True):
    """What a signature is held against. `names` is empty where the features have none."""

    features: int
    names: tuple[str, ...]
    objective: str
    width: int


class About(msgspec.Struct, frozen=True):
    """What lies in the file; or with `unfit`, why there are no trees in it."""

    traits: Traits
    unfit: str = ""
    link: int = 0
    places: tuple[Place, ...] = ()


def traits_of(booster: Booster) -> Traits:
    """Raises XGBoostFailed when it does not answer a row of zeros."""
    features = booster.features()
    width = booster.predict(np.zeros((1, features), np.float32)).shape[1]
    return Traits(features, tuple(booster.feature_names()), booster.objective(), width)


class MappedTrees:
    """Finds and makes the files; `threads` is how many threads one prediction by the library uses."""

    def __init__(self, beside: Beside, threads: int) -> None:
        self._beside, self._threads = beside, threads

    def find(self, digest: str) -> tuple[CompiledTrees, Traits] | None:
        """The trees that were made of a model's file and are proven here, too."""
        file = self._beside.find(digest, _made_by())
        about = None if file is None else _about(file)
        if file is None or about is None or about.unfit:
            return None
        try:
            return self._proven(digest, file, about), about.traits
        except Damaged as error:
            log.warning("trees that were made of a model's file are made again", digest=digest, why=str(error))
        except (RuntimeError, ImportError, OSError):
            # numba is not here, or does not work: whoever is to make them finds that, too, and says so.
            pass
        return None

    def made(self, digest: str, booster: Booster, traits: Traits) -> CompiledTrees | Booster:
        """What answers for a model that is in the library's memory; it is written down for the next process."""
        file = self._beside.find(digest, _made_by())
        known = None if file is None else _about(file)
        if known is not None and known.unfit:
            return stays(booster, known.unfit)
        model = fastest(booster, lambda why: self._keep(digest, About(traits, why)))
        if isinstance(model, CompiledTrees):
            self._keep(digest, About(traits, link=model.trees.link), model)
        return model

    def _keep(self, digest: str, about: About, model: CompiledTrees | None = None) -> None:
        arrays = {}
        if model is not None and model.choice.sample is not None:
            arrays = {name: getattr(model.trees, name) for name in _ARRAYS}
            arrays |= {"sample": model.choice.sample, "expected": model.original.predict(model.choice.sample)}

        def write(file: BinaryIO) -> None:
            whole = msgspec.structs.replace(about, places=add(file, arrays))
            finish(file, msgspec.json.encode(whole))

        self._beside.keep(digest, _made_by(), write)

    def _proven(self, digest: str, file: MadeFile, about: About) -> CompiledTrees:
        arrays = file.arrays(about.places)
        try:
            trees = Trees(**{name: arrays[name] for name in _ARRAYS}, link=about.link)
            rows, expected = arrays["sample"], arrays["expected"]
        except KeyError as error:
            raise Damaged(f"it lacks {error}") from None
        compiled = CompiledTrees(trees, about.traits.features, _Library(self._beside, digest, self._threads))
        found = compared(compiled, rows, expected)
        if found.unequal:
            raise Damaged(unlike(found))
        compiled.choice = Choice(COMPILED, EQUAL, rows, found)
        return compiled


class _Library:
    """The model in the library's memory, read when it is first asked for, and kept from then on."""

    def __init__(self, beside: Beside, digest: str, threads: int) -> None:
        self._beside, self._digest, self._threads = beside, digest, threads
        self._turn = Lock()
        self._booster: Booster | None = None

    def __call__(self) -> Booster:
        with self._turn:
            if self._booster is None:
                self._booster = Booster(self._beside.content(self._digest), self._threads)
            return self._booster


def _about(file: MadeFile) -> About | None:
    try:
        return msgspec.json.decode(file.about, type=About)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


@cache
def _made_by() -> str:
    # Not by importing them: one needs numba, which need not be here.
    code = [Path(__file__).with_name(f"{name}.py").read_text() for name in _CODE]
    return named_by("trees", *map(_version, _PACKAGES), *code)


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
