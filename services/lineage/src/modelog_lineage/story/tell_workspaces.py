"""How the events of workspaces are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story.telling import Sentence
from modelog_lineage.story.words import Payload, short, word

_SEEN_BY = {"open": "open to the tenant", "restricted": "restricted to its members"}


def _workspace(p: Payload) -> str:
    return f"the workspace {word(p['workspace'])}"


def _project(p: Payload) -> str:
    return f"the project {word(p['workspace'])}/{word(p['project'])}"


def _place(place: Payload) -> str:
    return f"{word(place['workspace'])}/{word(place['project'])}"


def _shared(shared: Payload) -> str:
    if shared["model"]:
        return f"{word(shared['model'])} {word(shared['version'])}"
    if shared["run_id"]:
        return f"run {short(shared['run_id'])}"
    return f"the experiment {short(shared['experiment_id'])}"


SENTENCES: Mapping[str, Sentence] = {
    "registry.WorkspaceCreated": Sentence(lambda p: f"{word(p['by'])} created {_workspace(p)}"),
    "registry.WorkspaceDescribed": Sentence(lambda p: f"{word(p['by'])} described {_workspace(p)} anew"),
    "registry.WorkspaceAccessSet": Sentence(
        lambda p: f"{word(p['by'])} made {_workspace(p)} {_SEEN_BY.get(p['access'], word(p['access']))}"
    ),
    "registry.WorkspaceMemberSet": Sentence(
        lambda p: f"{word(p['by'])} made {word(p['user'])} {word(p['role'])} in {_workspace(p)}"
    ),
    "registry.WorkspaceMemberRemoved": Sentence(
        lambda p: f"{word(p['by'])} took {word(p['user'])} out of {_workspace(p)}"
    ),
    "registry.WorkspaceDeleted": Sentence(lambda p: f"{word(p['by'])} deleted {_workspace(p)}"),
    "registry.WorkspaceRestored": Sentence(lambda p: f"{word(p['by'])} restored {_workspace(p)}"),
    "registry.ProjectCreated": Sentence(lambda p: f"{word(p['by'])} created {_project(p)}"),
    "registry.ProjectDescribed": Sentence(lambda p: f"{word(p['by'])} described {_project(p)} anew"),
    "registry.ProjectDeleted": Sentence(lambda p: f"{word(p['by'])} deleted {_project(p)}"),
    "registry.LinkMade": Sentence(
        lambda p: f"{word(p['by'])} shared {_shared(p['shared'])} by a link until {word(p['expires_at'])[:10]}"
    ),
    "registry.LinkRevoked": Sentence(lambda p: f"{word(p['by'])} revoked the link {short(p['link_id'])}"),
    "registry.ExperimentMoved": Sentence(
        lambda p: f"{word(p['by'])} moved the experiment {word(p['name'])} to {_place(p['place'])}"
    ),
    "registry.ModelMoved": Sentence(
        lambda p: f"{word(p['by'])} moved the model {word(p['model'])} to {_place(p['place'])}"
    ),
}
