"""Frames of a server: answers begin, go on and end; settings, windows, resets, PING, GOAWAY (RFC 9113, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelog_common.edge import frames
from modelog_common.edge.frames import ACK, END_HEADERS, END_STREAM, Code, ConnectionFault, StreamFault
from modelog_common.edge.status import Code as StatusCode
from modelog_common.edge.status import Status
from modelog_common.grpc_client.answer import OF_RESET

if TYPE_CHECKING:
    from modelog_common.grpc_client.connection import Connection

TAKEN_NO_MORE = Status(StatusCode.UNAVAILABLE, "the server closes the connection and did not take the call")


def data(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    size = len(payload)
    limits = connection.limits
    # What comes is taken at once, so that no window is ever used up: they bound what is on its way.
    connection.ungranted += size
    if connection.ungranted >= limits.connection_window // 2:
        connection.outbox.put(frames.window_update(0, connection.ungranted))
        connection.ungranted = 0
    if flags & frames.PADDED:
        payload = frames.unpadded(payload, flags)
    exchange = connection.exchanges.get(number)
    if exchange is None:
        _was_opened(connection, number)
        return
    ended = flags & END_STREAM != 0
    exchange.data(payload, ended)
    exchange.ungranted += size
    if exchange.ungranted >= limits.stream_window // 2 and number in connection.exchanges:
        connection.outbox.put(frames.window_update(number, exchange.ungranted))
        exchange.ungranted = 0


def headers(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    block = frames.unpadded(payload, flags) if flags & frames.PADDED else payload
    if flags & frames.PRIORITISED:
        if len(block) < 5:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "HEADERS are too short for their priority")
        block = block[5:]
    if not flags & END_HEADERS:
        connection.block = (number, flags, bytearray(block))
        connection.block_frames = 0
        return
    _block_read(connection, number, flags, block)


def continuation(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if connection.block is None:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION follows no HEADERS")
    number, first_flags, block = connection.block
    block += payload
    connection.block_frames += 1
    if len(block) > connection.limits.header_block_bytes or connection.block_frames > connection.limits.continuations:
        raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the headers are too large")
    if flags & END_HEADERS:
        connection.block = None
        _block_read(connection, number, first_flags, bytes(block))


def _block_read(connection: Connection, number: int, flags: int, block: bytes) -> None:
    # Also those of streams that were given up: the table goes on with them.
    part = connection.reader.part(block)
    exchange = connection.exchanges.get(number)
    if exchange is None:
        _was_opened(connection, number)
    else:
        exchange.headers(part, flags & END_STREAM != 0)


def _was_opened(connection: Connection, number: int) -> None:
    """Let pass what comes for a stream that has ended; raises ConnectionFault if there never was one."""
    if number % 2 == 0 or number >= connection.next:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame is for a stream that was never opened")


def priority(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 5:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PRIORITY has not 5 bytes")


def rst_stream(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "RST_STREAM has not 4 bytes")
    exchange = connection.exchanges.get(number)
    if exchange is None:
        _was_opened(connection, number)
        return
    code = int(frames.LONG.unpack(payload)[0])
    status = Status(OF_RESET.get(code, StatusCode.INTERNAL), f"the server reset the call with HTTP/2's code {code}")
    connection.refused(exchange, status, unprocessed=code == Code.REFUSED_STREAM)


def settings(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS have a stream")
    if len(payload) % frames.SETTING.size or (flags & ACK and payload):
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS have a wrong size")
    if flags & ACK:
        return
    connection.outbox.put(frames.frame(frames.SETTINGS, ACK, 0))
    for name, value in frames.SETTING.iter_unpack(payload):
        _setting(connection, name, value)
    if connection.is_settled:
        connection.owner.freed(connection)
    else:
        connection.is_settled = True
        connection.owner.settled(connection)


def _setting(connection: Connection, name: int, value: int) -> None:
    outbox = connection.outbox
    if name == frames.ENABLE_PUSH and value:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "ENABLE_PUSH is not 0")
    if name == frames.MAX_CONCURRENT_STREAMS:
        connection.most = value
    elif name == frames.MAX_FRAME_SIZE:
        if not frames.DEFAULT_FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
        outbox.frame_bytes = value
    elif name == frames.INITIAL_WINDOW_SIZE:
        if value > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is out of range")
        more = value - outbox.initial_window
        outbox.initial_window = value
        for exchange in list(connection.exchanges.values()):
            exchange.send_window += more
            if exchange.send_window > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
            outbox.opened(exchange)


def push_promise(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    raise ConnectionFault(Code.PROTOCOL_ERROR, "the server pushes, which it was told not to")


def ping(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PING has a stream")
    if len(payload) != 8:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PING has not 8 bytes")
    if not flags & ACK:
        connection.outbox.put(frames.frame(frames.PING, ACK, 0, payload))


def goaway(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    """The server takes no more calls; those up to the stream that it names go on."""
    if number != 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "GOAWAY has a stream")
    if len(payload) < 8:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "GOAWAY is too short")
    last = int(frames.LONG.unpack_from(payload)[0]) & 0x7FFFFFFF
    # First all that are not taken, so that they are sent over a new connection.
    connection.leave()
    for exchange in list(connection.exchanges.values()):
        if exchange.id > last:
            connection.refused(exchange, TAKEN_NO_MORE, unprocessed=True)


def window_update(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    if len(payload) != 4:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has not 4 bytes")
    more = int(frames.LONG.unpack(payload)[0]) & 0x7FFFFFFF
    outbox = connection.outbox
    if number == 0:
        outbox.window += more
        if more == 0 or outbox.window > frames.LARGEST_WINDOW:
            code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
            raise ConnectionFault(code, "WINDOW_UPDATE of the connection by 0, or beyond the largest window")
        outbox.pump()
        return
    exchange = connection.exchanges.get(number)
    if exchange is None:
        _was_opened(connection, number)
        return
    exchange.send_window += more
    if more == 0 or exchange.send_window > frames.LARGEST_WINDOW:
        code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
        raise StreamFault(number, code, "WINDOW_UPDATE by 0, or beyond the largest window")
    outbox.opened(exchange)
