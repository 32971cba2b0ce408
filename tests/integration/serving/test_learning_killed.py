"""kill -9 in the middle of a step: between the files and the event, the event and the note of it, the note and the
switch. Each label is learned from once, and what answers is what river becomes by itself; also when the file of labels
is lost. And with worker processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_rig import NOW, PATIENT_S, ROWS, School, alone, asked, chance
from modelog_common.domain.errors import ModelogError
from serving_rig import Process, Rig, registry_of, until
from worker_rig import Many

SCRIPT = Path(__file__).parent / "learning_killed.py"


async def begun(rig: Rig, process: Process, kafka: str) -> School:
    """Start serving, with a deployment that takes a step for each twenty labels."""
    await process.start()
    school = School(rig.caller("alice"), kafka)
    await school.deploy(rig.caller("bob"))
    await school.set("on", step_labels=20, step_s=3600)
    return school


@pytest.mark.parametrize("point", ["written", "told", "noted"])
async def test_each_label_is_learned_from_once(tmp_path: Path, fresh_broker: Any, point: str) -> None:
    mark = tmp_path / "mark"
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        process = Process(rig, (sys.executable, str(SCRIPT), point, str(mark)))
        try:
            school = await begun(rig, process, fresh_broker.bootstrap)
            await school.ask(range(40))
            await school.tell(range(40), NOW[:40].tolist())

            async def died() -> bool:
                return mark.exists()

            await until(died, f"serving killed itself when it had {point}", PATIENT_S)
            process.kill()
            await process.start()

            async def answers() -> bool:
                try:
                    return (await school.learning()).steps == 2
                except ModelogError:
                    return False

            await until(answers, "both steps were taken", PATIENT_S)
            steps = await school.steps()
            assert [(step.step, step.labels) for step in steps] == [(1, 20), (2, 20)]
            assert steps[1].digest_before == steps[0].digest_after
            # The same labels again bring nothing new.
            await school.tell(range(40), NOW[:40].tolist())
            taught = alone(zip(ROWS[:40], NOW[:40].tolist(), strict=True))
            assert await school.ask([900]) == [chance(taught, ROWS[900])]
            assert await school.digest(900) == steps[1].digest_after
        finally:
            process.kill()


async def test_labels_are_learned_from_once_though_the_file_of_those_that_came_is_lost(
    tmp_path: Path, fresh_broker: Any
) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        process = Process(rig)
        try:
            school = await begun(rig, process, fresh_broker.bootstrap)
            await school.ask(range(40))
            await school.tell(range(30), NOW[:30].tolist())

            async def ten_wait() -> bool:
                found = await school.learning()
                return found.steps == 1 and found.waiting == 10

            await until(ten_wait, "twenty labels were learned from, and ten wait", PATIENT_S)
            process.kill()
            (labels,) = rig.folder.rglob("labels.db")
            for file in labels.parent.glob("labels.db*"):
                file.unlink()
            await process.start()
            await school.tell(range(30, 40), NOW[30:40].tolist())
            await school.learned(40)
            assert [(step.step, step.labels) for step in await school.steps()] == [(1, 20), (2, 20)]
            taught = alone(zip(ROWS[:40], NOW[:40].tolist(), strict=True))
            assert await school.ask([900]) == [chance(taught, ROWS[900])]
        finally:
            process.kill()


async def test_every_worker_answers_by_what_was_learned(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(Rig(tmp_path, kafka=fresh_broker.bootstrap)) as rig:
        rig.environment = {"MODELOG_SERVING_WORKERS": "2"}
        process = Process(rig)
        many = None
        try:
            school = await begun(rig, process, fresh_broker.bootstrap)
            await school.ask(range(20))
            await school.tell(range(20), NOW[:20].tolist())
            await school.learned(20)
            taught = alone(zip(ROWS[:20], NOW[:20].tolist(), strict=True))
            many = Many(rig, school.alice)
            answers = [await many.ask(n, asked(school.name, 900)) for n in range(24)]
            assert {float(np.frombuffer(a.raw_output_contents[0], "<f8")[0]) for a in answers} == {
                chance(taught, ROWS[900])
            }
            (step,) = await school.steps()
            assert {a.parameters["model_digest"].string_param for a in answers} == {step.digest_after}
        finally:
            if many is not None:
                await many.close()
            process.terminate()
