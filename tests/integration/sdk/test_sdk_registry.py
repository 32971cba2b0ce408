"""The SDK through the gateway to the registry: what a user does from a notebook."""

from __future__ import annotations

import math
from pathlib import Path

import modelog
import polars as pl
import pytest
from modelog.api.models import where
from modelog.types import Artifact, DatasetRef, Expectation, ModelEnvironment, RunDataset, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=[TensorSpec(name="input", datatype="FP32", shape=[-1, 2], columns=["a", "b"])],
    outputs=[TensorSpec(name="output", datatype="FP32", shape=[-1])],
)


def frame(n: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"a": list(range(n)), "b": [0.5] * n})


def with_version(client: modelog.Client, model: str, content: bytes = b"model") -> str:
    client.models.create(model)
    artifact = client.artifacts.upload_bytes(content, "model.ubj")
    return client.models.register(model, artifact, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7}).version


def test_a_version_goes_to_production_only_with_someone_elses_approval(
    alice: modelog.Client, bob: modelog.Client, tmp_path: Path
) -> None:
    version = with_version(alice, "four-eyes", b"the model")
    assert version == "1.0.0"
    with pytest.raises(modelog.NotAllowed, match="alice"):
        alice.models.approve("four-eyes", version, "mine is good")
    alice.models.promote("four-eyes", version, "staging")
    with pytest.raises(modelog.NotAllowed, match="approval"):
        alice.models.promote("four-eyes", version, "production")
    before = alice.models.get("four-eyes").position
    bob.models.approve("four-eyes", version, "checked", {"auc": 0.7})
    promoted = alice.models.promote("four-eyes", version, "production", "go")
    assert promoted.stage == "STAGE_PRODUCTION"
    assert [r.reviewer for r in promoted.reviews] == ["bob"]
    then = alice.models.get("four-eyes", as_of=str(before))
    assert then.versions[0].stage == "STAGE_STAGING"
    assert not then.versions[0].reviews
    assert alice.models.download("four-eyes", version, tmp_path).read_bytes() == b"the model"


def test_rejection_is_kept_with_its_reason(alice: modelog.Client, bob: modelog.Client) -> None:
    version = with_version(alice, "rejected")
    found = bob.models.reject("rejected", version, "leaks the label")
    assert (found.reviews[0].decision, found.reviews[0].comment) == ("REVIEW_DECISION_REJECTED", "leaks the label")


def test_datasets_are_named_by_content(alice: modelog.Client, tmp_path: Path) -> None:
    first = alice.datasets.register(
        "numbers", frame(), label="one", expectations=[Expectation(kind="not_null", column="a")]
    )
    again = alice.datasets.register("numbers", frame(), label="one")
    second = alice.datasets.register("numbers", frame(4))
    assert (first.version, again.version, second.version) == (1, 1, 2)
    assert [(c.name, c.type) for c in first.schema] == [("a", "Int64"), ("b", "Float64")]
    assert [v.rows for v in alice.datasets.versions("numbers")] == [3, 4]
    assert "numbers" in [d.name for d in alice.datasets.list()]
    file = alice.datasets.download("numbers", 2, tmp_path)
    assert pl.read_parquet(file).equals(frame(4))
    assert alice.datasets.register("copies", file).digest == second.digest
    assert second.ref == DatasetRef(dataset="numbers", version=2)


def test_a_run_keeps_what_it_is_told(alice: modelog.Client, tmp_path: Path) -> None:
    data = alice.datasets.register("run-data", frame())
    alice.runs.experiment("runs", "what runs keep")
    used = RunDataset(dataset=data.dataset, version=data.version, digest=data.digest)
    run = alice.runs.start("runs", "first", parameters={"depth": 6, "name": "x"}, datasets=[used])
    note = tmp_path / "note.txt"
    note.write_text("hello")
    alice.runs.log(run.id, metrics={"loss": 0.5, "odd": math.nan}, step=3, files=[note], tags={"k": "v"})
    alice.runs.log(run.id, metrics={"loss": math.inf}, step=4)
    alice.runs.log(run.id, metrics={"loss": 9.0}, step=2)  # late: the last value is that of the highest step
    done = alice.runs.end(run.id)
    assert done.status == "RUN_STATUS_COMPLETED"
    assert done.parameters == {"depth": 6, "name": "x"}
    assert done.metrics["loss"] == math.inf
    assert math.isnan(done.metrics["odd"])
    assert [a.path for a in done.artifacts] == ["note.txt"]
    assert alice.runs.get(run.id) == done or math.isnan(alice.runs.get(run.id).metrics["odd"])
    assert [r.id for r in alice.runs.list("runs")] == [run.id]
    assert "runs" in [e.name for e in alice.runs.experiments()]
    with pytest.raises(modelog.NotAllowed, match=run.id):
        alice.runs.log(run.id, metrics={"loss": 1.0})


def test_errors_name_the_field_and_append_nothing(alice: modelog.Client) -> None:
    head = alice.audit.head()
    with pytest.raises(modelog.Invalid) as caught:
        alice.models.create("no/slashes allowed")
    assert caught.value.fields[0]["field"] == "name"
    artifact = Artifact(path="model.ubj", digest="0" * 64, size_bytes=1)
    with pytest.raises((modelog.Invalid, modelog.NotFound)):
        alice.models.register("nothing", artifact, flavor="xgboost", signature=SIGNATURE)
    with pytest.raises(modelog.NotFound, match="nothing"):
        alice.models.get("nothing")
    assert alice.audit.head() == head


def test_a_file_that_arrives_altered_is_refused(alice: modelog.Client) -> None:
    with pytest.raises(modelog.Invalid):
        alice._transport.put_bytes("/api/v1/artifacts", b"content", "0" * 64)
    with pytest.raises(modelog.NotFound):
        alice.artifacts.download("1" * 64, Path("nowhere"))


def test_roles_bound_what_users_may_do(platform: object, alice: modelog.Client, admin: modelog.Client) -> None:
    admin.users.create("carol", ["viewer"])
    token = admin.users.token("carol").token
    with modelog.Client(alice.url, token) as carol:
        assert carol.me().user == "carol"
        with pytest.raises(modelog.Forbidden, match="carol"):
            carol.models.create("not-mine")
    with modelog.Client(alice.url, "forged") as nobody, pytest.raises(modelog.Unauthenticated):
        nobody.me()
    assert {"admin", "carol"} <= {u.name for u in admin.users.list()}
    with pytest.raises(modelog.Invalid, match="roles"):
        admin.users.create("dave", ["king"])
    with pytest.raises(modelog.AlreadyExists, match="carol"):
        admin.users.create("carol", ["admin"])
    with pytest.raises(modelog.NotFound, match="nobody"):
        admin.users.token("nobody")


def test_tenants_do_not_see_each_other(platform: object, alice: modelog.Client) -> None:
    with_version(alice, "ours")
    with platform.client("eve", "admin", tenant="other") as eve:  # type: ignore[attr-defined]
        with pytest.raises(modelog.NotFound):
            eve.models.get("ours")
        assert eve.models.list() == []


def test_the_log_tells_who_did_what_and_can_be_proved(alice: modelog.Client) -> None:
    alice.models.create("audited")
    events = alice.audit.events(stream="registry.model", type="registry.ModelRegistered", newest_first=True, limit=1)
    assert (events[0].actor, (events[0].payload or {})["name"]) == ("alice", "audited")
    report = alice.audit.verify()
    assert report.intact, report.findings
    assert report.events == alice.audit.head()
    assert alice.audit.checkpoint().size <= alice.audit.head()
    assert "checkpoint" in alice.audit.proof(events[0].position)


def test_events_are_followed_as_they_happen(alice: modelog.Client) -> None:
    head = alice.audit.head()
    alice.models.create("followed")
    followed = alice.audit.follow(head)
    assert [next(followed).type for _ in range(2)] == ["registry.NameTaken", "registry.ModelRegistered"]


def test_services_and_rebuild(alice: modelog.Client, admin: modelog.Client) -> None:
    with_version(alice, "rebuilt")
    before = alice.models.list()
    with pytest.raises(modelog.Forbidden):
        alice.rebuild()
    done = admin.rebuild(["registry", "gateway"])
    assert {s.service for s in done} == {"registry", "gateway"}
    assert alice.models.list() == before
    with pytest.raises(modelog.Invalid, match=r"services\[0\]"):
        admin.rebuild(["nothing"])
    health = {s.service: s.health for s in admin.services()}
    assert health["registry"] == "serving"


def test_a_platform_that_is_away_says_how_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog.transport.RETRIES", 1)
    with (
        modelog.Client("http://127.0.0.1:9", "token") as client,
        pytest.raises(modelog.Unavailable, match="modelog status"),
    ):
        client.me()


def test_models_are_kept_up(alice: modelog.Client, bob: modelog.Client, tmp_path: Path) -> None:
    name = "kept up: Öl"
    with pytest.raises(modelog.Invalid, match="braces"):
        alice.models.create(name)
    name = "kept up 100% Öl?"
    alice.models.create(name, "first", {"team": "air"}, type="supervised")
    files = [alice.artifacts.upload_bytes(path.encode(), path) for path in ("model.ubj", "code/train.py")]
    version = alice.models.register(
        name, None, flavor="xgboost", signature=SIGNATURE, artifacts=files, hyperparameters={"depth": 6},
        flavors={"xgboost": {"xgb_version": "3.2"}}, environment=ModelEnvironment(python="3.11"), source="runs:/a/b",
    )  # fmt: skip
    assert version.artifact == files[0]
    assert [p.read_text() for p in alice.models.download_files(name, "1.0.0", tmp_path)] == [
        "model.ubj",
        "code/train.py",
    ]
    assert (version.number, version.flavors["xgboost"], version.hyperparameters) == (
        1,
        {"xgb_version": "3.2"},
        {"depth": 6},
    )
    assert alice.models.update(name, description="second").description == "second"
    assert alice.models.tag(name, {"risk": "low"}, remove=["team"]).tags == {"risk": "low"}
    assert alice.models.update_version(name, "1.0.0", description="of many files").description == "of many files"
    assert alice.models.tag_version(name, "1.0.0", {"checked": "yes"}).tags == {"checked": "yes"}
    pointed = bob.models.set_alias(name, "champion", "1.0.0", expected_version="").position
    with pytest.raises(modelog.Conflict, match="bob moved it there at"):
        alice.models.set_alias(name, "champion", "1.0.0", expected_version="")
    assert alice.models.by_alias(name, "champion").aliases == ["champion"]

    found = [where("tag.checked", "=", "yes"), where("model", "like", "kept%"), where("number", "<", 2)]
    assert [v.version for v in alice.models.search_versions(found)] == ["1.0.0"]
    assert [m.name for m in alice.models.search([where("tag.risk", "=", "low")])] == [name]
    assert bob.models.delete_alias(name, "champion").aliases == []
    renamed = alice.models.rename(name, f"{name} now")
    assert (renamed.id, [v.model for v in renamed.versions]) == (
        alice.models.get(name, as_of=str(pointed)).id,
        [f"{name} now"],
    )
    old, name = name, renamed.name
    with pytest.raises(modelog.NotFound, match="there is no model 'kept up"):
        alice.models.get(old)
    gone = alice.models.delete_version(name, "1.0.0")
    last = alice.models.delete(name, "no longer")
    assert gone < last
    assert [m.name for m in alice.models.search([where("alias", "=", "champion")], as_of=str(pointed))] == [old]
    facts = [(f.by, f.kind.removeprefix("FACT_KIND_")) for f in alice.models.history(name, at_least=last)]
    assert facts[0] == ("alice", "MODEL_REGISTERED")
    last_words = ["MODEL_RENAMED", "VERSION_DELETED", "MODEL_DELETED"]
    assert facts[-4:] == [("bob", "ALIAS_DELETED"), *(("alice", word) for word in last_words)]
