"""What people do with a platform: steps that may be taken in any order, and that a rule may refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import modelog
import numpy as np
import written_learning
from modelog.governance import CardParts, RetirementRule, SlaTargets
from modelog.inference import predict
from modelog.stream import StreamProducer
from modelog.types import AlertChannel, Artifact, FreezeWindow, PromotionRules, StageRules
from modelog_monitoring.retraining.events import CanaryDecided, CanaryVerdict, RetrainingRefused
from modelog_proto.serving.v1.deployment_pb2 import Prediction
from toy_model import FEATURES, PROJECT, SIGNATURE, deployed, fitted, toy_rows
from written_canary import AT, begun, looked, write

NAMES = ("flights", "trains")
STAGES = ("development", "staging", "production", "archived")
START = datetime(2013, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 200
PATIENCE_S = 150


class Receiver(BaseHTTPRequestHandler):
    """Takes every alert."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Life:
    """Two people, what they have made so far, and an hour of traffic after the other."""

    def __init__(self, alice: modelog.Client, bob: modelog.Client, folder: Path, webhook: str) -> None:
        self.alice, self.bob, self._folder, self._webhook = alice, bob, folder, webhook
        self._hooks: list[str] = []
        self._hour, self._runs, self._jobs, self._users = 0, [""], [""], 0
        self._file = fitted(folder)
        self._random = np.random.default_rng(1)
        self._streams: dict[str, StreamProducer] = {}
        self.predictions: list[Prediction] = []

    def story(self) -> Iterator[None]:
        """A beginning in which something of everything happens; each step is over when it is yielded."""
        deployed(self.alice, self.bob, "flights", self._folder)
        self.alice.trials.wait("flights", "1.0.0", timeout_s=2 * PATIENCE_S)
        yield
        data = self.alice.datasets.version("flights", 1)
        self.alice.monitors.create(
            "flights",
            "flights",
            [data.ref],
            window="hour",
            label_column="label",
            reference_auc=0.99,
            reference_log_loss=0.1,
            channels=[AlertChannel(kind="CHANNEL_KIND_WEBHOOK", url=self._webhook)],
        )
        yield
        job = self.alice.jobs.spec("flights", "job:main", source=self._project(), parameters={"rounds": 3})
        self.alice.monitors.create_policy("flights", "flights", job, "flights", on_quality=False, evaluation_rows=100)
        yield
        for verb, a, b in (
            ("run", 0, 0), ("metric", 1, 1), ("curve", 1, 3), ("note", 1, 0), ("logged", 0, 1),
            ("job", 0, 0), ("traffic", 0, 0), ("version", 0, 0), ("traffic", 0, 3),
            ("end", 1, 0), ("alias", 0, 1), ("tag", 0, 1), ("tagged", 0, 1),
            ("policy", 0, 0), ("ask", 0, 1), ("say", 0, 0), ("write", 0, 1), ("sign", 0, 1),
            ("promise", 0, 1), ("retire", 0, 0), ("check", 0, 0),
            ("hook", 0, 0), ("hook", 1, 1), ("space", 0, 0), ("part", 0, 1), ("move", 0, 0), ("share", 1, 0),
        ):  # fmt: skip
            self.take(verb, a, b)
            yield
        self.alice.jobs.wait(self._jobs[1], timeout_s=PATIENCE_S)
        yield
        self._ab_test()
        self._release()
        self._learning()
        yield
        self._level()
        yield
        self._canary()
        yield

    @property
    def steps(self) -> dict[str, Callable[[int, int], object]]:
        """What can be done, with two numbers that say to what and how."""
        alice, bob = self.alice, self.bob
        return {
            "model": lambda a, b: alice.models.create(_name(a), tags={"b": str(b)}),
            "version": lambda a, b: self._version(a),
            "review": lambda a, b: (bob.models.approve if b else bob.models.reject)(_name(a), _version(b), "looked"),
            "promote": lambda a, b: alice.models.promote(_name(a), _version(a // 2), STAGES[b % 4], "a step"),
            "alias": lambda a, b: alice.models.set_alias(_name(a), "champion", _version(b)),
            "unalias": lambda a, b: alice.models.delete_alias(_name(a), "champion"),
            "tag": lambda a, b: alice.models.tag_version(_name(a), _version(0), {"step": str(b)}),
            "tagged": lambda a, b: alice.models.tag(_name(a), {"step": str(b)}, ["b"]),
            "describe": lambda a, b: bob.models.update(_name(a), description=f"step {b}", type="ensemble"),
            "policy": lambda a, b: alice.models.set_policy(_rules(a)),
            "ask": lambda a, b: alice.changes.open(
                _name(a), _version(b), "staging", "a step", risk="low", risk_reasons=["a step"]
            ),
            "say": lambda a, b: bob.changes.comment(_name(a), b + 1, f"step {b}"),
            "look": lambda a, b: bob.changes.approve(_name(a), b + 1, f"step {b}"),
            "apply": lambda a, b: alice.changes.apply(_name(a), b + 1),
            "write": lambda a, b: bob.cards.edit(_name(a), _version(b), CardParts(limitations=[f"step {b}"])),
            "sign": lambda a, b: self._signature(_name(a), _version(b)),
            "promise": lambda a, b: alice.slas.set(_name(a), SlaTargets(latency_p99_ms=float(b))),
            "retire": lambda a, b: alice.retirements.set_policy([_retirement(b)]),
            "check": lambda a, b: alice.retirements.check(),
            "object": lambda a, b: bob.retirements.object(_name(a), _version(b), "a step"),
            "hook": lambda a, b: self._hook(a, b),
            "space": lambda a, b: alice.workspaces.create(f"space-{a % 2}", f"step {b}"),
            "part": lambda a, b: alice.workspaces.create_project(f"space-{a % 2}", f"part-{b}"),
            "move": lambda a, b: alice.models.move(_name(a), f"space-{b % 2}"),
            "share": lambda a, b: alice.links.create(run_id=_of(self._runs, a), days=b + 1),
            "forget": lambda a, b: alice.models.delete_version(_name(a), _version(b), "a step"),
            "forget all": lambda a, b: alice.models.delete(_name(a), "a step"),
            "experiment": lambda a, b: alice.runs.experiment(_name(a)),
            "file": lambda a, b: self._file_of(a, b),
            "run": lambda a, b: self._run(a),
            "metric": lambda a, b: alice.runs.log(_of(self._runs, a), metrics={"auc": b / 7}, step=b),
            "curve": lambda a, b: alice.runs.log_metrics(
                _of(self._runs, a), {"loss": [1 / (n + 1) for n in range(b + 1)]}
            ),
            "rename": lambda a, b: alice.runs.update_experiment(self._experiment(a), name=f"{_name(a)} {b}"),
            "hide": lambda a, b: (alice.runs.delete if b % 2 else alice.runs.restore)(_of(self._runs, a)),
            "note": lambda a, b: alice.runs.tag(_of(self._runs, a), {"b": str(b)}),
            "logged": lambda a, b: self._logged_model(a, b),
            "end": lambda a, b: alice.runs.end(_of(self._runs, a), ("completed", "failed", "cancelled")[b % 3]),
            "dataset": lambda a, b: alice.datasets.register(_name(a), toy_rows(b, 50), label=self._label()),
            "job": lambda a, b: self._job(a),
            "cancel": lambda a, b: alice.jobs.cancel(_of(self._jobs, a), "a step"),
            "deploy": lambda a, b: alice.deployments.create(_name(a), _name(a), _version(b), "dev"),
            "split": lambda a, b: alice.deployments.set_traffic(_name(a), {"1.0.0": 100 - 10 * b, "1.1.0": 10 * b}),
            "stop": lambda a, b: alice.deployments.stop("trains", "a step"),
            "traffic": lambda a, b: self._traffic("flights", shift=float(b)),
            "user": lambda a, b: self._user(),
            "token": lambda a, b: alice.users.token(f"user{a}"),
        }

    def take(self, verb: str, a: int, b: int) -> bool:
        """Take a step; whether no rule refused it."""
        try:
            self.steps[verb](a, b)
        except (modelog.NotAllowed, modelog.NotFound, modelog.Invalid, modelog.AlreadyExists, modelog.Conflict):
            return False
        return True

    def _version(self, a: int) -> None:
        artifact: Artifact = self.alice.artifacts.upload(self._file)
        self.alice.models.register(_name(a), artifact, flavor="xgboost", signature=SIGNATURE, metrics={"auc": a / 9})

    def _hook(self, a: int, b: int) -> None:
        """A webhook that nobody answers, or a change of the first."""
        if b % 2 == 0 or not self._hooks:
            made = self.alice.webhooks.create(_name(a), "https://webhook.invalid/", ["run.finished"], secret="hush")
            self._hooks.append(made.id)
        else:
            self.alice.webhooks.update(self._hooks[0], description=f"step {a}", active=a % 2 == 0)

    def _run(self, a: int) -> None:
        self.alice.runs.experiment(_name(a))
        self._runs.append(self.alice.runs.start(_name(a), parameters={"depth": a, "rate": 0.1}).id)

    def _experiment(self, a: int) -> str:
        return self.alice.runs.experiment(_name(a)).id

    def _file_of(self, a: int, b: int) -> None:
        """A file of an experiment that belongs to no run, or one less."""
        file, experiment_id = self.alice.artifacts.upload_bytes(f"step {b}".encode(), f"{a}.txt"), self._experiment(a)
        if b % 3:
            self.alice.runs.add_experiment_artifacts(experiment_id, [file])
        else:
            self.alice.runs.remove_experiment_artifacts(experiment_id, [f"{a}.txt"])

    def _logged_model(self, a: int, b: int) -> None:
        """The SDK has no logged models: they are what MLflow's clients make."""
        made = {"experiment_id": self._experiment(a), "name": _name(a), "tags": {"b": str(b)}}
        transport = self.alice.runs._transport
        model = transport.post("/api/v1/logged-models", dict, made)
        transport.post(f"/api/v1/logged-models/{model['id']}/finalise", dict, {"status": "LOGGED_MODEL_STATUS_READY"})

    def _signature(self, name: str, version: str) -> None:
        """What a signer uploads: the platform has no key, and keeps whatever bytes they are."""
        kept = self.alice.artifacts.upload_bytes(b"a signature", "signature.json")
        body = {"key": "0" * 64, "signature": kept, "files": [kept]}
        self.alice.signatures._transport.post(f"/api/v1/models/{name}/versions/{version}/signatures", dict, body)

    def _job(self, a: int) -> None:
        data = self.alice.datasets.version("flights", 1)
        spec = self.alice.jobs.spec(
            _name(a), "job:main", source=self._project(), parameters={"rounds": 2}, datasets=[data.ref]
        )
        self._jobs.append(self.alice.jobs.submit(spec).id)

    def _user(self) -> None:
        self._users += 1
        self.alice.users.create(f"user{self._users}", ["viewer", "developer"][: 1 + self._users % 2])

    def _project(self) -> Path:
        folder = self._folder / "project"
        folder.mkdir(exist_ok=True)
        (folder / "job.py").write_text(PROJECT)
        return folder

    def _label(self) -> str:
        return (START + self._hour * HOUR).isoformat()[:13]

    def _traffic(self, deployment: str, shift: float) -> None:
        """An hour of requests, whose outcomes are known ten minutes later; waits until its window is evaluated."""
        start, self._hour = START + self._hour * HOUR, self._hour + 1
        rows = toy_rows(self._hour, ROWS)
        features = rows.select(FEATURES).to_numpy() + np.float32(shift)
        times = np.array([_us(start + n * HOUR / ROWS) for n in range(ROWS)])
        ids = [f"{self._hour}-{n}" for n in range(ROWS)]
        stream = self._streams.setdefault(deployment, StreamProducer(self.alice, deployment))
        until = _us(start + HOUR)
        stream.send_requests(ids, times, features, FEATURES, watermark_us=until)
        stream.send_outcomes(ids, rows["label"].to_numpy(), times + 600_000_000, watermark_us=until + 600_000_000)
        stream.flush()
        self.predictions.append(Prediction(deployment=deployment, prediction_id=ids[0]))
        self._settle(deployment, start + HOUR)

    def _ab_test(self) -> None:
        """Two versions of one model, of which neither is better; waits until it was looked at."""
        self.alice.deployments.create("halves", "flights", "1.0.0", "dev")
        self.alice.deployments.set_traffic("halves", {"1.0.0": 50, "1.1.0": 50})
        self.alice.ab_tests.create("newer", "halves", "1.0.0", "1.1.0", min_effect=0.1, baseline=0.3)
        self.alice.ab_tests.start("newer")
        rows = toy_rows(0, ROWS)
        times = np.array([_us(START + n * HOUR / ROWS) for n in range(ROWS)])
        ids = [f"halves-{n}" for n in range(ROWS)]
        stream = self._streams.setdefault("halves", StreamProducer(self.alice, "halves"))
        stream.send_requests(ids, times, rows.select(FEATURES).to_numpy(), FEATURES, watermark_us=_us(START + HOUR))
        stream.send_outcomes(ids, rows["label"].to_numpy(), times, watermark_us=_us(START + HOUR))
        stream.flush()
        deadline = time.monotonic() + PATIENCE_S
        while self.alice.ab_tests.get("newer").latest is None:
            assert time.monotonic() < deadline, f"the A/B test was not looked at in {PATIENCE_S} s"
            time.sleep(0.05)

    def _canary(self) -> None:
        """A challenger whose canary was looked at twice and refused, as monitoring writes it: no weeks are waited."""
        last = looked("tried", 2, CanaryVerdict.NOT_PROVED)
        end = [CanaryDecided("tried", False, "no gain", AT), RetrainingRefused("tried", "no gain", AT)]
        write(self._folder, "tried", [*begun("tried", "flights", "flights"), looked("tried", 1), last, *end])
        deadline = time.monotonic() + PATIENCE_S
        while not any(found.id == "tried" for found in self.alice.monitors.retrainings()):
            assert time.monotonic() < deadline, f"monitoring did not read the retraining in {PATIENCE_S} s"
            time.sleep(0.05)

    def _release(self) -> None:
        """One that was undone, and one that waits for more requests than there are."""
        self.alice.deployments.create("released", "flights", "1.0.0", "dev")
        for steps in ([20, 100], [30, 100]):
            self.alice.releases.start("released", "1.1.0", "rolling", steps=steps, step_requests=1_000_000)
            if steps[0] == 20:
                self.alice.deployments.roll_back("released", reason="a defect")

    def _learning(self) -> None:
        written_learning.write(self._folder, "halves", "flights")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.alice.learning.get("halves")
            except modelog.errors.NotFound:
                assert time.monotonic() < deadline, f"serving did not read what was learned in {PATIENCE_S} s"
                time.sleep(0.05)
            else:
                return

    def _level(self) -> None:
        """Requests that are waited for, until a window of them was held against the targets of the model."""
        record = dict.fromkeys(FEATURES, 0.5)
        deadline = time.monotonic() + PATIENCE_S
        while not self.alice.levels.list("flights"):
            predict(self.alice, "halves", [record])
            assert time.monotonic() < deadline, f"no window was held against the targets in {PATIENCE_S} s"
            time.sleep(0.05)

    def _settle(self, monitor: str, moment: datetime) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self.alice.monitors.get(monitor)
            if found.settled_watermark is not None and found.settled_watermark >= moment:
                return
            assert time.monotonic() < deadline, f"not settled in {PATIENCE_S} s: {json.dumps(found.to_dict())}"
            time.sleep(0.05)


def _name(a: int) -> str:
    return NAMES[a % 2]


def _rules(a: int) -> PromotionRules:
    """Two or more eyes more, and a time in which nothing moved that is long over."""
    freeze = FreezeWindow(starts=START, ends=START + HOUR, reason="long ago")
    return PromotionRules(stages=[StageRules(stage="STAGE_PRODUCTION", reviewers=1 + a % 2)], freezes=[freeze])


def _retirement(b: int) -> RetirementRule:
    """What nobody uses in development is announced at once, and goes a day or more later: after the story."""
    return RetirementRule(
        stage="STAGE_DEVELOPMENT", condition="RETIREMENT_CONDITION_UNUSED", after_days=0, announce_days=b + 1
    )


def _version(b: int) -> str:
    return f"1.{b % 3}.0"


def _of(known: list[str], a: int) -> str:
    """One of them; the first stands for something that does not exist."""
    return known[a % len(known)] or "nothing"


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
