"""What is known of the trial of a version: of its file, which other versions may share."""

from __future__ import annotations

from typing import Protocol

from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotAllowed
from modelog_common.read.queries import Queries
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.serving.v1 import trial_pb2 as pb

from modelog_serving.deployment.commands import Candidate
from modelog_serving.read.tables import TRIALS
from modelog_serving.trial.decide import trial_id
from modelog_serving.trying.trier import Trier

NO_FILE = "the version names no file, only where it came from"


class VersionsThen(Protocol):
    """Model versions as they were."""

    async def at(self, model: str, version: str, read: ReadOptions) -> Candidate:
        """One version as of a moment; raises NotFound, or Unavailable when the registry does not answer."""
        ...


class TrialsAsked:
    """`trier` tries; `not_trying` says why nothing is tried here, "" where it is."""

    def __init__(self, queries: Queries, versions: VersionsThen, trier: Trier, not_trying: str = "") -> None:
        self._queries, self._versions, self._trier, self._not_trying = queries, versions, trier, not_trying

    async def again(self, model: str, version: str, reason: str, ctx: Context) -> pb.VersionTrial:
        """Have a version tried again; returns what is known of it until then.

        Raises NotFound when there is no such version, NotAllowed when it cannot be tried.
        """
        candidate = await self._versions.at(model, version, ReadOptions())
        why_not = self._not_trying if candidate.digest else NO_FILE
        if why_not:
            raise NotAllowed(why_not)
        position = await self._trier.again(ctx.tenant, model, version, candidate, reason, ctx)
        return await self.of(model, version, ReadOptions(at_least=position), ctx.tenant)

    async def of(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.VersionTrial:
        """The trial of a version, as of a moment or now; raises NotFound when there is no such version."""
        candidate = await self._versions.at(model, version, read)
        if not candidate.digest:
            return pb.VersionTrial(model=model, version=version, state=pb.TRIAL_STATE_NOT_TRIED, reason=NO_FILE)
        trial = trial_id(tenant, candidate.digest, candidate.flavor, candidate.signature)
        found = await self._queries.one(TRIALS, pb.VersionTrial, read, tenant, trial_id=trial)
        if found is None:
            found = pb.VersionTrial(state=pb.TRIAL_STATE_WAITING, model_digest=candidate.digest)
        elif found.model != model:
            # Whoever may see this version need not be allowed to see the other one.
            found.tried_version = ""
        if found.asked_model != model:
            found.asked_by = found.asked_why = found.asked_model = ""
        found.model, found.version = model, version
        if not read.as_of:
            found.trying = not self._not_trying
            found.doing = self._trier.doing(trial)
            if found.state == pb.TRIAL_STATE_WAITING and self._not_trying:
                found.doing = self._not_trying
        return found
