"""The command `modelog` and its groups."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli import (
    ab_tests,
    artifacts,
    audit,
    backup,
    batching,
    benchmarks,
    bisect,
    cards,
    changes,
    compare,
    composing,
    data,
    deployments,
    events,
    experiments,
    importing,
    jobs,
    learning,
    lineage,
    links,
    logged_models,
    model_upkeep,
    models,
    monitors,
    platform,
    proving,
    releases,
    replaying,
    reproduce,
    retirements,
    runs,
    search,
    signing,
    trials,
    users,
    webhooks,
    workspaces,
)

app = typer.Typer(
    name="modelog",
    help="Modelog: the MLOps platform whose every step is an event.\n\nStart with `modelog up`, then `modelog status`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
platform.register(app)
model_upkeep.register(models.app)
cards.register(models.app)
signing.register(models.app)
retirements.register(models.app)
compare.register(runs.app, models.app)
benchmarks.register(models.app)
composing.register(models.app)
trials.register(models.app)
reproduce.register(runs.app)
app.add_typer(models.app, name="model")
app.add_typer(changes.app, name="change")
app.add_typer(retirements.app, name="retirement")
app.add_typer(experiments.app, name="experiment")
app.add_typer(runs.app, name="run")
app.add_typer(artifacts.app, name="artifact")
app.add_typer(logged_models.app, name="logged-model")
app.add_typer(data.app, name="dataset")
app.add_typer(jobs.app, name="job")
app.add_typer(deployments.app, name="deploy")
deployments.register(app)
deployments.app.command()(learning.learning)
app.add_typer(releases.app, name="release")
releases.register(app)
search.register(app)
proving.register(app)
replaying.register(app)
batching.register(app)
app.add_typer(monitors.app, name="monitor")
app.add_typer(ab_tests.app, name="abtest")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(workspaces.app, name="workspace")
app.add_typer(links.app, name="link")
app.add_typer(workspaces.project, name="project")
app.add_typer(events.app, name="events")
app.add_typer(lineage.app, name="lineage")
app.add_typer(audit.app, name="audit")
app.add_typer(backup.app, name="backup")
app.add_typer(importing.app, name="import")
app.add_typer(users.app, name="user")
app.add_typer(users.subjects, name="subject")
app.add_typer(users.keys, name="keys")
bisect.register(app)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelog {modelog.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Optional[bool] = typer.Option(None, "--version", callback=print_version, is_eager=True, help="Print it."),
) -> None:
    """Runs before every command."""


if __name__ == "__main__":
    app()
