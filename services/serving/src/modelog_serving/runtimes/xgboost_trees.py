"""XGBoost's trees as arrays, read from its JSON; what does not fit the layout is told, and stays with the library.

The schema: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelog_serving.runtimes import links

# 2^10 leaves for each tree; and 200 MB for all of them.
DEEPEST = 10
MOST_LEAVES = 16 << 20
LINKS = {
    "reg:squarederror": links.IDENTITY,
    "reg:squaredlogerror": links.IDENTITY,
    "reg:absoluteerror": links.IDENTITY,
    "reg:pseudohubererror": links.IDENTITY,
    "binary:logitraw": links.IDENTITY,
    "rank:pairwise": links.IDENTITY,
    "rank:ndcg": links.IDENTITY,
    "rank:map": links.IDENTITY,
    "binary:logistic": links.LOGISTIC,
    "reg:logistic": links.LOGISTIC,
    "count:poisson": links.EXPONENTIAL,
    "reg:gamma": links.EXPONENTIAL,
    "reg:tweedie": links.EXPONENTIAL,
    "multi:softprob": links.SOFTMAX,
}


class DoesNotFit(Exception):
    """The text says what of the model the layout has no place for."""


@dataclass(frozen=True)
class Trees:
    """(trees, 2^depth - 1) nodes and (trees, 2^depth) leaves; see `tree_kernel.answer`."""

    features: NDArray[np.uint32]
    thresholds: NDArray[np.float32]
    missing_right: NDArray[np.bool_]
    leaves: NDArray[np.float32]
    groups: NDArray[np.int32]
    bases: NDArray[np.float32]
    link: int

    @property
    def splits(self) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """The features that are asked for, and the thresholds beside them."""
        asked = np.isfinite(self.thresholds)
        return self.features[asked], self.thresholds[asked]


def trees_of(document: bytes) -> Trees:
    """The trees of a model that the library wrote as JSON; raises DoesNotFit."""
    learner = json.loads(document)["learner"]
    objective = learner["objective"]["name"]
    booster = learner["gradient_booster"]
    if objective not in LINKS:
        raise DoesNotFit(f"its objective is {objective}")
    if booster["name"] != "gbtree":
        raise DoesNotFit(f"its booster is {booster['name']}")
    trees = booster["model"]["trees"]
    if not trees:
        raise DoesNotFit("it has no trees")
    outputs, features = _bases(learner), int(learner["learner_model_param"]["num_feature"])
    for tree, group in zip(trees, booster["model"]["tree_info"], strict=True):
        _check(tree, features)
        if not 0 <= group < len(outputs):
            raise DoesNotFit(f"a tree adds to output {group} of {len(outputs)}")
    depth = max(1, *(_depth(tree) for tree in trees))
    if len(trees) << depth > MOST_LEAVES:
        raise DoesNotFit(f"it has {len(trees)} trees of depth {depth}")
    inner = (1 << depth) - 1
    made = Trees(
        features=np.zeros((len(trees), inner), np.uint32),
        thresholds=np.full((len(trees), inner), np.inf, np.float32),
        missing_right=np.zeros((len(trees), inner), np.bool_),
        leaves=np.zeros((len(trees), inner + 1), np.float32),
        groups=np.array(booster["model"]["tree_info"], np.int32),
        bases=outputs,
        link=LINKS[objective],
    )
    for number, tree in enumerate(trees):
        _lay_out(made, number, tree, depth)
    return made


def _check(tree: dict[str, Any], features: int) -> None:
    if any(tree.get("split_type", ())):
        raise DoesNotFit("it splits by categories")
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise DoesNotFit("a leaf has several numbers")
    # The kernel looks at no bounds.
    if any(not 0 <= feature < features for feature in tree["split_indices"]):
        raise DoesNotFit(f"a tree asks for a feature beyond the {features} that there are")


def _depth(tree: dict[str, Any]) -> int:
    left, right = tree["left_children"], tree["right_children"]
    level, depth = [0], 0
    while level := [child for node in level if left[node] >= 0 for child in (left[node], right[node])]:
        depth += 1
        if depth > DEEPEST:
            raise DoesNotFit(f"it has a tree deeper than {DEEPEST}")
    return depth


def _lay_out(made: Trees, number: int, tree: dict[str, Any], depth: int) -> None:
    left, right = tree["left_children"], tree["right_children"]
    level = [0]
    for step in range(depth):
        below = []
        for at, node in enumerate(level, (1 << step) - 1):
            if left[node] < 0:
                # A leaf: whichever way is taken from here, it is found again.
                below += [node, node]
                continue
            made.features[number, at] = tree["split_indices"][node]
            made.thresholds[number, at] = tree["split_conditions"][node]
            made.missing_right[number, at] = not tree["default_left"][node]
            below += [left[node], right[node]]
        level = below
    made.leaves[number] = [tree["split_conditions"][node] for node in level]


def _bases(learner: dict[str, Any]) -> NDArray[np.float32]:
    """What each output begins with, before the link."""
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    given = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float32).reshape(-1)
    if len(given) not in (1, outputs):
        raise DoesNotFit(f"it has {outputs} outputs and {len(given)} base scores")
    scores = np.broadcast_to(given, outputs).astype(np.float32)
    link = LINKS[learner["objective"]["name"]]
    with np.errstate(all="ignore"):
        if link == links.LOGISTIC:
            scores = -np.log(1 / scores - 1)
        elif link == links.EXPONENTIAL:
            scores = np.log(scores)
    return scores.astype(np.float32)
