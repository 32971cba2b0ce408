"""The last trial of every file, folded from the event store and kept in memory."""

from __future__ import annotations

import asyncio

import structlog
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import EventStore

from modelog_serving.deployment.commands import Candidate
from modelog_serving.engine.models import ModelRef
from modelog_serving.events import EVENTS
from modelog_serving.trial.commands import Conditions
from modelog_serving.trial.decide import TRIALS, trial_id
from modelog_serving.trial.events import REFUSED, TrialEvent, TrialLimits, VersionTried
from modelog_serving.trial.state import Trial
from modelog_serving.trying.packages import packages_of
from modelog_serving.worker.limits import Limits

log = structlog.get_logger()


class Verdicts:
    """Follows this service's own events; `limits` are what a trial in this process may take."""

    def __init__(self, store: EventStore, limits: Limits) -> None:
        self._store = store
        self._limits = TrialLimits(limits.load_s, limits.predict_s, limits.memory_bytes)
        self._trials: dict[str, Trial] = {}
        # Files whose engines were found to differ, under which packages: whoever has the file has the same engines.
        self._unequal: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._position = 0
        self._turn = asyncio.Lock()

    async def catch_up(self) -> None:
        """Take in everything that is in the store now."""
        async with self._turn:
            head = await self._store.head()
            async for stored in self._store.read_all(after=self._position, categories=[TRIALS.category], until=head):
                event: TrialEvent = EVENTS.decode(stored.type, stored.schema, stored.payload)
                trial = stored.stream.partition("-")[2]
                self._trials[trial] = TRIALS.evolve(self.of(trial), event)
                if isinstance(event, VersionTried) and event.found.unequal:
                    self._unequal.setdefault((event.model_digest, event.flavor), []).append(event.packages)
                self._position = stored.position
            self._position = max(head, self._position)

    def conditions(self, flavor: str, *, approved: bool) -> Conditions:
        """Under which a file would be tried here and now."""
        return Conditions(dict(packages_of(flavor)), self._limits, approved)

    def of(self, trial: str) -> Trial:
        """The last trial with this id, as far as the events were followed."""
        return self._trials.get(trial, Trial())

    async def original(self, ref: ModelRef) -> bool:
        """Whether another engine than the library's was found to answer otherwise, with the packages of now.

        Where the log cannot be read now, nobody knows: then it is proven again when the model is loaded.
        """
        try:
            await self.catch_up()
        except Unavailable as error:
            log.warning("trials cannot be looked at", digest=ref.digest, error=str(error))
        found = self._unequal.get((ref.digest, ref.flavor))
        return found is not None and packages_of(ref.flavor) in found

    async def refused(self, tenant: str, candidate: Candidate) -> str:
        """Why a trial of this version under the conditions of now was refused; "" where it was not."""
        await self.catch_up()
        trial = self.of(trial_id(tenant, candidate.digest, candidate.flavor, candidate.signature))
        if trial.last is None or trial.last.found.state != REFUSED:
            return ""
        if not trial.holds(self.conditions(candidate.flavor, approved=candidate.vouched)):
            return ""
        return f"when it was tried, {trial.last.at:%Y-%m-%d %H:%M} UTC, it was refused: {trial.last.found.reason}"
