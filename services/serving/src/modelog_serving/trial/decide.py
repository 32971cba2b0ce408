"""The rules of trials: the same file is told of once under the same conditions, and again if somebody asks for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import assert_never

import msgspec
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_serving.deployment.signature import Signature
from modelog_serving.trial.commands import AskTrial, Conditions, RecordTrial, TrialCommand
from modelog_serving.trial.events import TrialAsked, TrialEvent, VersionTried
from modelog_serving.trial.state import Trial, evolve


def trial_id(tenant: str, digest: str, flavor: str, signature: Signature) -> str:
    """The same file with another signature is another trial."""
    signed = hashlib.sha256(msgspec.json.encode(signature)).hexdigest()
    return derived_id("trial", tenant, digest, flavor, signed)


def decide(trial: Trial, command: TrialCommand, ctx: Context) -> Sequence[TrialEvent]:
    match command:
        case RecordTrial():
            return record(trial, command)
        case AskTrial():
            return ask(trial, command, ctx)
        case _:
            assert_never(command)


def record(trial: Trial, command: RecordTrial) -> Sequence[TrialEvent]:
    """Nothing follows where the same is known already, unless somebody asked for it."""
    conditions = command.conditions
    last = trial.last
    known = last is not None and last.found == command.found and _same(last, conditions)
    if trial.asked is None and (trial.settles(conditions) or known):
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


def ask(trial: Trial, command: AskTrial, ctx: Context) -> Sequence[TrialEvent]:
    """What waits for its first trial, or was asked for already, waits on."""
    if trial.last is None or trial.asked is not None:
        return ()
    return [
        TrialAsked(
            command.model,
            command.version,
            command.model_digest,
            command.flavor,
            command.reason,
            ctx.actor,
            ctx.now,
        )
    ]


def _same(last: VersionTried, now: Conditions) -> bool:
    return (last.packages, last.limits, last.approved) == (now.packages, now.limits, now.approved)


TRIALS: Decider[Trial, TrialCommand, TrialEvent] = Decider("serving.trial", Trial, decide, evolve)
