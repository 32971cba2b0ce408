"""How long a model takes to load and how much memory it holds: asked of a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import msgspec
import numpy as np
import psutil
from modelog.training import StoredModel

from modelog_training.benchmark.predictor import Matrix, kind_of, load

PATIENCE_S = 300.0


def footprint(model: StoredModel, rows: Matrix) -> dict[str, float]:
    """`load_s`, and `memory_bytes`: by how much the process grew when it loaded the model and predicted `rows`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.npy")
        np.save(file, rows)
        told = msgspec.json.encode(model).decode()
        command = [sys.executable, "-m", "modelog_training.benchmark.footprint", told, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise ValueError(
            f"{model.model} {model.version} cannot be loaded in a process of its own: {done.stderr[-500:]}"
        )
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def measure(model: StoredModel, rows: Matrix) -> dict[str, float]:
    """In the process itself. The library is loaded before: it belongs to no model."""
    import_module(kind_of(model).package)
    process = psutil.Process()
    before, start = process.memory_info().rss, time.perf_counter()
    predictor = load(model)
    load_s = time.perf_counter() - start
    predictor.scores(rows)
    return {"load_s": load_s, "memory_bytes": float(max(0, process.memory_info().rss - before))}


if __name__ == "__main__":
    print(json.dumps(measure(msgspec.json.decode(sys.argv[1], type=StoredModel), np.load(sys.argv[2]))))
