"""modelog user ..., modelog subject ... and modelog keys ..."""

from __future__ import annotations

from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, fail, say, show_json, show_table, told
from modelog.types import Erasure, User

app = typer.Typer(help="Who may use the platform, and the personal data that it keeps of them.", no_args_is_help=True)
subjects = typer.Typer(help="Whom requests for predictions were about.", no_args_is_help=True)
keys = typer.Typer(help="The keys that personal data is sealed with.", no_args_is_help=True)
FULL_NAME = typer.Option("", help="Kept sealed; it can be erased.")
EMAIL = typer.Option("", help="Kept sealed; it can be erased.")


@app.command("list")
def list_users(as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """All users. What was erased since the moment that is looked at is shown as "[erased]"."""
    with told(), modelog.connect() as client:
        _show(client.users.list(as_of=as_of), as_json)


@app.command()
def add(
    name: str = typer.Argument(..., help="Stands in the log for good: choose one that tells nothing of the person."),
    role: Optional[List[str]] = typer.Option(None, help="viewer, developer, reviewer or admin; may be repeated."),
    full_name: str = FULL_NAME,
    email: str = EMAIL,
    as_json: bool = AsJson,
) -> None:
    """Add a user. Example: `modelog user add bob --role reviewer --email bob@example.org`"""
    with told(), modelog.connect() as client:
        _show([client.users.create(name, role or ["viewer"], full_name=full_name, email=email)], as_json)


@app.command()
def describe(name: str, full_name: str = FULL_NAME, email: str = EMAIL, as_json: bool = AsJson) -> None:
    """Replace a user's full name and e-mail address; what is left out is removed."""
    with told(), modelog.connect() as client:
        _show([client.users.describe(name, full_name=full_name, email=email)], as_json)


@app.command()
def erase(
    name: str,
    reason: str = typer.Option(..., help="Why; kept for good, so name nobody in it."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    as_json: bool = AsJson,
) -> None:
    """Erase a user's personal data, in all of the history. It cannot be undone, and the name is not given again.

    Example: `modelog user erase bob --reason "ticket 4711"`
    """
    with told(), modelog.connect() as client:
        if not yes and not typer.confirm(f"Erase what is kept of {name}, for good?"):
            fail("nothing was erased")
        _show([client.users.erase(name, reason)], as_json)


@subjects.command("erase")
def erase_subject(
    subject: str = typer.Argument(..., help="What requests for predictions named as their `subject`."),
    reason: str = typer.Option(..., help="Why; kept for good, so name nobody in it."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    as_json: bool = AsJson,
) -> None:
    """Erase what predictions keep sealed of a subject. It cannot be undone; requests that name it are refused then.

    Example: `modelog subject erase customer-17 --reason "ticket 4711"`
    """
    with told(), modelog.connect() as client:
        if not yes and not typer.confirm(f"Erase what predictions keep of {subject}, for good?"):
            fail("nothing was erased")
        _show_erasures([client.users.erase_subject(subject, reason)], as_json)


@keys.command()
def rotate() -> None:
    """Take a new master key into use, and wrap every data key with it; old events are read as before."""
    with told(), modelog.connect() as client:
        say(f"A new master key is in use; {client.users.rotate_master_key()} data keys were wrapped with it.")


@keys.command()
def erased(as_json: bool = AsJson) -> None:
    """Everybody who was erased. Keep the list beside your backups, and give it to `modelog backup restore --erased`.

    Example: `modelog keys erased --json > erased.json`
    """
    with told(), modelog.connect() as client:
        _show_erasures(client.users.erasures(), as_json)


def _show_erasures(found: List[Erasure], as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        rows = [[e.at, e.tenant, e.subject, e.by, e.reason] for e in found]
        show_table(["erased", "tenant", "who", "by", "reason"], rows, empty="nobody was erased")


def _show(found: List[User], as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        rows = [[u.name, u.roles, u.full_name, u.email, u.created_at, u.erased_at] for u in found]
        show_table(["user", "roles", "full name", "e-mail", "created", "erased"], rows, empty="no users")
