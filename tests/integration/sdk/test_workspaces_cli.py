"""Workspaces and projects from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

import modelog
from typer.testing import Result


def test_workspaces_and_what_is_in_them(run_as: Callable[..., Result], alice: modelog.Client) -> None:
    assert "open to the tenant" in run_as("alice", "workspace", "create", "space-1", "-m", "the first").output
    assert "space-1/cards is there" in run_as("alice", "project", "create", "space-1", "cards").output
    run_as("alice", "project", "update", "space-1", "cards", "-m", "all cards")
    assert "all cards" in run_as("bob", "workspace", "show", "space-1").output
    run_as("alice", "workspace", "update", "space-1", "-m", "the very first")
    assert "bob is reviewer" in run_as("alice", "workspace", "member", "space-1", "bob", "reviewer").output
    listed = run_as("bob", "workspace", "list").output
    assert "the very first" in listed
    assert "cards, default" in listed
    before = alice.workspaces.get("space-1").position

    made = alice.runs.experiment("moving", workspace="space-1", project="cards")
    alice.models.create("moved")
    assert "is in space-1/cards" in run_as("alice", "workspace", "move-model", "moved", "space-1", "cards").output
    assert "moved" not in run_as("bob", "model", "list", "-w", "default", "--json").output
    assert [m.name for m in alice.models.list(workspace="space-1", project="cards")] == ["moved"]
    assert "moving" in run_as("bob", "experiment", "list", "-w", "space-1", "-p", "cards").output
    assert "move or delete them first" in run_as("alice", "workspace", "delete", "space-1", status=1).stderr
    run_as("alice", "workspace", "move-experiment", made.id, "default")
    run_as("alice", "workspace", "move-model", "moved", "default")
    assert alice.runs.experiments(workspace="space-1") == []

    run_as("alice", "workspace", "member", "space-1", "bob", "--remove")
    run_as("alice", "project", "delete", "space-1", "cards")
    run_as("alice", "workspace", "delete", "space-1")
    assert "space-1" not in run_as("bob", "workspace", "list").output
    assert "space-1" in run_as("bob", "workspace", "list", "--deleted").output
    then = json.loads(run_as("bob", "workspace", "show", "space-1", "--as-of", before).output)
    assert [p["name"] for p in then["projects"]] == ["cards", "default"]
    assert "is back" in run_as("alice", "workspace", "restore", "space-1").output


def test_links_are_made_listed_and_revoked(run_as: Callable[..., Result], alice: modelog.Client) -> None:
    made = alice.runs.experiment("linked")
    told = run_as("alice", "link", "create", "--experiment", made.id, "--days", "2").output
    address = told.split()[0]
    assert "/shared#" in address
    shown = json.loads(run_as("bob", "link", "open", address).output)
    assert shown["experiment"]["name"] == "linked"
    (link,) = json.loads(run_as("bob", "link", "list", "--experiment", made.id, "--json").output)
    assert made.id in run_as("bob", "link", "list").output
    assert "shows nothing any more" in run_as("alice", "link", "revoke", link["id"]).output
    assert "this link shows nothing" in run_as("bob", "link", "open", address, status=1).stderr
