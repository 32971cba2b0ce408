"""River models that learn as they answer: like river by itself, provably, and each label once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from learning_rig import NOW, ROWS, School, alone, by_name, chance, registered
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_proto.serving.v1 import learning_pb2
from river import evaluate, linear_model, metrics, optim, preprocessing
from serving_rig import Rig, registry_of, serving_of, until


@pytest.fixture
async def school(tmp_path: Path, fresh_broker: Any) -> AsyncIterator[School]:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        made = School(rig.caller("alice"), fresh_broker.bootstrap)
        await made.deploy(rig.caller("bob"))
        yield made


async def test_a_world_that_changed_is_learned_as_river_learns_it_by_itself(school: School) -> None:
    first = hashlib.sha256(registered()).hexdigest()
    begun = await school.set("on", step_labels=100, step_s=3600)
    assert begun.mode == learning_pb2.LEARNING_MODE_ON
    asked = range(600)
    await school.ask(asked)
    await school.tell(asked, NOW[:600].tolist())
    await school.learned(600)

    steps = await school.steps()
    assert [(s.step, s.labels, s.event) for s in steps] == [(n, 100, "ModelLearned") for n in range(1, 7)]
    assert steps[0].digest_before == steps[0].registered_digest == first
    assert [s.digest_before for s in steps[1:]] == [s.digest_after for s in steps[:-1]]
    # What answers now is what river becomes by itself, bit by bit.
    taught = alone(zip(ROWS[:600], NOW[:600].tolist(), strict=True))
    probe = range(700, 760)
    assert await school.ask(probe) == [chance(taught, ROWS[n]) for n in probe]
    # The log of predictions says which state answered what.
    assert await school.digest(0) == first
    assert await school.digest(700) == steps[-1].digest_after
    # The errors are those of river's own progressive validation.
    labelled = [(by_name(row), bool(label)) for row, label in zip(ROWS[:600], NOW[:600].tolist(), strict=True)]
    accuracy = evaluate.progressive_val_score(labelled, alone([]), metrics.Accuracy()).get()
    assert sum(s.error * s.labels for s in steps) / 600 == pytest.approx(1 - accuracy)
    # The version that did not learn goes on being wrong.
    assert steps[-1].registered_error > 0.4
    assert steps[-1].error < 0.15


async def test_a_label_is_learned_from_once_however_often_it_comes(school: School) -> None:
    await school.set("on", step_labels=20, step_s=1)
    await school.ask(range(40))
    await school.tell(range(20), NOW[:20].tolist())
    await school.learned(20)
    # Again, corrected, and with new ones among them.
    await school.tell(range(20), (1 - NOW[:20]).tolist())
    await school.tell([*range(15, 40), 39, 38], [*NOW[15:40].tolist(), 1, 0])
    await school.learned(40)
    taught = alone(zip(ROWS[:40], NOW[:40].tolist(), strict=True))
    assert await school.ask([900]) == [chance(taught, ROWS[900])]


async def test_labels_that_come_before_their_predictions_wait_for_them(school: School) -> None:
    await school.set("on", step_labels=1000, step_s=1)
    await school.tell(range(10), NOW[:10].tolist())
    await school.tell([500], [1], prefix="never")

    async def waits() -> bool:
        return (await school.learning()).waiting == 11

    await until(waits, "eleven labels wait")
    await school.ask(range(10))
    await school.learned(10)

    async def one_waits() -> bool:
        # It is written down after it was told that it was learned from.
        return (await school.learning()).waiting == 1

    await until(one_waits, "one label waits for a prediction that never comes")
    assert {s.labels for s in await school.steps()} <= set(range(1, 11))


async def test_paused_it_answers_as_it_has_learned_and_off_as_it_was_registered(school: School) -> None:
    frozen = alone([])
    await school.set("on", step_labels=20, step_s=1)
    await school.ask(range(60))
    await school.tell(range(20), NOW[:20].tolist())
    await school.learned(20)
    before = await school.set("paused")
    await school.tell(range(20, 40), NOW[20:40].tolist())

    async def waits() -> bool:
        return (await school.learning()).waiting == 20

    await until(waits, "twenty labels wait")
    taught = alone(zip(ROWS[:20], NOW[:20].tolist(), strict=True))
    assert await school.ask([901]) == [chance(taught, ROWS[901])]
    await school.set("on")
    await school.learned(40)
    taught = alone(zip(ROWS[:40], NOW[:40].tolist(), strict=True))
    assert await school.ask([902]) == [chance(taught, ROWS[902])]
    off = await school.set("off")
    assert not off.versions
    assert await school.ask([903]) == [chance(frozen, ROWS[903])]
    # As it was then.
    assert (await school.learning(as_of=str(before.position))).mode == learning_pb2.LEARNING_MODE_PAUSED
    assert [s.step for s in await school.steps(as_of=str(before.position))] == [1]
    # It begins anew from what was registered; what was learned before is not learned again.
    await school.set("on")
    await school.tell(range(30, 60), NOW[30:60].tolist())
    await school.learned(20)
    taught = alone(zip(ROWS[40:60], NOW[40:60].tolist(), strict=True))
    assert await school.ask([904]) == [chance(taught, ROWS[904])]


async def test_a_step_taken_again_gives_the_same_state(school: School) -> None:
    await school.set("on", step_labels=30, step_s=3600)
    await school.ask(range(60))
    await school.tell(range(60), NOW[:60].tolist())
    await school.learned(60)
    for number in (1, 2):
        again = await school.replay(number)
        assert again.same_bytes
        assert again.same
        assert again.error_again == again.step.error
    with pytest.raises(NotFound, match="took a step 3"):
        await school.replay(3)


async def test_a_regressor_learns_amounts(tmp_path: Path, fresh_broker: Any) -> None:
    """The value that was foretold changes its sign, and an offset is added to it."""
    before, now = 3 * ROWS[:, 1] + ROWS[:, 3], 5 - 3 * ROWS[:, 1] + ROWS[:, 3]

    def taught(values: Iterable[tuple[int, float]], begin: Any = None) -> Any:
        model = begin or preprocessing.StandardScaler() | linear_model.LinearRegression(optim.SGD(0.05))
        for number, value in values:
            model.learn_one(by_name(ROWS[number]), value)
        return model

    content = cloudpickle.dumps(taught((n, float(before[n])) for n in range(2000, 2500)))
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig, serving_of(rig):
        school = School(rig.caller("alice"), fresh_broker.bootstrap)
        await school.deploy(rig.caller("bob"), content)
        await school.set("on", step_labels=100, step_s=3600)
        await school.ask(range(300))
        await school.tell(range(300), [], amounts=now[:300].tolist())
        await school.learned(300)
        alike = taught(((n, float(now[n])) for n in range(300)), cloudpickle.loads(content))
        assert await school.ask([900]) == [alike.predict_one(by_name(ROWS[900]))]
        steps = await school.steps()
        # Mean absolute errors: what learns comes close, what was registered stays as far away as it was.
        assert [step.labels for step in steps] == [100] * 3
        assert steps[-1].error < 0.5
        assert steps[-1].registered_error > 4


async def test_what_learns_badly_stops_and_answers_as_it_was_registered(school: School) -> None:
    first = hashlib.sha256(registered()).hexdigest()
    await school.set("on", step_labels=50, step_s=3600, guard_labels=100)
    await school.ask(range(400))
    right = [int(chance(alone([]), ROWS[n]) > 0.5) for n in range(400)]
    # So many are wrong that it learns the opposite. What follows is as it always was.
    await school.tell(range(200), [1 - label for label in right[:200]])
    await school.learned(200)
    await school.tell(range(200, 400), right[200:])

    async def stopped() -> bool:
        return (await school.learning()).mode == learning_pb2.LEARNING_MODE_STOPPED

    await until(stopped, "it stopped")
    last = (await school.steps())[-1]
    assert last.event == "LearningStopped"
    assert "that of the version as it was registered 0: more than 1.5 times as much" in last.why
    learning = await school.learning()
    assert (learning.versions[0].digest, learning.versions[0].stopped) == (first, last.why)
    await school.ask([950])
    assert await school.digest(950) == last.digest_after == first


async def test_other_models_are_refused_by_name(school: School) -> None:
    await school.alice.deploy("1.0.0", "trees")
    with pytest.raises(
        NotAllowed, match=r"flight-delay 1.0.0, which answers for trees, is a model of flavor 'xgboost'"
    ):
        await School(school.alice, school.kafka, "trees").set("on")
    with pytest.raises(NotFound, match="no deployment 'nothing'"):
        await School(school.alice, school.kafka, "nothing").set("on")
    with pytest.raises(NotAllowed, match="nothing to pause"):
        await school.set("paused")
    with pytest.raises(Invalid, match=r"terms.guard_labels: is 3; it must be from 20 to"):
        await school.set("on", guard_labels=3)
