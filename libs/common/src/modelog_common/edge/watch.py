"""Peers that are slow, silent, or do not read: let go once a limit's time is over."""

from __future__ import annotations

from modelog_common.edge import frames
from modelog_common.edge.connection import Connection
from modelog_common.edge.frames import Code, ConnectionFault

LIFE_PING = b"alive???"
# How long a peer is listened to that was told what it did wrong.
LINGER_S = 5.0


def check(connection: Connection, now: float) -> None:
    """Called every few seconds: whoever is slow beyond the limits is let go."""
    limits = connection.limits
    if connection.ending or (connection.outbox.paused and now - connection.unread_since > limits.unread_s):
        longest_s = min(LINGER_S, limits.unread_s) if connection.lingers else limits.unread_s
        if not connection.ending or now - connection.since > longest_s:
            connection.transport.abort()
        return
    if not (connection.settled and connection.acknowledged) and now - connection.since > limits.handshake_s:
        connection.end(ConnectionFault(Code.SETTINGS_TIMEOUT, "the preface or the SETTINGS took too long"))
    elif connection.block is not None and now - connection.block_since > limits.header_block_s:
        connection.end(ConnectionFault(Code.ENHANCE_YOUR_CALM, "a header block took too long"))
    else:
        _check_streams(connection, now)


def _check_streams(connection: Connection, now: float) -> None:
    limits = connection.limits
    for stream in list(connection.streams.values()):
        late = now - stream.heard > limits.request_s
        if late and stream.call is not None and stream.call.waits_for_request:
            stream.call.stalled()
    if connection.streams and now - connection.heard > limits.silent_s:
        # uvloop tells whole milliseconds: an answer may come in the one in which it was asked for.
        if connection.asked_since <= connection.heard:
            connection.asked_since = now
            connection.outbox.put(frames.frame(frames.PING, 0, 0, LIFE_PING))
        elif now - connection.asked_since > limits.sign_of_life_s:
            connection.transport.abort()
