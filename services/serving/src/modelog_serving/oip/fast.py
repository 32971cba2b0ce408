"""The short way of ModelInfer: one FP32 tensor, by a known caller, for traffic's answer; see `fast_turn`."""

from __future__ import annotations

from typing import Final

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import uuid7
from modelog_common.edge.direct import DirectCall
from modelog_common.edge.status import Metadata, Status
from modelog_common.rpc.errors import status_of, trailers_of
from modelog_common.telemetry import metrics

from modelog_serving.oip.fast_batch import Edge
from modelog_serving.oip.fast_codec import Reader, Writer
from modelog_serving.oip.fast_turn import CORRELATION, DEADLINE_S, OWN_WAY, Caller, Turn

METHOD: Final = "inference.GRPCInferenceService/ModelInfer"


class FastInfer:
    """Takes calls from gRPC's edge."""

    def __init__(self, turn: Turn) -> None:
        self._turn, self._reader = turn, Reader()

    def take(self, call: DirectCall) -> bool:
        """Take a call in, to be answered with all others of this turn; False leaves it to the servicer."""
        turn, head = self._turn, call.head
        turn.begin()
        if head.metadata is turn.last_known:
            # A connection's calls come one behind the other.
            caller = turn.last_caller
        else:
            caller = turn.callers.get(head.metadata)
            if caller is None and head.metadata not in turn.callers:
                caller = turn.callers[head.metadata] = self._caller(head.metadata)
            turn.last_known, turn.last_caller = head.metadata, caller
        asked = self._reader.read(call.request)
        if caller is None or asked is None:
            return False
        return turn.put(GRPC, call, caller, asked, DEADLINE_S if head.timeout_s is None else head.timeout_s)

    def _caller(self, metadata: Metadata) -> Caller | None:
        token = correlation_id = ""
        for name, value in metadata:
            if name in OWN_WAY:
                return None
            if name == "authorization" and isinstance(value, str):
                token = value
            if name == CORRELATION and isinstance(value, str):
                correlation_id = value
        return self._turn.caller(token, correlation_id)


def _refuse(call: DirectCall, error: ModelogError) -> None:
    call.fail(Status(*trailers_of(status_of(error, str(uuid7())))))


GRPC: Final = Edge(METHOD, {metrics.ATTRIBUTE_METHOD: METHOD, metrics.ATTRIBUTE_CODE: "OK"}, Writer, _refuse)
