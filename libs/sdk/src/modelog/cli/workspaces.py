"""modelog workspace ..., modelog project ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_json, show_table, told, word
from modelog.places import Workspace

app = typer.Typer(help="Workspaces: teams' areas, their members and projects.", no_args_is_help=True)
project = typer.Typer(help="Projects: groupings inside a workspace.", no_args_is_help=True)


@app.command("list")
def list_workspaces(
    deleted: bool = typer.Option(False, "--deleted", help="Those that are deleted, too."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """All workspaces that you may look into, and their projects."""
    with told(), modelog.connect() as client:
        found = client.workspaces.list(with_deleted=deleted, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [
                [w.name, _access(w), [p.name for p in w.projects], len(w.members), w.description, w.deleted_at]
                for w in found
            ]
            show_table(["workspace", "access", "projects", "members", "description", "deleted"], rows, empty="none")


@app.command()
def show(workspace: str, as_of: Optional[str] = AsOf) -> None:
    """One workspace with its members and projects, as JSON."""
    with told(), modelog.connect() as client:
        show_json(client.workspaces.get(workspace, as_of=as_of))


@app.command()
def create(workspace: str, description: str = typer.Option("", "--description", "-m")) -> None:
    """Make a workspace, whose admin you are. Example: `modelog workspace create fraud -m "card fraud"`"""
    with told(), modelog.connect() as client:
        client.workspaces.create(workspace, description)
        say(f"the workspace {workspace} is there, open to the tenant")


@app.command()
def update(
    workspace: str,
    description: Optional[str] = typer.Option(None, "--description", "-m"),
    access: str = typer.Option("", help="open to the tenant, or restricted to members"),
) -> None:
    """Describe a workspace anew, or say who may look into it.

    Example: `modelog workspace update fraud --access restricted`
    """
    with told(), modelog.connect() as client:
        found = client.workspaces.update(workspace, description=description, access=access)
        say(f"the workspace {workspace} is {_access(found)}: {found.description}")


@app.command()
def member(
    workspace: str,
    user: str,
    role: str = typer.Argument("", help="viewer, developer, reviewer or admin"),
    remove: bool = typer.Option(False, "--remove", help="End the membership."),
) -> None:
    """Make a user a member, or end a membership. Example: `modelog workspace member fraud bob reviewer`"""
    with told(), modelog.connect() as client:
        if remove:
            client.workspaces.remove_member(workspace, user)
            say(f"{user} is no member of {workspace} any more")
        else:
            client.workspaces.set_member(workspace, user, role)
            say(f"{user} is {role} in {workspace}")


@app.command()
def delete(workspace: str) -> None:
    """Hide a workspace that has nothing in it."""
    with told(), modelog.connect() as client:
        client.workspaces.delete(workspace)
        say(f"the workspace is deleted; `modelog workspace restore {workspace}` brings it back")


@app.command()
def restore(workspace: str) -> None:
    """Take a deletion back."""
    with told(), modelog.connect() as client:
        client.workspaces.restore(workspace)
        say(f"the workspace {workspace} is back")


@app.command("move-experiment")
def move_experiment(experiment_id: str, workspace: str, project_name: str = typer.Argument("")) -> None:
    """Put an experiment, and its runs, in another project."""
    with told(), modelog.connect() as client:
        found = client.runs.move_experiment(experiment_id, workspace, project_name)
        say(f"the experiment {found.name} is in {found.workspace}/{found.project}")


@app.command("move-model")
def move_model(name: str, workspace: str, project_name: str = typer.Argument("")) -> None:
    """Put a model, and its versions, in another project."""
    with told(), modelog.connect() as client:
        found = client.models.move(name, workspace, project_name)
        say(f"the model {found.name} is in {found.workspace}/{found.project}")


@project.command("create")
def create_project(workspace: str, name: str, description: str = typer.Option("", "--description", "-m")) -> None:
    """Add a project to a workspace."""
    with told(), modelog.connect() as client:
        client.workspaces.create_project(workspace, name, description)
        say(f"the project {workspace}/{name} is there")


@project.command("update")
def update_project(workspace: str, name: str, description: str = typer.Option(..., "--description", "-m")) -> None:
    """Describe a project anew."""
    with told(), modelog.connect() as client:
        client.workspaces.update_project(workspace, name, description=description)
        say(f"the project {workspace}/{name}: {description}")


@project.command("delete")
def delete_project(workspace: str, name: str) -> None:
    """Take a project away that has nothing in it."""
    with told(), modelog.connect() as client:
        client.workspaces.delete_project(workspace, name)
        say(f"the project {workspace}/{name} is gone")


def _access(workspace: Workspace) -> str:
    return word(workspace.access, "WORKSPACE_ACCESS_")
