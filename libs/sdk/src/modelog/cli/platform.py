"""modelog up, down, status, rebuild, login, token."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional

import typer

import modelog
from modelog.cli.output import AsJson, console, say, show_json, show_table, told
from modelog.config import profile_path, read_profile, write_profile
from modelog.errors import Unavailable

DATA_DIR = typer.Option(Path(".modelog"), "--data-dir", "-d", envvar="MODELOG_HOME", help="Where everything is kept.")

WORKERS, MOST_WORKERS = "MODELOG_SERVING_WORKERS", 30


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    for command in (up, down, status, rebuild, login, token):
        app.command()(command)


def _workers(wanted: str) -> str:
    if wanted != "auto" and not (wanted.isdecimal() and 1 <= int(wanted) <= MOST_WORKERS):
        raise typer.BadParameter(f"{wanted!r} must be auto, or from 1 to {MOST_WORKERS}")
    return wanted


def up(
    data_dir: Path = DATA_DIR,
    port: int = typer.Option(8080, min=0, max=65535, help="Port of the web page and REST; 0 takes any free one."),
    detach: bool = typer.Option(False, "--detach", help="Return once the platform is ready, and leave it running."),
    profile: str = typer.Option(
        "embedded", help="What it stands on: embedded (parts that come with pip), servers, or a file of your own."
    ),
    workers: str = typer.Option(
        "1",
        envvar=WORKERS,
        callback=_workers,
        help=f"Processes that answer predictions: 1 to {MOST_WORKERS}, or auto for one less than there are processors.",
    ),
) -> None:
    """Start the platform here: its parts and the six services, watched and restarted when they die.

    Example: `modelog up --detach --port 9000`
    """

    def progress(name: str, after: str) -> None:
        say(f"  {name:<11} {after}")

    os.environ[WORKERS] = workers
    with told():
        start = of_platform("start_detached" if detach else "run_here")
        say(f"Starting the platform in {data_dir.absolute()} ...")
        start(data_dir, port, progress, lambda endpoints: show_endpoints(endpoints, here=not detach), profile)


def of_platform(name: str) -> Callable[..., Any]:
    """A function of the platform package, which registers itself under the entry points `modelog.platform`."""
    for entry in _entries(name):
        found: Callable[..., Any] = entry.load()
        return found
    raise Unavailable("only the client is installed here; install the platform with `pip install modelog-platform`")


def show_endpoints(endpoints: Mapping[str, str], here: bool = False) -> None:
    profile = read_profile()
    console.print("Ready.", style="bold green")
    say(f"  {'web page':<15}{endpoints['web']}/#token={profile['users'][profile['user']]}")
    for name, address in endpoints.items():
        if name != "web":
            say(f"  {name:<15}{address}")
    console.print("Stop it with Ctrl-C." if here else "Stop it with `modelog down`.")


def down(data_dir: Optional[Path] = typer.Option(None, "--data-dir", "-d", envvar="MODELOG_HOME")) -> None:
    """Stop the platform that runs in a data directory (without one: the one that was started last)."""
    with told():
        say(f"Stopped the platform in {of_platform('down')(data_dir)}.")


def status(as_json: bool = AsJson) -> None:
    """The six services: health, memory, how far their projections are, and how far they are behind their topics."""
    with told(), modelog.connect() as client:
        found = client.services()
        if as_json:
            show_json(found)
        else:
            show_table(
                ["service", "health", "#pid", "#up (s)", "#memory (MB)", "projections", "behind"],
                [
                    [
                        s.service,
                        s.health,
                        s.status.pid if s.status else "",
                        round(s.status.uptime_s) if s.status else "",
                        s.status.memory_bytes // 1048576 if s.status else "",
                        {p.name: p.position for p in s.status.projections} if s.status else "",
                        {f"{x.name} {x.topic}": x.lag for x in s.status.streams if x.lag} if s.status else "",
                    ]
                    for s in found
                ],
                empty="no services",
            )
        if any(s.health != "serving" for s in found):
            raise typer.Exit(1)


def rebuild(
    service: Optional[List[str]] = typer.Argument(None, help="Services; none means all."), as_json: bool = AsJson
) -> None:
    """Drop every projection (tables, graph, series) and build it again from the event store.

    Example: `modelog rebuild lineage`
    """
    with told(), modelog.connect() as client:
        done = client.rebuild(service or [])
        if as_json:
            show_json(done)
        else:
            rows: List[List[Any]] = [[s.service, p.name, p.position, p.error] for s in done for p in s.projections]
            show_table(["service", "projection", "#position", "error"], rows, empty="nothing to rebuild")


def login(
    url: str = typer.Argument(..., help="Address of the gateway, such as http://127.0.0.1:8080"),
    user: str = typer.Option("me", help="Under which name to remember the token."),
    token: Optional[str] = typer.Option(None, help="The token; asked for when it is not given."),
) -> None:
    """Remember a platform and a token for later commands."""
    given = token or (typer.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip())
    with told(), modelog.Client(url, given) as client:
        me = client.me()
        profile = {"url": url, "user": user, "users": {**read_profile().get("users", {}), user: given}}
        path = write_profile(profile)
        say(f"You are {me.user} ({', '.join(me.roles)}); remembered in {path}.")


def token(
    user: Optional[str] = typer.Argument(None, help="A user; without one the token in use is printed."),
    hours: float = typer.Option(24.0, min=0.01, max=8760.0, help="How long a new token is good."),
    remember: bool = typer.Option(False, help="Keep it in the profile, for `MODELOG_USER`."),
) -> None:
    """Print a token: the one in use, or a new one for a user.

    Example: `modelog token bob --remember`, then `MODELOG_USER=bob modelog model approve flight-delay 1.0.0`
    """
    with told():
        if user is None:
            profile = read_profile()
            known = os.environ.get("MODELOG_TOKEN") or profile.get("users", {}).get(profile.get("user"))
            if not known:
                raise Unavailable(f"no token is known; {profile_path()} has none")
            typer.echo(known)
            return
        with modelog.connect() as client:
            made = client.users.token(user, int(hours * 3600))
        typer.echo(made.token)
        if remember:
            profile = read_profile()
            write_profile({**profile, "users": {**profile.get("users", {}), user: made.token}})


def _entries(name: str) -> List[Any]:
    found: Any = entry_points()
    group = found.select(group="modelog.platform") if hasattr(found, "select") else found.get("modelog.platform", [])
    return [entry for entry in group if entry.name == name]
