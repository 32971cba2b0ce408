"""What an answer costs from a process of the model's own, beside the same model in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import cloudpickle
import numpy as np
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.runtime import Matrix
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.limits import Limits

FEATURES, ROUNDS, CALLS = 20, 7, 300
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, FEATURES)),), (TensorSpec("y", "FP32", (-1,)),))


def first(rows: Any) -> Any:
    """As little work as there can be: what remains is the way there and back."""
    return rows[:, 0]


def microseconds(predict: Callable[[Matrix], Matrix], rows: Matrix) -> float:
    """Of one call: the median of rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            predict(rows)
        took.append((time.perf_counter() - began) / CALLS * 1e6)
    return median(took)


def main() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    content = cloudpickle.dumps(first)
    here = LazyRuntimes().of("python_function").load(content, SIGNATURE, True)
    began = time.perf_counter()
    apart = LazyRuntimes(1, Limits()).of("python_function").load(content, SIGNATURE, True)
    print(f"a process with numpy is there after {time.perf_counter() - began:.2f} s")
    print(f"{'rows':>6} {'here, us':>10} {'apart, us':>10} {'more, us':>10}")
    for count in (1, 32, 1000, 8000):
        rows = np.zeros((count, FEATURES), np.float32)
        in_here, over_there = microseconds(here.predict, rows), microseconds(apart.predict, rows)
        print(f"{count:>6} {in_here:>10.1f} {over_there:>10.1f} {over_there - in_here:>10.1f}")


if __name__ == "__main__":
    main()
