"""What came in one turn of the loop is answered together, whichever edge it came by, without a task for each call.

What is unusual, wrong, or fails is left to the handlers of the edges, so its answers are the handlers' own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7_texts
from modelog_common.security.tokens import TokenVerifier

from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.models import Models
from modelog_serving.engine.runtime import Model
from modelog_serving.oip.access import bearer, identify
from modelog_serving.oip.fast_batch import BATCH_ROWS, Batch, Call, Edge, Parts, Target, Waiting
from modelog_serving.oip.fast_codec import Asked, Shape
from modelog_serving.oip.tensors import dtype_of_rows
from modelog_serving.predlog.answers import Answerer
from modelog_serving.routing.routes import Route, Routes

# Who sends these wants a span of the call's own.
OWN_WAY: Final = frozenset(("traceparent", "tracestate", "baggage"))
CORRELATION: Final = "x-correlation-id"
LONGEST_CORRELATION: Final = 100
DEADLINE_S: Final = 60.0
# How many targets are remembered: each has what its answers begin with.
TARGETS: Final = 1000


class Caller(NamedTuple):
    """Who asks, and by which id other calls and this one belong together; "" for none."""

    user: str
    tenant: str
    correlation_id: str


class _Same:
    """Where the last call of this turn went, to a version that has all traffic, and the next goes that asks alike."""

    def __init__(self, edge: Edge, caller: Caller, shape: Shape, batch: Batch) -> None:
        self.edge, self.caller, self.shape, self.batch = edge, caller, shape, batch

    def is_for(self, edge: Edge, caller: Caller, shape: Shape) -> bool:
        return shape is self.shape and caller is self.caller and edge is self.edge


class Turn:
    """Takes calls from the edges, in the event loop's thread; what is looked up in a turn holds for that turn."""

    def __init__(
        self, routes: Routes, models: Models, batcher: Batcher, verifier: TokenVerifier, parts: Parts,
        plain: Callable[[Route], bool],
    ) -> None:  # fmt: skip
        """`plain` says whether a deployment's requests are answered and logged, and nothing else comes of them."""
        self._routes, self._models, self._batcher, self._verifier = routes, models, batcher, verifier
        self._parts, self._plain = parts, plain
        self._targets: dict[tuple[str, str, str, str], Target] = {}
        # Of this turn. By what an edge knows a caller is its own affair.
        self.callers: dict[Hashable, Caller | None] = {}
        self.last_known: object = None
        self.last_caller: Caller | None = None
        self._asked: dict[tuple[str, Shape], Route | None] = {}
        self._batches: dict[tuple[str, str, str, str, str], Batch] = {}
        self._ids: list[str] = []
        self._same: _Same | None = None
        self._end: asyncio.Handle | None = None
        self._calls = self._calls_before = 1

    def begin(self) -> None:
        """A call came: what comes in this turn is answered at its end."""
        if self._end is None:
            self._end = self._parts.loop.call_soon(self._answer)

    def forget(self, model: Model) -> None:
        """Let go of a model that is to leave memory."""
        for place in [place for place, target in self._targets.items() if target.model is model]:
            del self._targets[place]

    def caller(self, authorization: str, correlation_id: str) -> Caller | None:
        """Who asks, if they may."""
        try:
            identity = identify(self._verifier, bearer(authorization))
        except ModelogError:
            return None
        return Caller(identity.user, identity.tenant, correlation_id[:LONGEST_CORRELATION])

    def put(self, edge: Edge, call: Call, caller: Caller, asked: Asked, timeout_s: float = DEADLINE_S) -> bool:
        """Take a call in, after `begin`; False leaves it to the handler."""
        shape = asked.shape
        if not self._ids:
            # As many as the turn before needed: making them together is cheaper.
            self._ids = uuid7_texts(self._calls_before)
        same = self._same
        if same is not None and same.is_for(edge, caller, shape) and same.batch.rows + shape.rows <= BATCH_ROWS:
            self._add(same.batch, call, caller, asked, timeout_s)
            return True
        found = (caller.tenant, shape)
        route = self._asked.get(found)
        if route is None:
            if found not in self._asked:
                route = self._asked[found] = self._route(caller.tenant, shape)
            if route is None:
                return False
        variant = route.drawn(asked.key or asked.id or self._ids[-1])
        place = (edge.method, caller.user, route.tenant, shape.deployment, variant.version)
        before = batch = self._batches.get(place)
        if batch is None or batch.rows + shape.rows > BATCH_ROWS:
            target = self._target(edge, route, variant.version)
            if target is None:
                return False
            batch = self._batches[place] = Batch(target, caller.user, self._parts, edge)
        self._same = _Same(edge, caller, shape, batch) if len(route.deployment.segments) == 1 else None
        self._add(batch, call, caller, asked, timeout_s)
        # Last, for whoever is refused may send the next request at once, which comes here again.
        if before is not None and before is not batch:
            self._submit(before)
        return True

    def _add(self, batch: Batch, call: Call, caller: Caller, asked: Asked, timeout_s: float) -> None:
        self._calls += 1
        prediction_id = self._ids.pop()
        key = asked.key or asked.id or prediction_id
        batch.add(Waiting(call, asked, prediction_id, key, batch.began + timeout_s), caller.correlation_id)

    def _answer(self) -> None:
        """The turn is over: what it brought is computed."""
        batches = list(self._batches.values())
        self._end = None
        self._calls_before, self._calls = max(1, self._calls), 0
        self._ids.clear()
        self.callers.clear()
        self.last_known = self.last_caller = self._same = None
        self._asked.clear()
        self._batches.clear()
        for batch in batches:
            self._submit(batch)
        self._batcher.turn()

    def _submit(self, batch: Batch) -> None:
        batcher = batcher_of(batch.model, self._batcher)
        try:
            if batcher is self._batcher:
                batcher.take(batch)
            else:
                batcher.submit(batch)
        except ModelogError as error:
            batch.refuse(error)

    def _route(self, tenant: str, shape: Shape) -> Route | None:
        """The deployment, if it takes just such a tensor."""
        try:
            route = self._routes.find(tenant, shape.deployment)
        except ModelogError:
            return None
        inputs = route.deployment.signature.inputs
        fits = (
            len(inputs) == 1
            and not route.deployment.signature.texts
            and inputs[0].datatype == shape.datatype
            and inputs[0].name == shape.tensor
            and inputs[0].width == shape.width
        )
        return route if fits and self._plain(route) else None

    def _target(self, edge: Edge, route: Route, version: str) -> Target | None:
        ref = route.ref(route.variants[version])
        model = self._models.loaded(ref)
        if model is None:
            return None
        place = (edge.method, route.tenant, route.deployment.name, version)
        known = self._targets.get(place)
        if known is not None and known.route is route and known.model is model:
            return known
        writer = edge.writer(route.deployment.name, version, ref.digest, ref.signature)
        if len(self._targets) >= TARGETS:
            self._targets.clear()
        features = route.deployment.signature.features
        dtype = dtype_of_rows(ref.signature)
        target = Target(route, version, model, writer, dtype, features, [Answerer(version, ref.digest)])
        self._targets[place] = target
        return target
