"""gRPC for services: a server and a channel that take care of identity, deadlines, errors, tracing and validation.

    server = GrpcServer(host, port, TokenVerifier.from_file(...))
    server.add(add_ModelRegistryServicer_to_server, servicer, "modelog.registry.v1.ModelRegistry")
    port = await server.start()                  # 0 takes a free port; raises Unavailable when the port is in use
    await server.stop(drain_s)

    channel = connect("127.0.0.1:7001", token)   # calls raise domain errors; the current call's token is forwarded
    model = await ModelRegistryStub(channel).GetModel(request)

In a servicer:

    ctx = command_context(clock, request.request_id)    # the decider's context
    current_call().identity.may("model.review")

Outside a call, to act as somebody: `with calling(Call(...)): ...`.
Modules: server, client, call, errors (domain error <-> status), validate (rules of the contracts), admin, pipeline.
"""
