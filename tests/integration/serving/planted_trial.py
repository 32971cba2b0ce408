"""The process of a trial in which compiled trees answer otherwise, as a defect in them would."""

from __future__ import annotations

import json

from modelog_serving.runtimes import xgboost_compiled
from modelog_serving.runtimes.xgboost_trees import Trees, trees_of
from modelog_serving.trying.__main__ import main


def turned(document: bytes) -> Trees:
    """Missing values go the other way in one tree."""
    model = json.loads(document)
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["default_left"] = [1 - way for way in tree["default_left"]]
    return trees_of(json.dumps(model).encode())


if __name__ == "__main__":
    xgboost_compiled.trees_of = turned
    main()
