"""A restricted workspace through the gateway: REST, and MLflow's API with its files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import modelog
import pytest
from mlflow_http import FILES, Mlflow, refusal_of
from modelog.errors import NotFound
from small_platform import SmallPlatform

ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


def mlflow_of(platform: SmallPlatform, user: str) -> Iterator[Mlflow]:
    headers = {"Authorization": f"Bearer {platform.token(user, 'developer')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        yield Mlflow(client)


@pytest.fixture
def member(platform: SmallPlatform) -> Iterator[Mlflow]:
    yield from mlflow_of(platform, "alice")


@pytest.fixture
def stranger(platform: SmallPlatform) -> Iterator[Mlflow]:
    yield from mlflow_of(platform, "eve")


@pytest.fixture
def alice(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("alice", "developer") as client:
        yield client


@pytest.fixture
def eve(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("eve", "developer") as client:
        yield client


@pytest.fixture
def hidden(alice: modelog.Client, member: Mlflow, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What is in a restricted workspace of the test's own."""
    name = f"closed-{abs(hash(request.node.name)) % 10**9}"
    alice.workspaces.create(name)
    alice.workspaces.update(name, access="restricted")
    experiment = alice.runs.experiment(f"e-{name}", workspace=name)
    run = member.run(experiment.id)
    member.post("/runs/log-metric", run_id=run, key="auc", value=0.5, timestamp=1, step=0)
    path = f"{FILES}/{experiment.id}/{run}/artifacts/notes.txt"
    assert member.http.put(path, content=b"secret").status_code == 200
    alice.models.create(f"m-{name}", workspace=name)
    return {"workspace": name, "experiment": experiment.id, "run": run, "file": path, "model": f"m-{name}"}


def test_mlflows_clients_find_nothing_of_it(member: Mlflow, stranger: Mlflow, hidden: dict[str, Any]) -> None:
    asked = [
        ("/experiments/get", {"experiment_id": hidden["experiment"]}),
        ("/experiments/get-by-name", {"experiment_name": f"e-{hidden['workspace']}"}),
        ("/runs/get", {"run_id": hidden["run"]}),
        ("/metrics/get-history", {"run_id": hidden["run"], "metric_key": "auc"}),
        ("/artifacts/list", {"run_id": hidden["run"]}),
        ("/registered-models/get", {"name": hidden["model"]}),
    ]
    for path, query in asked:
        assert member.get(path, **query)
        refusal_of(stranger.http.get(f"/api/2.0/mlflow{path}", params=query), *ABSENT)
    assert member.http.get(hidden["file"]).content == b"secret"
    assert stranger.http.get(hidden["file"]).status_code == 404
    assert stranger.http.put(hidden["file"], content=b"mine").status_code == 404
    stranger.refused("/runs/create", *ABSENT, experiment_id=hidden["experiment"])
    stranger.refused("/runs/log-metric", *ABSENT, run_id=hidden["run"], key="auc", value=1, timestamp=1)

    wanted = {"experiment_ids": [hidden["experiment"]]}
    assert len(member.post("/runs/search", **wanted)["runs"]) == 1
    assert not stranger.post("/runs/search", **wanted).get("runs")
    for path, kind in (("/experiments/search", "experiments"), ("/registered-models/search", "registered_models")):
        post = path.startswith("/experiments")
        body = {"max_results": 1000}
        seen = [(who.post if post else who.get)(path, **body).get(kind, []) for who in (member, stranger)]
        named = [{one["name"] for one in found} for found in seen]
        assert {n for n in named[0] if hidden["workspace"] in n}
        assert not {n for n in named[1] if hidden["workspace"] in n}


def test_rest_finds_nothing_of_it(alice: modelog.Client, eve: modelog.Client, hidden: dict[str, Any]) -> None:
    for ask in (
        lambda client: client.runs.get(hidden["run"]),
        lambda client: client.models.get(hidden["model"]),
        lambda client: client.workspaces.get(hidden["workspace"]),
    ):
        assert ask(alice)
        with pytest.raises(NotFound):
            ask(eve)
    assert hidden["workspace"] not in [w.name for w in eve.workspaces.list()]
    assert hidden["model"] not in [m.name for m in eve.models.list()]


def test_events_of_it_are_not_told(
    alice: modelog.Client, eve: modelog.Client, hidden: dict[str, Any], platform: SmallPlatform
) -> None:
    open_ = alice.runs.experiment(f"open-{hidden['workspace']}")
    stream = f"registry.run-{hidden['run']}"
    with platform.client("root", "admin") as root:
        for who, sees in ((alice, True), (root, True), (eve, False)):
            assert bool(who.audit.events(stream=stream)) is sees
            streams = [event.stream for event in who.audit.events(newest_first=True, limit=100)]
            assert (stream in streams) is sees
            assert f"registry.experiment-{open_.id}" in streams
        position = root.audit.events(stream=stream)[0].position
        assert root.audit.proof(position)
    with pytest.raises(NotFound):
        eve.audit.proof(position)
    told = eve.audit.diff(str(position - 1), "")
    assert stream not in [entity.stream for entity in told.entities]
    # A page that begins with hidden events goes on behind them.
    behind = eve.audit.events(after=position - 1, limit=1)
    assert behind
    assert behind[0].stream != stream
