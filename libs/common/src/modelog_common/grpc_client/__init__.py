"""Our own gRPC client for unary calls: gRPC over HTTP/2 as an asyncio.Protocol, on what the edge is made of.

    link = Link("127.0.0.1:7001")
    answer = await Method(link, "/modelog.registry.v1.ModelRegistry/GetModel")(message, timeout=30.0)
    await link.close()

A call is what grpc.aio's is; one that fails raises grpc.aio.AioRpcError.

What the words MUST mean here: RFC 9113 (HTTP/2), RFC 7541 (HPACK), and gRPC's PROTOCOL-HTTP2.md, statuscodes.md,
http-grpc-status-mapping.md, connection-backoff.md and proposal A6 (https://github.com/grpc/grpc/tree/master/doc).

Modules, from the wire up: fields (headers of a request), answer (what the headers of an answer say), exchange (one
stream), connection (incoming has its frames), link (which connection calls go over, and when it is made anew), call
(what a caller holds; retries, deadline). `rpc.own_client` makes a channel of it.
"""
