"""Autologging: what a framework is told and what it reaches goes to a run, without a line about it in the program.

import modelog
import xgboost

with modelog.start_run("flight-delay") as run, modelog.autolog(run):
    xgboost.train({"max_depth": 6}, train, evals=[(valid, "valid")])

Of scikit-learn, XGBoost, LightGBM, Keras, PyTorch (Lightning) and transformers those that are imported before `autolog`
are watched, until its block ends: parameters, metrics by step, the fitted model and what tells of it. A second fit in
one run is told apart by its names, which begin with "fit2.".
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Callable, Dict, Iterator, Sequence

from modelog.autologging import (
    with_keras,
    with_lightgbm,
    with_lightning,
    with_sklearn,
    with_transformers,
    with_xgboost,
)
from modelog.autologging.fits import Fits
from modelog.autologging.patches import Patches
from modelog.errors import Invalid

if TYPE_CHECKING:
    from modelog.active import ActiveRun

Watch = Callable[[Patches, Fits], None]
# By the module whose import says that the framework is used.
FRAMEWORKS: Dict[str, Watch] = {
    "sklearn.base": with_sklearn.watch,
    "xgboost": with_xgboost.watch,
    "lightgbm": with_lightgbm.watch,
    "keras": with_keras.watch,
    "lightning.pytorch": with_lightning.watch,
    "pytorch_lightning": with_lightning.watch_the_older_name,
    "transformers": with_transformers.watch,
}


@contextmanager
def autolog(run: ActiveRun, *, models: bool = True, frameworks: Sequence[str] = ()) -> Iterator[None]:
    """Watch what is fitted until the block ends.

    `models` says whether fitted models are kept as artifacts. `frameworks` names those to watch, by the modules in
    FRAMEWORKS; without it all that are imported are watched. A platform that is away is not waited for while something
    is fitted: points are kept, and sent before the block ends, which raises Unavailable when that cannot be done.
    """
    unknown = sorted(set(frameworks) - set(FRAMEWORKS))
    if unknown:
        raise Invalid(f"frameworks: {unknown[0]!r} is not known; use some of {', '.join(FRAMEWORKS)}")
    fits = Fits(run, models)
    with ExitStack() as stack:
        patches = stack.enter_context(Patches())
        for module, watch in FRAMEWORKS.items():
            if module in sys.modules and (not frameworks or module in frameworks):
                watch(patches, fits)
        yield
    fits.flush()
