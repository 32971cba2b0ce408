"""Has deployments learn, and takes steps again: asks what a decision needs to know, decides, and only then switches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.events.entities import Loaded

from modelog_serving.control import Answering, DeploymentEntities
from modelog_serving.deployment.decide import deployment_id
from modelog_serving.deployment.state import STOPPED, Deployment
from modelog_serving.engine.models import ModelRef
from modelog_serving.engine.runtime import Matrix
from modelog_serving.learning.commands import Facts, SetLearning
from modelog_serving.learning.decide import FLAVOR
from modelog_serving.learning.events import ModelLearned
from modelog_serving.learning.state import OFF, ON, Learning
from modelog_serving.learning.terms import Seen, Terms
from modelog_serving.teaching.labels import PASSED, WAITS, LabelFile, Place
from modelog_serving.teaching.lesson import digest_of, lesson_of
from modelog_serving.teaching.pupil import Pupil, Pupils
from modelog_serving.teaching.steps import Steps
from modelog_serving.teaching.teacher import Files, LearningEntities


@dataclass(frozen=True)
class Again:
    """A step that was taken again: what came of it, and whether that is the same state."""

    learned: ModelLearned
    digest: str
    same: bool
    seen: Seen


class LearningControl:
    """Handles commands. When one returns, requests are answered by what it decided.

    `labels_come` says whether there is a bus that labels could come by.
    """

    def __init__(
        self,
        deployments: DeploymentEntities,
        entities: LearningEntities,
        steps: Steps,
        labels: LabelFile,
        pupils: Pupils,
        files: Files,
        answering: Answering,
        *,
        labels_come: bool,
    ) -> None:
        self._deployments, self._entities, self._steps, self._labels = deployments, entities, steps, labels
        self._pupils, self._files, self._answering, self._labels_come = pupils, files, answering, labels_come

    async def set(self, name: str, mode: str, terms: Terms | None, reason: str, ctx: Context) -> Loaded[Learning]:
        """Learn, pause, or answer as registered; raises why it may not or cannot be."""
        deployment = await self._running(ctx.tenant, name)
        flavors = tuple((v.version, v.flavor) for v in deployment.variants)
        command = SetLearning(Facts(deployment.id, name, deployment.model, flavors), mode, terms, reason)
        before = await self._entities.current(deployment.id)
        # What is refused is refused before any process is started for it.
        self._entities.decider.decide(before.state, command, ctx)
        if mode == ON:
            await self._check(deployment)
        if mode == OFF and before.state.taught:
            for variant in deployment.variants:
                ref = ModelRef(variant.digest, variant.flavor, deployment.signature, approved=True)
                await self._answering.get(ref)
        handled = await self._entities.handle(deployment.id, command, ctx)
        await self._answering.catch_up()
        return handled

    async def again(self, tenant: str, name: str, step: int) -> Again:
        """Take a step again from the state that it began with, and compare; raises NotFound for one that there is not.

        Two states are the same when their bytes are, or when they answer all of the step's rows with the same bits.
        """
        deployment = await self._known(tenant, name)
        learned = await self._steps.one(deployment.id, step)
        lesson = lesson_of(await self._files.fetch(learned.labels.digest))
        pupil = Pupil(learned.registered_digest, deployment.signature)
        content, seen = await self._pupils.learn(pupil, learned.digest_before, lesson.matrix())
        digest = digest_of(content)
        if digest == learned.digest_after:
            return Again(learned, digest, True, seen)
        rows = lesson.features
        then = await self._pupils.answers(pupil, await self._files.fetch(learned.digest_after), rows)
        now = await self._pupils.answers(pupil, content, rows)
        return Again(learned, digest, _same(then, now), seen)

    async def answered(self) -> None:
        """Return when requests are answered by all that was learned until now: a step is told before it is taken up."""
        await self._answering.catch_up()

    def waiting(self, tenant: str, name: str) -> tuple[int, int]:
        """How many labels wait to be learned from, and how many never are."""
        found = self._labels.count(Place(tenant, name))
        return found.get(WAITS, 0), found.get(PASSED, 0)

    async def _check(self, deployment: Deployment) -> None:
        """A version that could never learn is refused, and not stopped later."""
        if not self._labels_come:
            raise NotAllowed("labels come by Kafka, and this platform has none (MODELOG_KAFKA_BOOTSTRAP is not set)")
        nothing = np.empty((0, len(deployment.signature.features) + 2), np.float64)
        for variant in deployment.variants:
            if variant.flavor == FLAVOR:
                try:
                    await self._pupils.learn(Pupil(variant.digest, deployment.signature), variant.digest, nothing)
                except NotAllowed as error:
                    raise NotAllowed(f"{deployment.model} {variant.version} cannot learn: {error}") from error

    async def _running(self, tenant: str, name: str) -> Deployment:
        deployment = await self._known(tenant, name)
        if deployment.status == STOPPED:
            raise NotAllowed(f"deployment {name} was stopped; its learning cannot be set any more")
        return deployment

    async def _known(self, tenant: str, name: str) -> Deployment:
        deployment = (await self._deployments.current(deployment_id(tenant, name))).state
        if not deployment.status:
            raise NotFound(f"there is no deployment {name!r}")
        return deployment


def _same(then: Matrix, now: Matrix) -> bool:
    return then.shape == now.shape and then.astype(np.float64).tobytes() == now.astype(np.float64).tobytes()
