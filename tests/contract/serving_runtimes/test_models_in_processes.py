"""A model in a process of its own answers as it does elsewhere; what it dies of is told, and it is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import cloudpickle
import numpy as np
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, Unavailable
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.failed import DIED, HUNG, OUTGREW, ModelDied, ModelFailed
from modelog_serving.engine.runtime import Matrix
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker import ended, isolated
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import Limits

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE_S = 150.0
SIGNATURE = Signature((TensorSpec("x", "FP64", (-1, 2)),), (TensorSpec("y", "FP64", (-1,)),))
SOUND, RAISE, REFUSE, DIE, HANG, LEAK, WRONG, EXIT, LOSE = range(9)


def misbehave(rows: np.ndarray[Any, Any], kept: list[Any]) -> Any:
    """The largest number says how."""
    match int(rows.max()):
        case 1:
            raise KeyError("weights")
        case 2:
            raise ValueError("not such rows")
        case 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 4:
            Event().wait()
        case 5:
            kept.append(np.zeros(100 << 17))
        case 6:
            return np.zeros((len(rows) + 1, 1))
        case 7:
            os._exit(3)
        case 8:
            raise ModelDied(DIED, "the model cannot use cuda:0 any more")
    return rows.sum(axis=1)


def content() -> bytes:
    kept: list[Any] = []
    return cloudpickle.dumps(lambda rows: misbehave(rows, kept))


@dataclass
class Told:
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, cause: str, text: str) -> None:
        self.failures.append((cause, text))


def loaded(**limits: Any) -> Isolated:
    model = LazyRuntimes(1, Limits(**limits)).of("python_function").load(content(), SIGNATURE, True)
    assert isinstance(model, Isolated)
    return model


def rows(kind: int, count: int = 3) -> Matrix:
    return np.full((count, 2), float(kind))


def answers(model: Isolated) -> bool:
    return bool((model.predict(rows(SOUND)) == np.zeros((3, 1))).all())


@pytest.fixture(scope="module")
def model() -> Iterator[Isolated]:
    made = loaded()
    yield made


def test_it_answers_in_its_own_precision_and_from_another_process(model: Isolated) -> None:
    asked = np.array([[0.1, 0.2], [0.3, 1e-17]])
    np.testing.assert_array_equal(model.predict(asked), asked.sum(axis=1, keepdims=True))
    assert model.pid not in (None, os.getpid())


def test_its_own_errors_are_told_and_it_goes_on(model: Isolated) -> None:
    before = model.pid
    with pytest.raises(ModelFailed, match="the model failed: KeyError: 'weights'"):
        model.predict(rows(RAISE))
    with pytest.raises(Invalid, match="inputs: hold what this model cannot take: not such rows"):
        model.predict(rows(REFUSE))
    with pytest.raises(ModelFailed, match=r"answered 3 rows with float64 of shape \[4, 1\]"):
        model.predict(rows(WRONG))
    assert answers(model)
    assert model.pid == before


@pytest.mark.parametrize(
    ("kind", "limits", "cause", "text"),
    [
        (DIE, {}, DIED, "process died of SIGSEGV when it was asked for 3 rows"),
        (EXIT, {}, DIED, "process ended with status 3 when it was asked for 3 rows"),
        (LOSE, {}, DIED, "^the model cannot use cuda:0 any more$"),
        (HANG, {"predict_s": 10.0}, HUNG, "took more than 10 s for 3 rows, and its process was ended"),
    ],
)
def test_a_process_that_is_lost_is_replaced(kind: int, limits: dict[str, Any], cause: str, text: str) -> None:
    model, told = loaded(**limits), Told()
    model.tell(told)
    before = model.pid
    with pytest.raises(ModelDied, match=text) as failed:
        model.predict(rows(kind))
    assert failed.value.cause == cause
    assert told.failures == [(cause, str(failed.value))]
    assert answers(model)
    assert model.pid not in (None, before)


def test_a_process_that_leaks_is_replaced_before_it_is_refused_memory() -> None:
    model, told = loaded(memory_bytes=1500 << 20), Told()
    model.tell(told)
    for _ in range(20):
        np.testing.assert_array_equal(model.predict(rows(LEAK)), np.full((3, 1), 2.0 * LEAK))
    assert {cause for cause, _ in told.failures} == {OUTGREW}
    assert "had grown to" in told.failures[0][1]
    assert answers(model)


def test_one_that_needs_more_memory_at_once_than_it_may_have_is_told_so() -> None:
    made = LazyRuntimes(1, Limits(memory_bytes=600 << 20)).of("python_function")
    model = made.load(
        cloudpickle.dumps(lambda rows: np.zeros(len(rows) * (1 << 26)).reshape(len(rows), -1)[:, 0] + rows[:, 0]),
        SIGNATURE,
        True,
    )
    with pytest.raises(ModelDied, match="needs more than the 600 MiB that it may use, when asked for 3 rows"):
        model.predict(rows(SOUND))
    np.testing.assert_array_equal(model.predict(rows(SOUND, 1)), [[0.0]])


def test_a_process_that_dies_again_and_again_is_given_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine may be so busy that no four processes start and end within a minute.
    for module in (isolated, ended):
        monkeypatch.setattr(module, "MINUTE_S", 3600.0)
    model, told = loaded(), Told()
    model.tell(told)
    with pytest.raises(Unavailable, match="had to be replaced . times within a minute; it is started again in"):
        for _ in range(10):
            with pytest.raises(ModelDied):
                model.predict(rows(DIE))
    assert len(told.failures) >= 4


async def test_a_model_that_hangs_or_dies_makes_no_other_wait(model: Isolated) -> None:
    ill, shared = loaded(predict_s=PATIENCE_S), Batcher()
    hanging = asyncio.create_task(batcher_of(ill, shared).predict(ill, rows(HANG)))
    for _ in range(20):
        answered = await asyncio.wait_for(batcher_of(model, shared).predict(model, rows(SOUND)), PATIENCE_S / 2)
        np.testing.assert_array_equal(answered, np.zeros((3, 1)))
    assert not hanging.done()
    pid = ill.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ModelDied, match="died of SIGKILL"):
        await hanging
    assert (await batcher_of(ill, shared).predict(ill, rows(SOUND)) == 0).all()


async def test_a_request_that_kills_the_process_spoils_no_other_of_its_batch(model: Isolated) -> None:
    ill = loaded()
    batcher = ill.batcher
    asked = [batcher.predict(ill, rows(kind, 1)) for kind in (SOUND, SOUND, DIE, SOUND)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, ModelDied) for one in found] == [False, False, True, False]
    np.testing.assert_array_equal(
        np.concatenate([one for one in found if isinstance(one, np.ndarray)]), np.zeros((3, 1))
    )


def test_a_file_that_cannot_be_loaded_is_refused_as_it_is_elsewhere() -> None:
    runtime = LazyRuntimes(1, Limits()).of("python_function")
    with pytest.raises(NotAllowed, match="the model file is a pickle, and reading a pickle runs the code in it"):
        runtime.load(content(), SIGNATURE, False)
    with pytest.raises(NotAllowed, match="the model file holds a dict, which cannot be called"):
        runtime.load(cloudpickle.dumps({}), SIGNATURE, True)


def test_one_that_hangs_or_dies_while_it_is_loaded_is_told_so() -> None:
    class Hangs:
        def __reduce__(self) -> tuple[Any, ...]:
            return time.sleep, (1e6,)

    class Dies:
        def __reduce__(self) -> tuple[Any, ...]:
            return os._exit, (9,)

    runtime = LazyRuntimes(1, Limits(load_s=PATIENCE_S)).of("python_function")
    with pytest.raises(ModelDied, match="ended with status 9 when it was asked to be loaded"):
        runtime.load(cloudpickle.dumps(Dies()), SIGNATURE, True)
    hurried = LazyRuntimes(1, Limits(load_s=0.5)).of("python_function")
    with pytest.raises(ModelDied, match=r"took more than 0\.5 s to be loaded"):
        hurried.load(cloudpickle.dumps(Hangs()), SIGNATURE, True)


def test_it_knows_nothing_that_serving_was_told_in_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVICE_TOKEN_FILE", "/keys/service.token")
    monkeypatch.setenv("DATABASE_PASSWORD", "s3cret")
    monkeypatch.setenv("KEPT", "kept")
    told = cloudpickle.dumps(
        lambda rows: np.full(
            len(rows), sum("MODELOG_" in n or "PASSWORD" in n for n in os.environ) + ("KEPT" in os.environ)
        )
    )
    model = LazyRuntimes(1, Limits()).of("python_function").load(told, SIGNATURE, True)
    np.testing.assert_array_equal(model.predict(rows(SOUND, 1)), [[1.0]])


def test_its_process_ends_when_the_model_is_let_go_of() -> None:
    model = loaded()
    pid = model.pid
    del model
    assert not Path(f"/proc/{pid}").exists()
