"""What a peer sends about the connection and its streams: SETTINGS, windows, resets, PING, GOAWAY (RFC 9113, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelog_common.edge import frames
from modelog_common.edge.frames import ACK, Code, ConnectionFault, StreamFault
from modelog_common.edge.stream import Stream

if TYPE_CHECKING:
    from modelog_common.edge.connection import Connection

DRAIN_PING = b"draining"


def priority(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if number == 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PRIORITY has no stream")
    if len(payload) != 5:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PRIORITY has not 5 bytes")
    if frames.LONG.unpack_from(payload)[0] & 0x7FFFFFFF == number:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a stream depends on itself")
    connection.idle_frame()


def rst_stream(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "RST_STREAM has not 4 bytes")
    stream = connection.streams.get(number)
    if stream is None:
        if number == 0 or number > connection.last:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "RST_STREAM is for a stream that was never opened")
        return
    connection.forget(stream)
    connection.end_when_idle()
    if not connection.resets.take():
        raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many streams were reset")


def settings(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS have a stream")
    if len(payload) % frames.SETTING.size or (flags & ACK and payload):
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS have a wrong size")
    if flags & ACK:
        connection.acknowledged = True
        return
    connection.settled = True
    connection.idle_frame()
    # Before what the new windows let go: grpcio counts by the windows whose acknowledgement it has.
    connection.outbox.put(frames.frame(frames.SETTINGS, ACK, 0))
    for name, value in frames.SETTING.iter_unpack(payload):
        _setting(connection, name, value)


def _setting(connection: Connection, name: int, value: int) -> None:
    if name == frames.ENABLE_PUSH and value > 1:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if name == frames.MAX_FRAME_SIZE:
        if not frames.DEFAULT_FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
        connection.outbox.frame_bytes = value
    if name == frames.INITIAL_WINDOW_SIZE:
        if value > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is out of range")
        more = value - connection.outbox.initial_window
        connection.outbox.initial_window = value
        for stream in list(connection.streams.values()):
            _widen(connection, stream, more)


def _widen(connection: Connection, stream: Stream, more: int) -> None:
    stream.send_window += more
    if stream.send_window > frames.LARGEST_WINDOW:
        raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
    connection.outbox.opened(stream)


def push_promise(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    raise ConnectionFault(Code.PROTOCOL_ERROR, "a client may not push")


def ping(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PING has a stream")
    if len(payload) != 8:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PING has not 8 bytes")
    if not flags & ACK:
        connection.idle_frame()
        connection.outbox.put(frames.frame(frames.PING, ACK, 0, payload))
    elif payload == DRAIN_PING and connection.draining:
        connection.drain_on()


def goaway(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    """The peer opens no more streams; those that it has go on, and it closes."""
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "GOAWAY has a stream")
    if len(payload) < 8:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "GOAWAY is too short")
    connection.idle_frame()


def window_update(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has not 4 bytes")
    more = frames.LONG.unpack(payload)[0] & 0x7FFFFFFF
    if number == 0:
        connection.outbox.window += more
        if more == 0 or connection.outbox.window > frames.LARGEST_WINDOW:
            code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
            raise ConnectionFault(code, "WINDOW_UPDATE of the connection by 0, or beyond the largest window")
        connection.outbox.pump()
        return
    stream = connection.streams.get(number)
    if stream is None:
        if number > connection.last or number % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "WINDOW_UPDATE is for a stream that was never opened")
        return
    stream.send_window += more
    if more == 0 or stream.send_window > frames.LARGEST_WINDOW:
        code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
        raise StreamFault(number, code, "WINDOW_UPDATE by 0, or beyond the largest window")
    connection.outbox.opened(stream)
