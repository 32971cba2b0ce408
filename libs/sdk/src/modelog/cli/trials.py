"""modelog model trial and modelog model try."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, errors, show_fields, show_json, told
from modelog.types import VersionTrial

WORDS = {
    "TRIAL_STATE_WAITING": "not tried yet",
    "TRIAL_STATE_WORKS": "works",
    "TRIAL_STATE_KEPT_ORIGINAL": "works, with the library's own engine",
    "TRIAL_STATE_REFUSED": "refused",
    "TRIAL_STATE_NOT_TRIED": "not tried",
}


def register(app: typer.Typer) -> None:
    """Add the commands to `modelog model`."""
    app.command("trial")(trial)
    app.command("try")(try_again)


def trial(
    name: str,
    version: str,
    wait: bool = typer.Option(False, "--wait", help="Wait until it was tried; exit status 1 if it was refused."),
    timeout_s: float = typer.Option(600.0, "--timeout-s", help="Wait no longer."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """What became of a version when it was tried. Example: `modelog model trial flight-delay 1.1.0 --wait`"""
    with told(), modelog.connect() as client:
        if wait:
            _waited(client, name, version, timeout_s, as_json)
        else:
            _show(client.trials.get(name, version, as_of=as_of), as_json)


def try_again(
    name: str,
    version: str,
    message: str = typer.Option("", "--message", "-m", help="Why; it stands in the log."),
    wait: bool = typer.Option(False, "--wait", help="Wait until it was tried; exit status 1 if it was refused."),
    timeout_s: float = typer.Option(600.0, "--timeout-s", help="Wait no longer."),
    as_json: bool = AsJson,
) -> None:
    """Have a version tried again, as after a refusal that the machine caused; until then what is known holds.

    Example: `modelog model try flight-delay 1.1.0 -m "the machine was out of memory" --wait`
    """
    with told(), modelog.connect() as client:
        found = client.trials.again(name, version, message)
        if wait:
            _waited(client, name, version, timeout_s, as_json)
        else:
            _show(found, as_json)


def _waited(client: modelog.Client, name: str, version: str, timeout_s: float, as_json: bool) -> None:
    found = client.trials.wait(name, version, timeout_s=timeout_s, say=_tell)
    _show(found, as_json)
    if found.state == "TRIAL_STATE_REFUSED":
        raise typer.Exit(1)


def _show(found: VersionTrial, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_fields(_fields(found))


def _tell(doing: str) -> None:
    errors.print(doing, highlight=False, markup=False)


def _fields(found: VersionTrial) -> "dict[str, object]":
    timed = found.row_us > 0
    other = "" if found.tried_version == found.version else found.tried_version or "a version of another model"
    return {
        "state": WORDS.get(found.state, found.state),
        "reason": found.reason,
        "now": found.doing,
        "asked for again": f"{found.asked_at} by {found.asked_by}" if found.asked_at else "",
        "for": found.asked_why,
        "tried": found.tried_at,
        "as": other if found.tried_at else "",
        "engine": found.engine,
        "because": found.why,
        "asked": f"{found.rows} rows: {found.sample}" if found.rows else "",
        "largest difference": _difference(found),
        "missing values": found.missing,
        "one row alone": f"{found.row_us:.4g} us" if timed else "",
        "one of 32 rows": f"{found.row_of_32_us:.4g} us" if timed else "",
        "memory": f"{found.memory_bytes / (1 << 20):.0f} MiB" if found.memory_bytes else "",
        "file": found.model_digest,
        "packages": found.packages,
    }


def _difference(found: VersionTrial) -> str:
    if found.largest_difference is None:
        return "not to be compared" if found.unequal else ""
    return f"{found.largest_difference:.3g} of {found.tolerance:g}"
