"""The Ray cluster that replicas run on: applications of Ray Serve are made, looked at, scaled and deleted.

Everything here waits for Ray, so it is called from threads that may.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import msgspec
import structlog
from modelog_common.domain.errors import NotAllowed, Unavailable

from modelog_serving.rayserve.replica import BEGIN, END, Replica
from modelog_serving.rayserve.spec import Spec, name_of, prefix_of

MODEL = "model"
CONTROLLER, SERVE = "SERVE_CONTROLLER_ACTOR", "serve"
LOOK_S = 0.1
REACH_S = 2.0
CONTROL_S = 20.0
# One that computes, and one on its way.
CALLS_OF_A_REPLICA = 2
LONGEST = 400
# Else Ray ends any process that does not reach its head for a minute.
FOREVER_S = 10**9
log = structlog.get_logger()


@dataclass(frozen=True)
class Application:
    """What Ray Serve tells of one: `state` is its own word, such as RUNNING; `ready` replicas may be asked.

    `refused` is what a replica said that could not load the model, `problem` that or whatever else keeps replicas away.
    """

    name: str
    state: str
    ready: int
    refused: str
    problem: str


class Cluster:
    """`address` is host:port of the head; replicas take `cpus` of Ray's each. Connected when first needed."""

    def __init__(self, address: str, installation: str, cpus: float) -> None:
        self.address, self._installation, self._cpus = address, installation, cpus
        self._turn = Lock()
        self._connected = self._closed = False
        # How many replicas an application was last told to have.
        self._wanted: dict[str, int] = {}

    def name_of(self, spec: Spec) -> str:
        return name_of(self._installation, spec)

    def deploy(self, spec: Spec, *, approved: bool) -> Any:
        """A handle to an application whose replicas have the model, and answer; one that is there already is taken.

        Raises NotAllowed when the model cannot be loaded, Unavailable when Ray is away or has no room for it.
        """
        name = self.name_of(spec)
        with self._turn:
            self._connect()
            found = self._every().get(name)
            if found is None or found.state in ("DELETING", "DEPLOY_FAILED"):
                self._begin(name, spec, approved=approved)
        try:
            self._wait(name, spec)
        except Exception:
            self._give_up(name)
            raise
        from ray import serve

        return serve.get_app_handle(name)

    def _begin(self, name: str, spec: Spec, *, approved: bool) -> None:
        from ray import serve

        made: Any = serve.deployment(
            Replica,
            name=MODEL,
            num_replicas=1,
            max_ongoing_requests=CALLS_OF_A_REPLICA,
            ray_actor_options={"num_cpus": self._cpus},
        )
        application = made.bind(msgspec.msgpack.encode(spec), approved)
        target = serve.RunTarget(application, name=name, route_prefix=None, external_scaler_enabled=True)
        serve.run_many([target], wait_for_applications_running=False)
        self._wanted[name] = 1
        log.info("application of Ray Serve", name=name, digest=spec.digest, flavor=spec.flavor)

    def _wait(self, name: str, spec: Spec) -> None:
        """Until a replica answers; what one of them says that cannot load the model is the answer for all."""
        over_s = time.monotonic() + spec.load_s
        problem = ""
        while time.monotonic() < over_s and not self._closed:
            found = self.applications().get(name)
            if found is not None:
                if found.ready and found.state == "RUNNING":
                    return
                problem = found.problem or problem
                if found.refused:
                    raise NotAllowed(found.refused)
                if found.state == "DEPLOY_FAILED":
                    raise Unavailable(f"Ray Serve could not start a replica: {problem}")
            time.sleep(LOOK_S)
        if self._closed:
            raise Unavailable("this server ends")
        raise Unavailable(f"no replica on Ray Serve was ready within {spec.load_s:g} s: {problem or 'it says no more'}")

    def _give_up(self, name: str) -> None:
        try:
            self.delete([name])
        except Unavailable as error:
            log.warning("an application of Ray Serve stays", name=name, why=str(error))

    def applications(self) -> dict[str, Application]:
        """Those of this installation, by name; raises Unavailable when Ray is away."""
        with self._turn:
            self._connect()
            return self._every()

    def scale(self, name: str, replicas: int) -> None:
        """Have so many replicas; nothing when it was told so before."""
        with self._turn:
            if self._wanted.get(name) == replicas:
                return
            self._connect()
            from ray.serve._private.common import DeploymentID

            self._ask("update_deployment_replicas", DeploymentID(MODEL, name), replicas)
            log.info("replicas on Ray Serve", name=name, were=self._wanted.get(name), wanted=replicas)
            self._wanted[name] = replicas

    def wanted(self, name: str) -> int:
        """How many replicas an application should have."""
        return self._wanted.get(name, 1)

    def delete(self, names: Iterable[str], unless: Callable[[str], bool] = lambda _: False) -> None:
        """Take applications away, whose replicas answer what they have, but those that are needed again meanwhile."""
        with self._turn:
            self._connect()
            gone = [name for name in names if not unless(name)]
            self._ask("delete_apps", gone)
            for name in gone:
                self._wanted.pop(name, None)
                log.info("application of Ray Serve deleted", name=name)

    def _every(self) -> dict[str, Application]:
        from ray import serve

        try:
            told = serve.status().applications
        except Exception as error:  # Ray raises plain RuntimeErrors, too
            raise self._lost(error) from error
        ours = prefix_of(self._installation)
        return {name: _application(name, of) for name, of in told.items() if name.startswith(ours)}

    def _ask(self, method: str, *arguments: object) -> None:
        import ray

        try:
            controller = ray.get_actor(CONTROLLER, namespace=SERVE)
            ray.get(getattr(controller, method).remote(*arguments), timeout=CONTROL_S)
        except Exception as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> Unavailable:
        return Unavailable(f"Ray Serve at {self.address} does not answer: {_short(str(error))}")

    def _connect(self) -> None:
        """Be a driver of the cluster; the caller has the turn."""
        if self._closed:
            raise Unavailable("this server ends")
        self._reach()
        if self._connected:
            return
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": str(FOREVER_S)}
        import ray
        from ray import serve

        for name in ("ray", "ray.serve"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            ray.init(address=self.address, namespace="modelog", log_to_driver=False, configure_logging=False)
            # Requests come through this process, so nothing else has to listen.
            serve.start(proxy_location="Disabled")
        except Exception as error:
            ray.shutdown()
            raise Unavailable(f"Ray at {self.address} cannot be used: {_short(str(error))}") from error
        self._connected = True
        log.info("connected to Ray", address=self.address)

    def _reach(self) -> None:
        """Raises Unavailable when nothing listens at the head's address: then Ray itself would wait for long."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), REACH_S).close()
        except OSError as error:
            self._disconnect()
            raise Unavailable(f"Ray at {self.address} does not answer: {error}") from error

    def _disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self._wanted.clear()
            log.warning("Ray is away", address=self.address)
            import ray

            ray.shutdown()

    async def end(self) -> None:
        """Make nothing more ready."""
        self._closed = True

    async def close(self) -> None:
        """Leave the cluster; applications stay, and are found again."""
        self._closed = True
        await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        with self._turn:
            if self._connected:
                import ray

                self._connected = False
                ray.shutdown()


def refusal(problem: str) -> str:
    """What a replica said that could not load its model, out of Ray's words; "" when there is nothing of it."""
    found = re.search(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", problem, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _application(name: str, told: Any) -> Application:
    """A deployment's words say more than its application's."""
    of = told.deployments.get(MODEL)
    if of is None:
        return Application(name, _word(told.status), 0, "", _short(told.message))
    ready = {_word(state): count for state, count in of.replica_states.items()}.get("RUNNING", 0)
    refused = refusal(of.message)
    healthy = _word(of.status) == "HEALTHY"
    problem = "" if healthy else refused or _short(of.message) or _short(told.message)
    return Application(name, _word(told.status), ready, refused, problem)


def _word(state: Any) -> str:
    return str(getattr(state, "value", state))


def _short(text: str) -> str:
    """The last line of what may be a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:LONGEST] if lines else ""
