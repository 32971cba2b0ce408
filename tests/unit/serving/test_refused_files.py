"""A pickle that nobody approved is refused at once: no process is started to say so, and nothing in it runs."""

from __future__ import annotations

import io
from pathlib import Path

import joblib
import pytest
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker import isolated
from modelog_serving.worker.limits import Limits

SIGNATURE = Signature((TensorSpec("x", "FP64", (-1, 3)),), (TensorSpec("y", "FP64", (-1,)),))


class Harmful:
    """Makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("flavor", ["sklearn", "lightgbm"])
def test_a_pickle_that_nobody_approved_takes_no_process(
    flavor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(isolated, "Worker", start)
    file, made = io.BytesIO(), tmp_path / "made"
    joblib.dump(Harmful(made), file)
    runtime = LazyRuntimes(1, Limits(5.0, 5.0, 0)).of(flavor)
    with pytest.raises(NotAllowed, match="have the version approved by somebody else"):
        runtime.load(file.getvalue(), SIGNATURE, False)
    assert not made.exists()
    with pytest.raises(AssertionError, match="a process was started"):
        runtime.load(file.getvalue(), SIGNATURE, True)
