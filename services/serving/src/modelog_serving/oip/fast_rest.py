"""The short way of REST's infer: one tensor, by a known caller, for traffic's answer; see `fast_turn`."""

from __future__ import annotations

from modelog_common.domain.errors import ModelogError
from modelog_common.edge.http1 import HttpCall

from modelog_serving.oip.fast_batch import Edge
from modelog_serving.oip.fast_rest_codec import RestWriter, read
from modelog_serving.oip.fast_turn import CORRELATION, OWN_WAY, Turn
from modelog_serving.oip.rest_calls import INFER, JSON_LENGTH
from modelog_serving.oip.rest_edge import refusal
from modelog_serving.oip.rest_routes import RestRoutes


class FastRest:
    """Takes requests from the REST edge."""

    def __init__(self, turn: Turn, addresses: RestRoutes) -> None:
        self._turn, self._addresses = turn, addresses

    def take(self, call: HttpCall) -> bool:
        """Take a request in, to be answered with all others of this turn; False leaves it to its handler."""
        request, turn = call.request, self._turn
        found = self._addresses.find(request.path) if request.verb == "POST" else None
        if found is None or found[0].pattern != INFER or not OWN_WAY.isdisjoint(request.headers):
            return False
        known = authorization, correlation_id = (
            request.headers.get("authorization", ""),
            request.headers.get(CORRELATION, ""),
        )
        if not authorization.isascii() or not correlation_id.isascii():
            return False
        turn.begin()
        if known in turn.callers:
            caller = turn.callers[known]
        else:
            caller = turn.callers[known] = turn.caller(authorization, correlation_id)
        if caller is None:
            return False
        asked = read(found[1]["name"], request.body, request.headers.get(JSON_LENGTH, ""))
        return asked is not None and turn.put(REST, call, caller, asked)


def _refuse(call: HttpCall, error: ModelogError) -> None:
    call.answer(refusal(error))


# What REST takes has no metric on the usual way either.
REST = Edge(f"POST {INFER}", None, RestWriter, _refuse)
