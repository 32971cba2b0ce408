"""Tries the versions that wait, one at a time, and tells the log of events what became of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_serving.deployment.commands import Candidate
from modelog_serving.deployment.signature import unservable
from modelog_serving.engine.composite import CHAIN, ENSEMBLE, manifest_of
from modelog_serving.registry import ArtifactFiles
from modelog_serving.runtimes.find import why_not_run
from modelog_serving.trial.commands import AskTrial, Conditions, RecordTrial, TrialCommand
from modelog_serving.trial.decide import trial_id
from modelog_serving.trial.events import FILE, NOT_TRIED, REFUSED, Found, TrialEvent
from modelog_serving.trial.state import Trial
from modelog_serving.trying.inbox import TrialInbox, Waiting
from modelog_serving.trying.process import COMMAND, TrialProcess
from modelog_serving.trying.rows import Recorded, recorded
from modelog_serving.trying.task import Task
from modelog_serving.trying.verdicts import Verdicts
from modelog_serving.worker import wire

ACTOR = "service:serving"
LOOK_S = 0.5
# What a file could not be had for may pass; others are tried meanwhile.
FIRST_AGAIN_S, LONGEST_AGAIN_S = 2.0, 60.0
# A process that ends before its time may have suffered from the machine: the second one counts.
ATTEMPTS = 2
log = structlog.get_logger()
TrialEntities = Entities[Trial, TrialCommand, TrialEvent]


class Trier:
    """`files` puts what is tried into the folder `kept`; `command` starts the process of a trial."""

    def __init__(
        self,
        inbox: TrialInbox,
        verdicts: Verdicts,
        entities: TrialEntities,
        files: ArtifactFiles,
        kept: Path,
        threads: int,
        clock: Clock,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._inbox, self._verdicts, self._entities, self._files = inbox, verdicts, entities, files
        self._kept, self._threads, self._clock, self._command = kept, threads, clock, command
        self._doing: dict[str, str] = {}
        self._later: dict[tuple[str, str, str], tuple[float, float]] = {}

    def doing(self, trial: str) -> str:
        """What a trial that goes on now is about to do; "" where none does."""
        return self._doing.get(trial, "")

    async def again(
        self, tenant: str, model: str, version: str, candidate: Candidate, reason: str, ctx: Context
    ) -> int:
        """Have a version tried again; returns the position of the last that is known of its file, 0 for nothing."""
        self._later = {key: when for key, when in self._later.items() if (key[0], key[2]) != (tenant, version)}
        command = AskTrial(model, version, candidate.digest, candidate.flavor, reason)
        trial = trial_id(tenant, candidate.digest, candidate.flavor, candidate.signature)
        done = await self._entities.handle(trial, command, ctx)
        self._inbox.wait_again(tenant, model, version)
        return done.position

    async def run(self) -> None:
        """Try until cancelled; what was tried before is known from the log."""
        self._inbox.all_wait()
        while True:
            if not await self.step():
                await asyncio.sleep(LOOK_S)

    async def step(self) -> bool:
        """Try the newest version that waits, if there is one; whether there was."""
        now = time.monotonic()
        waiting = self._inbox.next({key for key, (until, _) in self._later.items() if until > now})
        if waiting is None:
            return False
        try:
            await self._try(waiting)
        except (Unavailable, Conflict) as error:
            _, before_s = self._later.get(waiting.key, (0.0, FIRST_AGAIN_S / 2))
            again_s = min(2 * before_s, LONGEST_AGAIN_S)
            self._later[waiting.key] = (time.monotonic() + again_s, again_s)
            log.warning("a version cannot be tried now", model=waiting.model, version=waiting.version, error=str(error))
        else:
            self._later.pop(waiting.key, None)
            self._inbox.done(waiting)
        return True

    async def _try(self, waiting: Waiting) -> None:
        trial = trial_id(waiting.tenant, waiting.digest, waiting.flavor, waiting.signature)
        # What is installed takes a while to look at.
        conditions = await asyncio.to_thread(self._verdicts.conditions, waiting.flavor, approved=waiting.vouched)
        await self._verdicts.catch_up()
        if self._verdicts.of(trial).settles(conditions):
            return
        try:
            found = await self._found(trial, waiting, conditions)
        finally:
            self._doing.pop(trial, None)
        now = self._clock.now()
        command = RecordTrial(
            waiting.model_id, waiting.model, waiting.version, waiting.digest, waiting.flavor, conditions, found, now
        )
        await self._entities.handle(
            trial, command, Context(now, ACTOR, waiting.tenant, derived_id("trial", trial, str(now)))
        )
        log.info("version tried", model=waiting.model, version=waiting.version, state=found.state, why=found.reason)

    async def _found(self, trial: str, waiting: Waiting, conditions: Conditions) -> Found:
        why_not = unservable(waiting.signature) or await asyncio.to_thread(why_not_run, waiting.flavor)
        if why_not:
            return Found(NOT_TRIED, why_not)
        self._doing[trial] = "its file is fetched"
        try:
            await self._fetch(waiting)
        except NotFound as error:
            return Found(NOT_TRIED, str(error), FILE)
        except (Invalid, NotAllowed) as error:
            return Found(REFUSED, str(error), FILE)
        example = await self._example(waiting)
        found = Found(NOT_TRIED)
        for _ in range(ATTEMPTS):
            found = await self._attempt(trial, waiting, conditions, example)
            if found.cause in ("", FILE):
                break
        return found

    async def _fetch(self, waiting: Waiting) -> None:
        """The file, and those of its members."""
        await self._files.keep(waiting.digest)
        if waiting.flavor in (ENSEMBLE, CHAIN):
            for member in manifest_of(await self._files.fetch(waiting.digest)).members:
                await self._files.keep(member.digest)

    async def _example(self, waiting: Waiting) -> Recorded | None:
        """What came with the version; None where nothing did, or it is none for this signature."""
        if not waiting.example:
            return None
        try:
            content = await self._files.fetch(waiting.example_digest)
            return await asyncio.to_thread(recorded, waiting.example, content, waiting.signature)
        except (NotFound, Invalid) as error:
            log.warning("an input example cannot be used", model=waiting.model, why=str(error))
            return None

    async def _attempt(self, trial: str, waiting: Waiting, conditions: Conditions, example: Recorded | None) -> Found:
        def say(what: str) -> None:
            self._doing[trial] = what

        task = Task(
            str(self._kept),
            waiting.digest,
            waiting.flavor,
            waiting.signature,
            conditions.approved,
            self._threads,
            conditions.limits,
            *(() if example is None else (example.name, wire.rows_of(example.rows))),
        )
        process = TrialProcess(task, None if example is None else example.rows, self._command)
        try:
            return await asyncio.to_thread(process.found, say)
        finally:
            process.end()
