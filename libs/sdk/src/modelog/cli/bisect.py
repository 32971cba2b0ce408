"""modelog bisect."""

from __future__ import annotations

import math
import os
import subprocess
from enum import Enum
from typing import List, Optional

import typer

import modelog
from modelog.bisect import Found, Verdict
from modelog.bisect import bisect as halve
from modelog.cli.output import AsJson, errors, fail, say, show_json, told
from modelog.cli.platform import of_platform
from modelog.config import read_profile
from modelog.errors import Invalid, NotAllowed

AS_OF = "MODELOG_AS_OF"
SKIP_STATUS = 125
ABORT_STATUS = 128
INCONCLUSIVE = 2
STORE = "With --check decodes: the address of the log; without it: the log of the platform that runs here."


class Known(str, Enum):
    """The checks that are there already."""

    PROOFS = "proofs"
    DECODES = "decodes"


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(context_settings={"ignore_unknown_options": True})(bisect)


def bisect(
    command: Optional[List[str]] = typer.Argument(None, help="The check, after `--`."),
    known: Optional[Known] = typer.Option(None, "--check", help="A check that is there already, instead of a command."),
    store: Optional[str] = typer.Option(None, help=STORE),
    good: str = typer.Option("0", help="A position or an RFC 3339 time at which the check holds."),
    bad: Optional[str] = typer.Option(None, help="A later one at which it fails; without it: now."),
    as_json: bool = AsJson,
) -> None:
    """Find the event after which a check fails.

    The command is run with MODELOG_AS_OF set to a position, which `modelog` and the SDK then look at. Exit status 0
    means good, 125 that the position cannot be judged, 128 and above stops the search, anything else means bad.

    Or --check proofs: the events up to a position are those that were signed; or --check decodes: today's code can
    decode and fold them.

    Example: `modelog bisect --good 120 -- sh -c 'modelog model show flight-delay 1.0.0 | grep -q production'`
    """
    words = command or []
    if bool(words) == bool(known):
        fail("give either a command after `--`, or --check with " + " or ".join(one.value for one in Known))

    def progress(position: int, verdict: Verdict, left: int) -> None:
        errors.print(f"position {position}: {verdict.value} (about {left} more to check)", highlight=False)

    os.environ.pop(AS_OF, None)
    with told(), modelog.connect() as client:
        last = bad or str(client.audit.head())
        first, until = client.audit.diff(good, good).since, client.audit.diff(last, last).since
        if known is None:
            found = halve(first, until, lambda position: verdict_of(_run(words, position)), progress)
        else:
            failing = _first_altered(client) if known is Known.PROOFS else _first_undecodable(store, until)
            found = halve(first, until, lambda position: Verdict.BAD if position >= failing else Verdict.GOOD, progress)
        events = client.audit.events(after=found.bad - 1, limit=1)
        culprit = events[0] if events and events[0].position == found.bad else None
        if as_json:
            show_json({"good": found.good, "bad": found.bad, "exact": found.is_exact, "event": culprit})
        else:
            _tell(found, culprit)
        if not found.is_exact:
            raise typer.Exit(INCONCLUSIVE)


def verdict_of(status: int) -> Verdict:
    """What an exit status says; raises NotAllowed for one that stops the search."""
    if status < 0 or status >= ABORT_STATUS:
        raise NotAllowed(f"the check ended with status {status}, which stops the search")
    if status == SKIP_STATUS:
        return Verdict.SKIP
    return Verdict.BAD if status else Verdict.GOOD


def _run(command: List[str], position: int) -> int:
    try:
        return subprocess.run(command, env={**os.environ, AS_OF: str(position)}, check=False).returncode
    except OSError as error:
        raise Invalid(f"the check cannot be run: {error}") from None


def _first_altered(client: modelog.Client) -> float:
    """The first position whose event is not the one that was signed."""
    report = client.audit.verify()
    for finding in report.findings:
        errors.print(finding, highlight=False)
    if not report.intact and not report.first_altered:
        raise NotAllowed("the log is not the one that was signed, and which event it is cannot be told")
    return report.first_altered or math.inf


def _first_undecodable(store: Optional[str], until: int) -> float:
    """The first position whose event cannot be decoded or folded."""
    address = store or f"sqlite:///{read_profile().get('data_dir', '.modelog')}/data/events.db"
    failure = of_platform("first_failure_at")(address, until)
    if failure is None:
        return math.inf
    errors.print(f"position {failure.position}: {failure.reason}", highlight=False)
    return float(failure.position)


def _tell(found: Found, event: Optional[modelog.types.Event]) -> None:
    if not found.is_exact:
        say(f"It is one of the events at positions {found.good + 1} to {found.bad}: the others could not be judged.")
    what = event.sentence or event.type if event else "an event of another tenant"
    at = f", {event.recorded_at:%Y-%m-%d %H:%M:%S}, by {event.actor}" if event and event.recorded_at else ""
    say(f"The check {'fails since' if found.is_exact else 'surely fails at'} position {found.bad}{at}:")
    say(f"  {what}")
