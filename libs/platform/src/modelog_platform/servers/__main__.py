"""Install servers, and run one of them in this process; what `make servers` and the supervisor call."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from modelog_common.domain.errors import ModelogError

from modelog_platform.lifeline import die_with
from modelog_platform.servers.account import become
from modelog_platform.servers.catalogue import RECIPES, install, recipe_of
from modelog_platform.servers.recipe import Site, servers_home


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m modelog_platform.servers", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    installing = actions.add_parser("install", help="install servers that are not there yet")
    installing.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(sorted(RECIPES))}; none means all")
    running = actions.add_parser("run", help="run a server until it is told to stop")
    running.add_argument("name", metavar="NAME")
    running.add_argument("--folder", type=Path, required=True, help="the folder that it keeps everything in")
    running.add_argument("--ports", required=True, help="its ports on the loopback interface, separated by commas")
    running.add_argument("--password-file", type=Path, required=True, help="a file that holds the password it asks for")
    options = parser.parse_args(arguments)
    try:
        if options.action == "install":
            install(options.names or list(RECIPES), lambda name, text: print(f"{name}: {text}", flush=True))
        else:
            ports = tuple(int(port) for port in options.ports.split(","))
            become_server(options.name, options.folder.absolute(), ports, options.password_file.read_text().strip())
    except (ModelogError, OSError, ValueError) as error:
        print(f"servers {options.action}: {error}", file=sys.stderr)
        return 1
    return 0


def become_server(name: str, folder: Path, ports: tuple[int, ...], password: str) -> None:
    """Prepare the folder, then let the server take this process over; it ends with this process's parent."""
    parent = os.getppid()
    recipe = recipe_of(name)
    site = Site(servers_home() / name, folder, ports, password)
    folder.mkdir(parents=True, exist_ok=True)
    recipe.prepare(site)
    command = recipe.command(site)
    os.chdir(folder)
    if recipe.account and os.geteuid() == 0:
        become(recipe.account)
    die_with(parent, recipe.stop_signal)
    os.execvpe(command[0], command, {**os.environ, **recipe.environment(site)})  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
