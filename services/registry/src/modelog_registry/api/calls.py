"""What the servicers take from the call that they answer."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.rpc.call import command_context, current_call
from modelog_proto.common.v1 import common_pb2 as common


def command_call(clock: Clock, request_id: str, method: str) -> Context:
    """The context of a command. A request id counts for its caller and method: another one's "1" is another request."""
    ctx = command_context(clock, request_id)
    return replace(ctx, request_id=derived_id(ctx.actor, method, ctx.request_id))


def tenant() -> str:
    """Whose data the caller sees."""
    return current_call().identity.tenant


def since(position: int) -> common.ReadOptions:
    """Read what a command just wrote."""
    return common.ReadOptions(at_least=position)
