"""The rule of trials: the same file is told of once under the same conditions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_serving.deployment.signature import Signature
from modelog_serving.trial.commands import Conditions, TrialCommand
from modelog_serving.trial.events import TrialEvent, VersionTried
from modelog_serving.trial.state import Trial, evolve


def trial_id(tenant: str, digest: str, flavor: str, signature: Signature) -> str:
    """The same file with another signature is another trial."""
    signed = hashlib.sha256(msgspec.json.encode(signature)).hexdigest()
    return derived_id("trial", tenant, digest, flavor, signed)


def decide(trial: Trial, command: TrialCommand, _ctx: Context) -> Sequence[TrialEvent]:
    """Nothing follows where the same is known already."""
    conditions = command.conditions
    last = trial.last
    if trial.settles(conditions) or (last is not None and last.found == command.found and _same(last, conditions)):
        return ()
    return [
        VersionTried(
            command.model_id,
            command.model,
            command.version,
            command.model_digest,
            command.flavor,
            conditions.approved,
            conditions.packages,
            conditions.limits,
            command.found,
            command.at,
        )
    ]


def _same(last: VersionTried, now: Conditions) -> bool:
    return (last.packages, last.limits, last.approved) == (now.packages, now.limits, now.approved)


TRIALS: Decider[Trial, TrialCommand, TrialEvent] = Decider("serving.trial", Trial, decide, evolve)
