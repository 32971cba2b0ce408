"""MLflow's methods at fixed addresses, answered without aiohttp, whose part of a small call was the greater one.

What they do, who may call and how they refuse is the same code as behind aiohttp.
"""

from __future__ import annotations

from collections.abc import Callable

from modelog_common.domain.errors import ModelogError
from modelog_common.edge.http1_answer import Answer, Find, Handle, Request
from modelog_common.rpc.call import calling
from modelog_common.security.tokens import TokenVerifier
from yarl import query_to_pairs

from modelog_gateway.mlflow.app import MOUNTED
from modelog_gateway.mlflow.endpoints import Answering, Registry, answering_of
from modelog_gateway.mlflow.errors import refused
from modelog_gateway.mlflow.working import HEADER
from modelog_gateway.rest.callers import CORRELATION_HEADER, bearer, call_of, correlation_of, unexpected

CORRELATION, AUTHORIZATION, WORKSPACE = CORRELATION_HEADER.lower(), "authorization", HEADER.lower()


def direct(registry: Callable[[], Registry], verifier: TokenVerifier) -> Find:
    """Finds the handler of a method by verb and path."""
    handlers = {
        (endpoint.verb, prefix + endpoint.path): handler_of(answering_of(endpoint, registry), verifier)
        for endpoints, prefixes in MOUNTED
        for endpoint in endpoints
        for prefix in prefixes
        if "{" not in endpoint.path
    }
    return lambda verb, path: handlers.get((verb, path))


def handler_of(answering: Answering, verifier: TokenVerifier) -> Handle:
    async def handle(request: Request) -> Answer:
        headers = request.headers
        correlation = correlation_of(headers.get(CORRELATION, ""))
        try:
            token = bearer(headers.get(AUTHORIZATION, ""), basic=True)
            with calling(call_of(verifier, token, correlation)):
                body = b"" if request.verb == "GET" else request.body
                answer = await answering({}, query_to_pairs(request.query), body, headers.get(WORKSPACE, ""))
        except ModelogError as error:
            answer = refused(error)
        except Exception:
            answer = refused(unexpected(request.path, correlation))
        answer.headers[CORRELATION_HEADER] = correlation
        return answer

    return handle
