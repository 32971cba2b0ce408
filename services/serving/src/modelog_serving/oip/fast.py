"""The short way of ModelInfer: calls that came in one turn of the loop are answered together, without a task for each.

It takes what is usual: a known caller asks a deployment whose model is loaded for traffic's answer to one FP32 tensor.
All else, and everything that is wrong or goes wrong, is left to the servicer, so its answers are the servicer's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7_texts
from modelog_common.edge.direct import DirectCall
from modelog_common.edge.status import Metadata
from modelog_common.security.tokens import TokenVerifier

from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.models import Models
from modelog_serving.oip.access import bearer, identify
from modelog_serving.oip.fast_batch import BATCH_ROWS, Batch, Parts, Target, Waiting
from modelog_serving.oip.fast_codec import Asked, Reader, Shape, Writer
from modelog_serving.routing.routes import Route, Routes

# Who sends these wants a span of the call's own.
OWN_WAY = frozenset(("traceparent", "tracestate", "baggage"))
CORRELATION, LONGEST_CORRELATION = "x-correlation-id", 100
DEADLINE_S = 60.0
# How many targets are remembered: each has what its answers begin with.
TARGETS = 1000


class Caller(NamedTuple):
    """Who asks, and by which id other calls and this one belong together; "" for none."""

    user: str
    tenant: str
    correlation_id: str


class FastInfer:
    """Takes calls from the edge, in the event loop's thread; what is looked up in a turn holds for that turn."""

    def __init__(
        self, routes: Routes, models: Models, batcher: Batcher, verifier: TokenVerifier, parts: Parts,
        plain: Callable[[Route], bool],
    ) -> None:  # fmt: skip
        """`plain` says whether a deployment's requests are answered and logged, and nothing else comes of them."""
        self._routes, self._models, self._batcher, self._verifier = routes, models, batcher, verifier
        self._parts, self._plain = parts, plain
        self._reader = Reader()
        self._targets: dict[tuple[str, str, str], Target] = {}
        # Of this turn.
        self._callers: dict[Metadata, Caller | None] = {}
        self._asked: dict[tuple[str, Shape], Route | None] = {}
        self._batches: dict[tuple[str, str, str, str], Batch] = {}
        self._ids: list[str] = []
        self._end: asyncio.Handle | None = None
        self._calls = self._calls_before = 1

    def take(self, call: DirectCall) -> bool:
        """Take a call in, to be answered with all others of this turn; False leaves it to the servicer."""
        head = call.head
        if self._end is None:
            self._end = asyncio.get_running_loop().call_soon(self._answer)
        if head.metadata in self._callers:
            caller = self._callers[head.metadata]
        else:
            caller = self._callers[head.metadata] = self._caller(head.metadata)
        asked = self._reader.read(call.request)
        if caller is None or asked is None:
            return False
        found = (caller.tenant, asked.shape)
        route = self._asked[found] if found in self._asked else self._route(caller.tenant, asked.shape)
        self._asked[found] = route
        if route is None:
            return False
        return self._put(call, caller, route, asked)

    def _put(self, call: DirectCall, caller: Caller, route: Route, asked: Asked) -> bool:
        if not self._ids:
            # As many as the turn before needed: making them together is cheaper.
            self._ids = uuid7_texts(self._calls_before)
        prediction_id = self._ids.pop()
        key = asked.key or asked.id or prediction_id
        variant = route.drawn(key)
        place = (caller.user, route.tenant, asked.shape.deployment, variant.version)
        batch = self._batches.get(place)
        if batch is None or batch.rows + asked.shape.rows > BATCH_ROWS:
            target = self._target(route, variant.version)
            if target is None:
                return False
            if batch is not None:
                self._submit(batch)
            batch = self._batches[place] = Batch(target, caller.user, self._parts)
        timeout_s = call.head.timeout_s
        end = batch.began + (DEADLINE_S if timeout_s is None else timeout_s)
        self._calls += 1
        batch.add(Waiting(call, asked, prediction_id, key, end), caller.correlation_id)
        return True

    def _answer(self) -> None:
        """The turn is over: what it brought is computed."""
        batches = list(self._batches.values())
        self._end = None
        self._calls_before, self._calls = max(1, self._calls), 0
        self._ids.clear()
        self._callers.clear()
        self._asked.clear()
        self._batches.clear()
        for batch in batches:
            self._submit(batch)
        self._batcher.turn()

    def _submit(self, batch: Batch) -> None:
        try:
            batcher_of(batch.model, self._batcher).submit(batch)
        except ModelogError as error:
            batch.refuse(error)

    def _caller(self, metadata: Metadata) -> Caller | None:
        token = correlation_id = ""
        for name, value in metadata:
            if name in OWN_WAY:
                return None
            if name == "authorization" and isinstance(value, str):
                token = value
            if name == CORRELATION and isinstance(value, str):
                correlation_id = value[:LONGEST_CORRELATION]
        try:
            identity = identify(self._verifier, bearer(token))
        except ModelogError:
            return None
        return Caller(identity.user, identity.tenant, correlation_id)

    def _route(self, tenant: str, shape: Shape) -> Route | None:
        """The deployment, if it takes just such a tensor."""
        try:
            route = self._routes.find(tenant, shape.deployment)
        except ModelogError:
            return None
        inputs = route.deployment.signature.inputs
        fits = (
            len(inputs) == 1
            and inputs[0].datatype == "FP32"
            and inputs[0].name == shape.tensor
            and inputs[0].width == shape.width
        )
        return route if fits and self._plain(route) else None

    def _target(self, route: Route, version: str) -> Target | None:
        ref = route.ref(route.variants[version])
        model = self._models.loaded(ref)
        if model is None:
            return None
        place = (route.tenant, route.deployment.name, version)
        known = self._targets.get(place)
        if known is not None and known.route is route and known.model is model:
            return known
        writer = Writer(route.deployment.name, version, ref.digest, ref.signature)
        if len(self._targets) >= TARGETS:
            self._targets.clear()
        target = self._targets[place] = Target(route, version, ref.digest, model, writer)
        return target
