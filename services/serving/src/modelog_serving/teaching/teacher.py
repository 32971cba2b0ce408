"""Takes the steps: joins labels with the predictions that they are of, has the version learn them, writes the new
state, tells the log of events, and only then has it answer.

Whatever ends this process in between, the log of events says what was learned: what it does not tell of is done again
from the state before, and what it tells of is loaded, and its labels found in the step's own file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_serving.engine.failed import ModelFailed
from modelog_serving.engine.models import ModelRef
from modelog_serving.learning.commands import LearningCommand, RecordStep, StopLearning
from modelog_serving.learning.decide import FLAVOR, LEARNINGS
from modelog_serving.learning.events import Labels, LearningEvent, LearningStopped
from modelog_serving.learning.state import ON, Learning
from modelog_serving.learning.terms import MOST_LABELS
from modelog_serving.predlog.answers import Recorded
from modelog_serving.predlog.evidence import Evidence
from modelog_serving.routing.routes import Route, Routes
from modelog_serving.teaching.labels import LabelFile, Place, Waiting
from modelog_serving.teaching.lesson import Lesson, lesson_of
from modelog_serving.teaching.pupil import Pupil, Pupils
from modelog_serving.teaching.steps import Steps

ACTOR = "service:serving"
LOOK_S = 0.5
# What the versions beside the one that is taught have of the labels that come.
MANY = 4
LearningEntities = Entities[Learning, LearningCommand, LearningEvent]
log = structlog.get_logger()


class Answering(Protocol):
    """All processes that answer requests (`control.Answering`)."""

    async def get(self, ref: ModelRef) -> object: ...

    async def catch_up(self) -> None: ...


class Files(Protocol):
    """The artifact store."""

    async def fetch(self, digest: str) -> bytes: ...

    async def store(self, content: bytes) -> str: ...


class Teacher:
    """`run` it as a task of its own, in the process that decides."""

    def __init__(
        self,
        routes: Routes,
        entities: LearningEntities,
        steps: Steps,
        labels: LabelFile,
        evidence: Evidence,
        pupils: Pupils,
        files: Files,
        answering: Answering,
        clock: Clock,
        reached: Callable[[str], None] = lambda _where: None,
    ) -> None:
        """`reached` is told where in a step this process is: tests end it there."""
        self._routes, self._entities, self._steps, self._labels = routes, entities, steps, labels
        self._evidence, self._pupils, self._files, self._answering = evidence, pupils, files, answering
        self._clock, self._reached = clock, reached

    async def run(self) -> None:
        """Teach until cancelled. What cannot be had now is tried again."""
        while True:
            for route in list(self._routes.running()):
                if route.learning.mode == ON:
                    try:
                        await self.teach(route)
                    except (Unavailable, NotFound, Conflict) as error:
                        log.warning("learning waits", deployment=route.deployment.name, why=str(error))
            await asyncio.sleep(LOOK_S)

    async def teach(self, route: Route) -> None:
        """Take the steps of a deployment that are due now."""
        place = Place(route.tenant, route.deployment.name)
        await self._follow(route, place)
        terms, now_s = route.learning.terms, self._clock.now().timestamp()
        most = min(terms.step_labels * MANY, MOST_LABELS * MANY)
        waiting = await asyncio.to_thread(self._labels.waiting, place, now_s, most)
        if not waiting:
            return
        found = await self._evidence.find_all(*(place.tenant, place.deployment), [one.prediction_id for one in waiting])
        unknown = [one for one in waiting if one.prediction_id not in found]
        if unknown:
            await asyncio.to_thread(self._labels.put_off, unknown, now_s)
        by_version: dict[str, list[Waiting]] = {}
        for one in waiting:
            if one.prediction_id in found:
                by_version.setdefault(found[one.prediction_id].answerer.version, []).append(one)
        for version, labels in by_version.items():
            why = _not_taught(route, version)
            if why:
                await asyncio.to_thread(self._labels.pass_over, labels, why)
            elif len(labels) >= terms.step_labels or now_s - labels[0].came_s >= terms.step_s:
                await self._step(route, place, version, labels[: terms.step_labels], found)
                return

    async def _follow(self, route: Route, place: Place) -> None:
        """Write down what the log of events says was learned: this process may have ended before it did, or its file
        may have been lost."""
        of = route.deployment.id
        known = await asyncio.to_thread(self._labels.step, of)
        if known >= route.learning.steps:
            return
        async for step in self._steps.after(of, known):
            lesson = lesson_of(await self._files.fetch(step.labels.digest))
            now_s = self._clock.now().timestamp()
            await asyncio.to_thread(self._labels.learned, place, of, step.step, lesson.ids, now_s)

    async def _step(
        self, route: Route, place: Place, version: str, labels: Sequence[Waiting], found: dict[str, Recorded]
    ) -> None:
        registered = route.registered[version]
        pupil = Pupil(registered, route.deployment.signature)
        before = route.learning.digest(version, registered)
        lesson = _lesson(route, version, labels, found)
        try:
            content, seen = await self._pupils.learn(pupil, before, lesson.matrix())
        except Invalid as error:
            await self._leave_out(labels, error)
            return
        except (NotAllowed, ModelFailed) as error:
            await self._stop(route, version, registered, f"it could not learn: {error}")
            return
        kept = Labels(await self._files.store(lesson.to_bytes()), len(lesson.ids))
        after = await self._files.store(content)
        self._reached("written")
        variant = route.variants[version]
        ref = ModelRef(after, variant.flavor, route.deployment.signature, True, registered)
        try:
            await self._answering.get(ref)
        except NotAllowed as error:
            await self._stop(route, version, registered, f"what it became cannot be loaded: {error}")
            return
        command = RecordStep(route.deployment.id, version, registered, before, after, kept, seen)
        ctx = self._context(route, "look")
        if any(isinstance(event, LearningStopped) for event in LEARNINGS.decide(route.learning, command, ctx)):
            # Whoever asks next must not wait for it.
            await self._answering.get(replace(ref, digest=registered, learned_from=""))
        await self._tell(route, command, f"{route.learning.steps + 1}/{before}/{kept.digest}/{after}")
        self._reached("told")
        now_s = self._clock.now().timestamp()
        number = route.learning.steps + 1
        await asyncio.to_thread(self._labels.learned, place, route.deployment.id, number, lesson.ids, now_s)
        self._reached("noted")
        await self._answering.catch_up()
        log.info(
            "model learned", deployment=place.deployment, version=version, step=number, labels=len(lesson.ids),
            error=round(seen.error, 6), registered_error=round(seen.registered_error, 6),
        )  # fmt: skip

    async def _stop(self, route: Route, version: str, registered: str, why: str) -> None:
        command = StopLearning(route.deployment.id, version, registered, why)
        await self._tell(route, command, f"stop/{version}/{route.learning.steps}/{route.learning.at.isoformat()}")
        log.error("a model stopped learning", deployment=route.deployment.name, version=version, why=why)
        await self._answering.catch_up()

    async def _tell(self, route: Route, command: RecordStep | StopLearning, what: str) -> None:
        try:
            await self._entities.handle(route.deployment.id, command, self._context(route, what))
        except NotAllowed as error:
            # Somebody paused it meanwhile.
            await self._answering.catch_up()
            raise Conflict(str(error)) from error

    def _context(self, route: Route, what: str) -> Context:
        return Context(self._clock.now(), ACTOR, route.tenant, derived_id("learning", route.deployment.id, what))

    async def _leave_out(self, labels: Sequence[Waiting], error: Invalid) -> None:
        """One label that such a model cannot learn from must not hold up the others."""
        named = re.fullmatch(r"labels\[(\d+)\]", error.violations[0].field) if error.violations else None
        which = [labels[int(named[1])]] if named else list(labels)
        await asyncio.to_thread(self._labels.pass_over, which, str(error))


def _not_taught(route: Route, version: str) -> str:
    """Why labels of a version's predictions are not learned from; "" when they are."""
    variant = route.variants.get(version)
    if variant is None:
        return f"version {version} answers no more"
    if variant.flavor != FLAVOR:
        return f"version {version} is a model of flavor {variant.flavor!r}"
    taught = route.learning.of(version)
    return f"version {version} stopped learning: {taught.stopped}" if taught is not None and taught.stopped else ""


def _lesson(route: Route, version: str, labels: Sequence[Waiting], found: dict[str, Recorded]) -> Lesson:
    names = route.deployment.signature.features
    return Lesson(
        route.deployment.name,
        version,
        names,
        [one.prediction_id for one in labels],
        np.array([np.nan if one.label is None else one.label for one in labels], np.float64),
        np.array([np.nan if one.amount is None else one.amount for one in labels], np.float64),
        np.stack([found[one.prediction_id].features for one in labels]).astype(np.float64),
    )
