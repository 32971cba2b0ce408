"""DATA and HEADERS of a peer: requests begin, go on and end (RFC 9113, sections 5, 6.1, 6.2, 6.10 and 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelog_common.edge import frames
from modelog_common.edge.frames import END_HEADERS, END_STREAM, Code, ConnectionFault, StreamFault
from modelog_common.edge.head import Malformed, check_trailers
from modelog_common.edge.refusal import HttpRefusal
from modelog_common.edge.stream import Stream

if TYPE_CHECKING:
    from modelog_common.edge.connection import Connection


def data(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    size = len(payload)
    connection.window_left -= size
    if connection.window_left < 0:
        raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more DATA came than the connection's window allows")
    connection.ungranted += size
    if connection.ungranted >= connection.limits.connection_window // 2:
        connection.outbox.put(frames.window_update(0, connection.ungranted))
        connection.window_left += connection.ungranted
        connection.ungranted = 0
    if flags & frames.PADDED:
        payload = frames.unpadded(payload, flags)
    stream = connection.streams.get(number)
    if stream is None:
        _stray(connection, number, Code.STREAM_CLOSED)
        return
    if stream.remote_ended:
        raise StreamFault(number, Code.STREAM_CLOSED, "DATA came after the end of its stream")
    stream.receive_left -= size
    if stream.receive_left < 0:
        raise StreamFault(number, Code.FLOW_CONTROL_ERROR, "more DATA came than the stream's window allows")
    stream.received += len(payload)
    ended = flags & END_STREAM != 0
    if ended:
        _ended(connection, stream)
    elif not payload:
        connection.idle_frame()
    if stream.call is None:
        return
    stream.call.feed(payload, ended=ended)
    if not ended or stream.held or stream.call.held_bytes:
        _taken(connection, stream, size)


def _taken(connection: Connection, stream: Stream, size: int) -> None:
    stream.heard = connection.heard
    stream.ungranted += size
    if stream.id not in connection.streams:
        return
    connection.grant(stream)
    if stream.call is None:
        return
    if connection.held > connection.limits.held_bytes:
        stream.call.overfull(of_all=False)
    elif connection.total.held > connection.limits.all_held_bytes:
        stream.call.overfull(of_all=True)


def _ended(connection: Connection, stream: Stream) -> None:
    stream.remote_ended = True
    length = stream.head.content_length
    if length is not None and length != stream.received:
        raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "the content-length is another one")


def _stray(connection: Connection, number: int, code: Code) -> None:
    """DATA, WINDOW_UPDATE or the like of a stream that is not open."""
    if number == 0 or number > connection.last or number % 2 == 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame is for a stream that was never opened")
    if number not in connection.let_go:
        raise StreamFault(number, code, "a frame is for a stream that has ended")


def headers(connection: Connection, flags: int, number: int, payload: bytes) -> None:
    block = frames.unpadded(payload, flags) if flags & frames.PADDED else payload
    depends_on = -1
    if flags & frames.PRIORITISED:
        if len(block) < 5:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "HEADERS are too short for their priority")
        depends_on = frames.LONG.unpack_from(block)[0] & 0x7FFFFFFF
        block = block[5:]
    if number % 2 == 0:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "HEADERS have a stream that no client may open")
    if not flags & END_HEADERS:
        connection.block = (number, flags, bytearray(block))
        connection.block_frames = 0
        connection.block_since = connection.heard
        return
    _block_read(connection, number, flags, block)
    if depends_on == number:
        raise StreamFault(number, Code.PROTOCOL_ERROR, "a stream depends on itself")


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
    stream = connection.streams.get(number)
    if stream is not None:
        _trailers(connection, stream, flags, block)
    elif number <= connection.last:
        connection.reader.fields(block)
        connection.idle_frame()
        if number not in connection.let_go:
            skipped = any(number in some for some in connection.skipped)
            code = Code.PROTOCOL_ERROR if skipped else Code.STREAM_CLOSED
            raise ConnectionFault(code, "HEADERS are for a stream that has ended, or was never to be opened")
    else:
        _open(connection, number, flags, block)


def _open(connection: Connection, number: int, flags: int, block: bytes) -> None:
    if number > connection.last + 2:
        connection.skipped = [*connection.skipped[-9:], range(connection.last + 1, number)]
    connection.last = number
    head = connection.reader.head(block)
    if connection.final:
        connection.let_pass(number)
        return
    connection.last_taken = number
    if head.malformed:
        raise StreamFault(number, Code.PROTOCOL_ERROR, head.malformed)
    if len(connection.streams) >= connection.limits.streams or len(connection.running) >= connection.limits.running:
        raise StreamFault(number, Code.REFUSED_STREAM, "too many calls are under way")
    stream = Stream(number, head, connection.outbox.initial_window, connection.limits.stream_window, connection.heard)
    ended = flags & END_STREAM != 0
    if ended:
        _ended(connection, stream)
    connection.streams[number] = stream
    if head.http is not None:
        stream.call = HttpRefusal(connection.outbox, stream, connection.reset)
    else:
        connection.serve(connection, stream)
    if ended and stream.call is not None:
        stream.call.feed(b"", ended=True)


def _trailers(connection: Connection, stream: Stream, flags: int, block: bytes) -> None:
    fields = connection.reader.fields(block)
    if stream.remote_ended:
        raise StreamFault(stream.id, Code.STREAM_CLOSED, "HEADERS came after the end of their stream")
    if not flags & END_STREAM:
        raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "trailers do not end their stream")
    try:
        check_trailers(fields)
    except Malformed as error:
        raise StreamFault(stream.id, Code.PROTOCOL_ERROR, str(error)) from error
    _ended(connection, stream)
    if stream.call is not None:
        stream.call.feed(b"", ended=True)
