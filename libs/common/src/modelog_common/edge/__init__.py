"""Our own gRPC edge: gRPC over HTTP/2 as an asyncio.Protocol, for the generated servicers as they are.

    server = EdgeServer()
    add_ModelRegistryServicer_to_server(servicer, server)
    port = await server.listen("127.0.0.1", 0)
    await server.stop(drain_s)

What the words MUST mean here: RFC 9113 (HTTP/2), RFC 7541 (HPACK), and gRPC's PROTOCOL-HTTP2.md, statuscodes.md and
compression.md (https://github.com/grpc/grpc/tree/master/doc).

Modules, from the wire up: frames, blocks (header blocks), outbox (what is sent), connection (what is received; incoming
and control have its frames), watch, stream, head (what a request's headers say), messages, status, call (what a handler
sees), refusal, handling (running a handler), server.

HTTP/1.1 for plain calls is `http1`, which stands by itself.
"""
