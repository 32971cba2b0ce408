"""The steps of a retraining, one for each phase: what is asked of the other services, then the event that says so.

Each request id is derived from the retraining and the step, so a step that is repeated after a crash changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, ModelogError, Unauthenticated, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_proto.registry.v1.model_pb2 import STAGE_ARCHIVED, STAGE_PRODUCTION, STAGE_STAGING, Signature, Stage
from modelog_proto.training.v1 import training_pb2

from modelog_monitoring.data.rows import Floats64, Rows
from modelog_monitoring.monitor.commands import MonitorCommand, MoveReference
from modelog_monitoring.monitor.events import MonitorEvent
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.peers import Registry, Serving, Training
from modelog_monitoring.react.canary_rows import CanaryRows, DueRows
from modelog_monitoring.react.catalog import Owned
from modelog_monitoring.react.fresh import FreshRows
from modelog_monitoring.react.inbox import Inbox, JobResult
from modelog_monitoring.retraining.commands import (
    ConcludePromotion,
    FailRetraining,
    RecordCanaryLook,
    RecordChallenger,
    RecordEvaluation,
    RefuseChallenger,
    RetrainingCommand,
    StartCanary,
)
from modelog_monitoring.retraining.events import Comparison, RetrainingEvent
from modelog_monitoring.retraining.state import Phase, Retraining
from modelog_monitoring.retraining.verdict import on_fresh_rows
from modelog_monitoring.scoring import Scorer
from modelog_monitoring.signature import features_of

ACTOR = "service:monitoring"
RetrainingEntities = Entities[Retraining, RetrainingCommand, RetrainingEvent]


class Steps:
    """Takes retrainings one step further."""

    def __init__(
        self,
        retrainings: RetrainingEntities,
        monitors: Entities[Monitor, MonitorCommand, MonitorEvent],
        registry: Registry,
        training: Training,
        serving: Serving,
        scorer: Scorer,
        fresh: FreshRows,
        canary_rows: CanaryRows,
        inbox: Inbox,
        clock: Clock,
    ) -> None:
        self._retrainings, self._monitors = retrainings, monitors
        self._registry, self._training, self._serving, self._scorer = registry, training, serving, scorer
        self._fresh, self._canary_rows, self._inbox, self._clock = fresh, canary_rows, inbox, clock
        self._asked: set[str] = set()
        self._signatures: dict[str, Signature] = {}

    async def step(self, owned: Owned[Retraining]) -> bool:
        """Do what is due; says whether something was, so that more may be.

        Raises the domain errors of the other services: Unavailable for what may succeed later.
        """
        match owned.state.phase:
            case Phase.TRAINING:
                return await self._await_job(owned)
            case Phase.EVALUATING:
                return await self._evaluate(owned)
            case Phase.AWAITING_APPROVAL:
                return await self._await_review(owned)
            case Phase.CANARY:
                return await self._look_at_canary(owned)
            case Phase.CONCLUDING:
                return await self._conclude(owned)
            case Phase.PROMOTED | Phase.REFUSED | Phase.FAILED:
                return False
            case _:
                assert_never(owned.state.phase)

    async def _await_job(self, owned: Owned[Retraining]) -> bool:
        job_id = owned.state.terms.job_id
        if not job_id:
            return await self._record(owned, FailRetraining("no training job could be submitted"), "failed")
        result = self._inbox.job(owned.tenant, job_id)
        if result is None and job_id not in self._asked:
            # It may have ended before this process was there to hear of it.
            result = _result_of(await self._training.job(job_id))
            self._asked.add(job_id)
        if result is None:
            return False
        if result.error:
            return await self._record(owned, FailRetraining(f"training failed: {result.error}"), "trained")
        if not result.version:
            return await self._record(owned, FailRetraining("the job registered no model version"), "trained")
        return await self._record(owned, RecordChallenger(result.version), "trained")

    async def _evaluate(self, owned: Owned[Retraining]) -> bool:
        terms = owned.state.terms
        signature = await self._signature(owned)
        rows = await self._fresh.find(owned.tenant, terms, terms.evaluation_rows, features_of(signature))
        if rows is None:
            return False
        champion = await self._score(owned, terms.champion, signature, rows)
        challenger = await self._score(owned, owned.state.challenger, signature, rows)
        comparison = await asyncio.to_thread(_compared, rows, champion, challenger)
        verdict = on_fresh_rows(comparison)
        if verdict.wins:
            await self._promote(owned, owned.state.challenger, STAGE_STAGING, verdict.reason)
        return await self._record(owned, RecordEvaluation(comparison), "evaluated")

    async def _await_review(self, owned: Owned[Retraining]) -> bool:
        terms, challenger = owned.state.terms, owned.state.challenger
        review = self._inbox.review(owned.tenant, terms.model, challenger)
        if review is None:
            return False
        if not review.approved:
            reason = f"{review.reviewer} rejected {terms.model} {challenger}: {review.comment}"
            return await self._record(owned, RefuseChallenger(reason), "reviewed")
        shares = {terms.champion: 100 - terms.canary_percent, challenger: terms.canary_percent}
        await self._set_traffic(owned, shares, f"canary of {challenger}, approved by {review.reviewer}")
        return await self._record(owned, StartCanary(review.reviewer), "canary")

    async def _look_at_canary(self, owned: Owned[Retraining]) -> bool:
        signature = await self._signature(owned)
        due = await self._canary_rows.due(owned.tenant, owned.state, features_of(signature))
        if due is None:
            return False
        champion = await self._score(owned, owned.state.terms.champion, signature, due.rows)
        look = await asyncio.to_thread(_looked, owned.state, due, champion)
        return await self._record(owned, look, f"look {look.number}")

    async def _conclude(self, owned: Owned[Retraining]) -> bool:
        terms, challenger = owned.state.terms, owned.state.challenger
        if not owned.state.canary_won:
            await self._set_traffic(owned, {terms.champion: 100.0}, f"{challenger} lost as a canary")
            await self._promote(owned, challenger, STAGE_ARCHIVED, owned.state.reason)
            return await self._record(owned, RefuseChallenger(owned.state.reason), "concluded")
        await self._promote(owned, challenger, STAGE_PRODUCTION, owned.state.reason)
        await self._set_traffic(owned, {challenger: 100.0}, f"{challenger} won as a canary")
        await self._promote(owned, terms.champion, STAGE_ARCHIVED, f"replaced by {challenger}")
        await self._move_reference(owned)
        return await self._record(owned, ConcludePromotion(), "concluded")

    async def give_up(self, owned: Owned[Retraining], error: ModelogError) -> None:
        """A step was refused for good. A canary is ended first, so that the champion has all the traffic again.

        Raises Unavailable when that cannot be done now.
        """
        reason = str(error)
        if owned.state.phase in (Phase.CANARY, Phase.CONCLUDING):
            try:
                if not await self._has_all_traffic(owned):
                    await self._set_traffic(owned, {owned.state.terms.champion: 100.0}, f"the canary failed: {reason}")
            except ModelogError as second:
                if may_succeed_later(second):
                    raise
                reason += f"; and the traffic stays split: {second}"
        await self._record(owned, FailRetraining(reason), "failed")

    async def _has_all_traffic(self, owned: Owned[Retraining]) -> bool:
        deployment = await self._serving.deployment(owned.state.terms.deployment)
        return any(v.version == owned.state.challenger and v.percent == 100 for v in deployment.variants)

    async def _move_reference(self, owned: Owned[Retraining]) -> None:
        """From now on quality is held against what the new champion showed on rows that it was not trained on."""
        terms, evaluation = owned.state.terms, owned.state.evaluation
        if evaluation is None or evaluation.comparison.auc is None or evaluation.comparison.log_loss is None:
            return
        compared = evaluation.comparison
        assert compared.auc is not None and compared.log_loss is not None  # noqa: S101, PT018 - told to mypy
        command = MoveReference(
            owned.state.challenger,
            compared.auc.challenger,
            compared.log_loss.challenger,
            compared.rows,
            f"{terms.model} {owned.state.challenger} replaced {terms.champion}; shown on {compared.rows} fresh rows",
        )
        await self._monitors.handle(derived_id(owned.tenant, terms.monitor), command, self._ctx(owned, "reference"))

    async def _signature(self, owned: Owned[Retraining]) -> Signature:
        if owned.id not in self._signatures:
            deployment = await self._serving.deployment(owned.state.terms.deployment)
            self._signatures[owned.id] = deployment.signature
        return self._signatures[owned.id]

    async def _score(self, owned: Owned[Retraining], version: str, signature: Signature, rows: Rows) -> Floats64:
        return await self._scorer.scores(owned.state.terms.deployment, version, signature, rows.features)

    async def _promote(self, owned: Owned[Retraining], version: str, stage: Stage.ValueType, reason: str) -> None:
        request_id = derived_id("retraining", owned.id, "promote", version, str(stage))
        await self._registry.promote(owned.state.terms.model, version, stage, reason, request_id)

    async def _set_traffic(self, owned: Owned[Retraining], percents: dict[str, float], reason: str) -> None:
        shares = ",".join(f"{v}={p:g}" for v, p in percents.items())
        request_id = derived_id("retraining", owned.id, "traffic", shares)
        await self._serving.set_traffic(owned.state.terms.deployment, percents, reason, request_id)

    async def _record(self, owned: Owned[Retraining], command: RetrainingCommand, step: str) -> bool:
        await self._retrainings.handle(owned.id, command, self._ctx(owned, step))
        return True

    def _ctx(self, owned: Owned[Retraining], step: str) -> Context:
        return Context(self._clock.now(), ACTOR, owned.tenant, derived_id("retraining", owned.id, step))


def may_succeed_later(error: ModelogError) -> bool:
    """Whether the same step is worth another attempt: nothing was decided against it."""
    return isinstance(error, Unavailable | Conflict | Unauthenticated) or type(error) is ModelogError


def _result_of(job: training_pb2.Job) -> JobResult | None:
    match job.status:
        case training_pb2.JOB_STATUS_SUCCEEDED:
            return JobResult(job.registered_version, "")
        case training_pb2.JOB_STATUS_FAILED:
            return JobResult("", job.error or "it failed")
        case training_pb2.JOB_STATUS_CANCELLED:
            return JobResult("", "it was cancelled")
        case _:
            return None


def _compared(rows: Rows, champion: Floats64, challenger: Floats64) -> Comparison:
    # Imported when it is needed: scipy.stats takes longer to import than all the rest, and a restart must not wait.
    from modelog_monitoring.react.compared import comparison_of

    return comparison_of(rows, champion, challenger)


def _looked(retraining: Retraining, due: DueRows, champion: Floats64) -> RecordCanaryLook:
    # For the same reason.
    from modelog_monitoring.react.looked import look_of

    return look_of(retraining, due, champion)
