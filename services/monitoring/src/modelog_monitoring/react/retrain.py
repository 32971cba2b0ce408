"""The process manager of retraining: holds new windows against the policies, and takes challengers step by step."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from google.protobuf.json_format import ParseDict
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import derived_id
from modelog_common.events.store import EventStore, StoredEvent
from modelog_proto.training.v1.training_pb2 import JobSpec

from modelog_monitoring.events import EVENTS
from modelog_monitoring.monitor.events import MonitorCreated, WindowEvaluated
from modelog_monitoring.monitor.window import window_at
from modelog_monitoring.peers import Registry, Serving, Training, champion_of
from modelog_monitoring.policy.decide import calls_for_challenger
from modelog_monitoring.policy.events import CanaryTest, PolicyCreated
from modelog_monitoring.policy.versions import versions_up_to
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog, Owned
from modelog_monitoring.react.inbox import Inbox
from modelog_monitoring.react.settled import Settled
from modelog_monitoring.react.steps import ACTOR, RetrainingEntities, Steps, may_succeed_later
from modelog_monitoring.retraining.commands import FailRetraining, StartRetraining
from modelog_monitoring.retraining.events import TrainingSet
from modelog_monitoring.retraining.state import Phase, Retraining

WINDOWS = "considering windows"
LOOK_S = 1.0
log = structlog.get_logger()


class Retrainer:
    """Run it as a task of its own, and ring `bell` when something came.

    All it knows is in the event store and the inbox; so it goes on where it was, whenever it was stopped.
    """

    def __init__(
        self,
        store: EventStore,
        catalog: Catalog,
        inbox: Inbox,
        retrainings: RetrainingEntities,
        steps: Steps,
        registry: Registry,
        training: Training,
        serving: Serving,
        settled: Settled,
        clock: Clock,
    ) -> None:
        self._store, self._catalog, self._inbox, self._settled = store, catalog, inbox, settled
        self._retrainings, self._steps = retrainings, steps
        self._registry, self._training, self._serving, self._clock = registry, training, serving, clock
        self.bell = Bell()

    async def run(self) -> None:
        """Retrain until cancelled. What fails for now is tried again with growing pauses; the others go on."""
        attempts = Attempts(asyncio.get_running_loop().time)
        while True:
            windows = self._settled.windows()
            decided = await self._attempt(attempts, WINDOWS, None)
            for owned in self._catalog.retrainings:
                if owned.state.active:
                    decided &= await self._attempt(attempts, owned.id, owned)
            if decided:
                self._settled.done(windows, self._catalog.position)
            await self.bell.wait(self._pause_s(attempts))

    def _pause_s(self, attempts: Attempts) -> float | None:
        """Comparisons wait for rows, which come without the bell being rung for each of them."""
        waits = [attempts.next_s()]
        if any(o.state.phase in (Phase.EVALUATING, Phase.CANARY) for o in self._catalog.retrainings):
            waits.append(LOOK_S)
        return min((w for w in waits if w is not None), default=None)

    async def _attempt(self, attempts: Attempts, key: str, owned: Owned[Retraining] | None) -> bool:
        """Whether everything was decided that could be now; False when it has to be tried again."""
        work = self.consider_windows if owned is None else partial(self.advance, owned)
        return await attempts.attempt(key, work, log.bind(what=key), "retraining waits", "retraining step failed")

    async def advance(self, owned: Owned[Retraining]) -> None:
        """Take a retraining as far as it can go now. A step that is refused for good ends it."""
        current: Owned[Retraining] | None = owned
        while current is not None and current.state.active:
            try:
                done = await self._steps.step(current)
            except ModelogError as error:
                if may_succeed_later(error):
                    raise
                await self._steps.give_up(current, error)
                done = True
            if not done:
                return
            await self._catalog.refresh()
            current = self._catalog.retraining(owned.id)

    async def consider_windows(self) -> None:
        """Hold every window that was not considered yet against the policies, in order."""
        await self._catalog.refresh()
        async for stored in self._store.read_all(
            after=self._inbox.considered, categories=["monitoring.monitor"], until=await self._store.head()
        ):
            event = EVENTS.decode(stored.type, stored.schema, stored.payload)
            if isinstance(event, WindowEvaluated):
                await self._consider(stored, event)
            self._inbox.consider(stored.position)

    async def _consider(self, stored: StoredEvent, window: WindowEvaluated) -> None:
        for policy in self._catalog.policies:
            created = policy.state.created
            if created is None or policy.tenant != stored.tenant or not calls_for_challenger(created, window):
                continue
            if self._catalog.retraining(retraining_of(created, window)) is not None:
                continue
            if self._was_busy(policy.tenant, window.monitor, stored.position):
                log.info("a retraining is under way; window starts no other", policy=created.name, window=window.label)
                continue
            await self._start(created, window, policy.tenant)
            await self._catalog.refresh()

    def _was_busy(self, tenant: str, monitor: str, position: int) -> bool:
        """Whether a challenger was under way when the window was evaluated, at this position of the log.

        One at a time for a monitor: a deployment's traffic cannot be split for two policies. Looking at the log and not
        at the moment, the answer does not depend on when the question is asked.
        """
        return any(
            o.tenant == tenant and o.state.terms.monitor == monitor and (o.state.active or o.position > position)
            for o in self._catalog.retrainings
        )

    async def _start(self, policy: PolicyCreated, window: WindowEvaluated, tenant: str) -> None:
        """Submit the job, then say that the retraining has started. Refused for good, it starts and has failed."""
        about = self._catalog.monitor(window.monitor_id).definition
        retraining_id = retraining_of(policy, window)
        champion, job_id, refusal = "", "", ""
        chosen = TrainingSet(policy.dataset, ())
        try:
            champion = champion_of(await self._serving.deployment(about.deployment))
            chosen = await self._training_set(policy, about, window)
            job_id = await self._training.submit(
                job_for(policy, about, chosen), derived_id("retraining", retraining_id, "job")
            )
        except ModelogError as error:
            if may_succeed_later(error):
                raise
            refusal = f"the training job could not be submitted: {error}"
        command = StartRetraining(
            retraining_id=retraining_id,
            policy=policy.name,
            monitor=window.monitor,
            window_id=window.window_id,
            window=window.label,
            window_end=window.end,
            model=about.model,
            deployment=about.deployment,
            champion=champion,
            job_id=job_id,
            training_set=chosen,
            evaluation_rows=policy.evaluation_rows,
            canary_percent=policy.canary_percent,
            canary_rows=policy.canary_rows,
            allowed_lateness_s=about.allowed_lateness_s,
            canary=policy.canary or CanaryTest(),
        )
        await self._retrainings.handle(retraining_id, command, self._ctx(tenant, retraining_id, "start"))
        if refusal:
            ctx = self._ctx(tenant, retraining_id, "failed")
            await self._retrainings.handle(retraining_id, FailRetraining(refusal), ctx)
        log.info("retraining started", policy=policy.name, window=window.label, job=job_id)

    async def _training_set(self, policy: PolicyCreated, about: MonitorCreated, window: WindowEvaluated) -> TrainingSet:
        labels = await self._registry.dataset_labels(policy.dataset)
        return TrainingSet(policy.dataset, tuple(versions_up_to(window_at(about.window, window.start), labels)))

    def _ctx(self, tenant: str, retraining_id: str, step: str) -> Context:
        return Context(self._clock.now(), ACTOR, tenant, derived_id("retraining", retraining_id, step))


def retraining_of(policy: PolicyCreated, window: WindowEvaluated) -> str:
    """The id of the retraining that a window starts: the same, however often it is tried."""
    return derived_id("retraining", policy.policy_id, window.window_id)


def job_for(policy: PolicyCreated, about: MonitorCreated, chosen: TrainingSet) -> JobSpec:
    """The policy's job, on these versions of its dataset, registering what it makes as a new version of the model."""
    spec = ParseDict(policy.job, JobSpec())
    del spec.datasets[:]
    for version in chosen.versions:
        spec.datasets.add(dataset=chosen.dataset, version=version)
    spec.register.model = about.model
    spec.register.version = ""
    return spec
