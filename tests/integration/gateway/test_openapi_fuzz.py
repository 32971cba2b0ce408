"""schemathesis against the running gateway: requests that keep to the document, and ones that do not, get no 5xx.

The answers must be ones that the document tells of, and what breaks it must be refused.
"""

from __future__ import annotations

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from modelog_gateway.rest.contracts import routes
from modelog_gateway.rest.openapi import document
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from small_platform import SmallPlatform

SCHEMA = schemathesis.openapi.from_dict(document(routes(), "0.1.0"))
# The stream does not end; the small platform has neither graph nor broker: what needs them is answered 503.
LEFT_OUT = ("/api/v1/events/stream", "/api/v1/rebuild", "/api/v1/lineage", "/api/v1/catalogue")
OPERATIONS = [
    operation for found in SCHEMA.get_all_operations() if not (operation := found.ok()).path.startswith(LEFT_OUT)
]
ALWAYS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8


def holds_null(body: object) -> bool:
    """Whether there is a null anywhere in a body."""
    if isinstance(body, dict):
        return any(holds_null(value) for value in body.values())
    return body is None or (isinstance(body, list) and any(holds_null(value) for value in body))


@pytest.fixture(scope="module")
def session(platform: SmallPlatform) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {platform.token('fuzz', 'admin')}"
    return session


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda m: m.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.label)
def test_no_request_gets_a_server_error(
    platform: SmallPlatform, session: requests.Session, operation: schemathesis.APIOperation, mode: GenerationMode
) -> None:
    checks = [*ALWAYS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else ALWAYS

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        # In proto3's JSON null says that a field is not there, so nothing is wrong with it.
        assume(mode is not GenerationMode.NEGATIVE or not holds_null(case.body))
        case.call_and_validate(base_url=platform.url, session=session, checks=checks, timeout=150)

    try:
        send()
    except schemathesis.errors.SchemathesisError as error:
        if mode is GenerationMode.NEGATIVE and "negative" in str(error).lower():
            pytest.skip(f"nothing about it can be wrong: {error}")
        raise
