"""What trying a version costs: the CPU seconds of its process, with all that it starts, and the memory it held.

    .venv/bin/python tests/bench/bench_trials.py

Every model takes 20 features. CPU time is told, which hardly depends on what else the machine does; no peer does this.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cloudpickle
import lightgbm
import msgspec
import numpy as np
import skops.io
import xgboost
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.composite import Manifest, Member
from modelog_serving.trial.events import Found, TrialLimits
from modelog_serving.trying.process import TrialProcess
from modelog_serving.trying.task import Task
from sklearn.linear_model import LogisticRegression

FEATURES = 20
NAMES = tuple(f"f{n}" for n in range(FEATURES))
DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(2000, FEATURES))
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def signed(datatype: str, output: str) -> Signature:
    return Signature((TensorSpec("x", datatype, (-1, FEATURES), NAMES),), (TensorSpec("y", output, (-1,)),))


def half(table: object) -> object:
    return table.to_numpy()[:, 0] / 2  # type: ignore[attr-defined]


def models() -> Iterator[tuple[str, str, bytes, Signature]]:
    """Name, flavor, file and signature."""
    trees = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 6, "nthread": 1},
        xgboost.DMatrix(ROWS, LABELS, feature_names=list(NAMES)),
        200,
    )
    yield "XGBoost, 200 trees", "xgboost", bytes(trees.save_raw("ubj")), signed("FP32", "FP32")
    data = lightgbm.Dataset(ROWS, LABELS, feature_name=list(NAMES))
    boosted = lightgbm.train({"objective": "binary", "num_threads": 1, "verbosity": -1}, data, 200)
    yield "LightGBM, 200 trees", "lightgbm", boosted.model_to_string().encode(), signed("FP64", "FP64")
    linear = LogisticRegression().fit(ROWS, LABELS)
    yield "scikit-learn, linear", "sklearn", skops.io.dumps(linear), signed("FP64", "INT64")
    yield "Python function", "python_function", cloudpickle.dumps(half), signed("FP64", "FP64")


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def tried(folder: Path, flavor: str, content: bytes, signature: Signature) -> tuple[Found, float]:
    """What came of it, and the CPU seconds that it took."""
    digest = hashlib.sha256(content).hexdigest()
    await FolderBlobStore(folder).put(pieces(content), digest)
    before = os.times()
    process = TrialProcess(Task(str(folder), digest, flavor, signature, True, 1, TrialLimits(300.0, 60.0, 0)), None)
    try:
        found = await asyncio.to_thread(process.found, lambda _what: None)
    finally:
        process.end()
    after = os.times()
    return found, after.children_user + after.children_system - before.children_user - before.children_system


async def main() -> None:
    print(f"{'':22} {'CPU s':>6} {'MiB':>6}  came to")
    with tempfile.TemporaryDirectory() as name:
        folder, members = Path(name), list[Member]()
        for what, flavor, content, signature in models():
            # The second time, what is compiled is kept on the disk.
            for _ in range(2):
                found, cpu_s = await tried(folder, flavor, content, signature)
            print(f"{what:22} {cpu_s:6.1f} {found.memory_bytes / (1 << 20):6.0f}  {found.state}, {found.rows} rows")
            if flavor == "xgboost":
                members.append(Member("one", "1.0.0", hashlib.sha256(content).hexdigest(), flavor, signature))
        manifest = msgspec.json.encode(Manifest((*members, *members)))
        found, cpu_s = await tried(folder, "ensemble", manifest, signed("FP32", "FP32"))
        print(f"{'ensemble of two':22} {cpu_s:6.1f} {found.memory_bytes / (1 << 20):6.0f}  {found.state}")


if __name__ == "__main__":
    asyncio.run(main())
