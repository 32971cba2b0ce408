"""The OpenAPI document is valid, tells of every rule of the contracts, and of nothing that is not there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from modelog_common.rpc.rules import STRING_DEFAULT
from modelog_gateway.rest.contracts import FILES, Route, comment_of, routes, rules_of
from modelog_gateway.rest.openapi import document
from modelog_gateway.rest.transcode import SHORT
from openapi_spec_validator import OpenAPIV30SpecValidator

ROUTES = routes()
DOCUMENT = document(ROUTES, "1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [(path, verb, operation) for path, found in DOCUMENT["paths"].items() for verb, operation in found.items()]


def test_the_document_is_valid_openapi() -> None:
    problems = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in OpenAPIV30SpecValidator(DOCUMENT).iter_errors()
    ]
    assert not problems
    assert json.loads(json.dumps(DOCUMENT))["info"]["version"] == "1.2.3"


def test_operation_ids_are_unique() -> None:
    ids = Counter(operation["operationId"] for _, _, operation in OPERATIONS)
    assert [name for name, count in ids.items() if count > 1] == []
    assert {"ListVersions", "ListVersions2", "StreamEvents", "UploadArtifact"} <= set(ids)


def test_every_method_of_the_public_services_has_a_rest_form_or_a_stream() -> None:
    shown = {operation["operationId"] for _, _, operation in OPERATIONS}
    methods = {m.name for f in FILES for s in f.DESCRIPTOR.services_by_name.values() for m in s.methods}  # type: ignore[attr-defined]
    assert methods - shown == set(), "a method cannot be reached over REST"


def test_every_path_names_its_parameters() -> None:
    for path, _, operation in OPERATIONS:
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_answer_and_error_is_described() -> None:
    for path, verb, operation in OPERATIONS:
        assert operation["summary"], (path, verb)
        assert {"200", "400", "401", "403", "404", "503"} <= set(operation["responses"]), (path, verb)
        for status, answer in operation["responses"].items():
            assert answer["content"], (path, verb, status)


def test_names_of_schemas_are_names_of_one_message() -> None:
    """Schemas are named by the message alone, so two packages must not have the same name."""
    seen: dict[str, set[str]] = {}

    def walk(message: Descriptor) -> None:
        names = seen.setdefault(message.name, set())
        if message.full_name in names:
            return
        names.add(message.full_name)
        for described in message.fields:
            if described.message_type is not None:
                walk(described.message_type)

    for route in ROUTES:
        walk(route.method.input_type)
        walk(route.method.output_type)
    assert [n for n, found in seen.items() if len(found) > 1 and not n.endswith("Entry")] == []


def properties() -> Iterator[tuple[str, FieldDescriptor, dict[str, Any], bool]]:
    """(where, field, its schema, whether the document says that it is required) of all that callers can give."""
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.verb.lower()]
        yield from parameters_of(route, operation)
        if route.has_body:
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            yield from fields_of(route.path, route.method.input_type, body, set(route.parameters), set())


def parameters_of(
    route: Route, operation: dict[str, Any]
) -> Iterator[tuple[str, FieldDescriptor, dict[str, Any], bool]]:
    for parameter in operation["parameters"]:
        message = route.method.input_type
        own = parameter["name"] in message.fields_by_name
        *parents, last = [parameter["name"]] if own else SHORT.get(parameter["name"], parameter["name"]).split(".")
        for parent in parents:
            message = message.fields_by_name[parent].message_type  # type: ignore[assignment]
        described = message.fields_by_name[last]
        yield f"{route.path} {described.name}", described, parameter["schema"], parameter.get("required", False)


def fields_of(
    where: str, message: Descriptor, schema: dict[str, Any], left_out: set[str], seen: set[str]
) -> Iterator[tuple[str, FieldDescriptor, dict[str, Any], bool]]:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    assert set(schema["properties"]) == {f.name for f in message.fields} - left_out
    assert schema["additionalProperties"] is False
    for name, found in schema["properties"].items():
        described = message.fields_by_name[name]
        yield f"{where} {message.name}.{name}", described, found, name in schema.get("required", ())
        inner = described.message_type
        if inner is not None and not inner.GetOptions().map_entry and inner.file.package != "google.protobuf":
            yield from fields_of(where, inner, SCHEMAS[inner.name], set(), seen)


def test_every_rule_of_the_contracts_is_in_the_document() -> None:
    count = 0
    for where, described, schema, required in properties():
        rules = rules_of(described)
        count += 1
        assert required or not rules.required, f"{where} must be given"
        if described.message_type is not None and described.message_type.GetOptions().map_entry:
            continue
        if described.is_repeated:
            assert schema["maxItems"] == (rules.max_items or 10_000), where
            assert schema.get("minItems", 0) == rules.min_items, where
            schema = schema["items"]
        if described.type == FieldDescriptor.TYPE_STRING:
            check_string(where, described, schema)
        for bound in ("minimum", "maximum"):
            if rules.HasField(bound) and "int64" not in schema.get("format", ""):
                assert schema[bound] == getattr(rules, bound), where
    assert count > 150


def check_string(where: str, described: FieldDescriptor, schema: dict[str, Any]) -> None:
    rules = rules_of(described)
    assert schema["maxLength"] == (rules.max_length or STRING_DEFAULT), where
    assert schema.get("minLength", 0) == max(rules.min_length, 1 if rules.required else 0), where
    if rules.pattern:
        assert rules.pattern in schema["pattern"], where
        assert bool(re.fullmatch(schema["pattern"], "")) is not rules.required, where
    if rules.example:
        assert schema["example"] == rules.example, where
        assert re.fullmatch(schema.get("pattern", ".*"), rules.example), f"{where}: the example breaks the rule"


def test_comments_of_the_contracts_are_descriptions() -> None:
    assert comment_of("modelog.common.v1.ReadOptions.as_of").startswith("A position in the event log")
    assert comment_of("modelog.gateway.v1.IdentityService.CreateUser") == "Adds a user."
    assert comment_of("modelog.gateway.v1.IdentityService") == "Users, roles and tokens."
    assert comment_of("nothing.here") == ""
    create = DOCUMENT["paths"]["/api/v1/users"]["post"]
    assert (create["summary"], create["description"]) == ("Adds a user.", "Needs the permission `user.write`.")


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.verb} {r.path}")
def test_every_route_calls_a_method_that_names_a_permission(route: Route) -> None:
    assert route.permission == "public" or re.fullmatch(r"[a-z]+\.[a-z]+", route.permission)
    assert route.full_method == f"/{route.method.containing_service.full_name}/{route.method.name}"
    assert all(name in route.method.input_type.fields_by_name for name in route.parameters)
    assert route.has_body == (route.verb == "POST")


def test_only_a_link_is_opened_without_a_token() -> None:
    assert [route.path for route in ROUTES if route.permission == "public"] == ["/api/v1/links/open"]
    opening = document(ROUTES, "1")["paths"]["/api/v1/links/open"]["post"]
    assert (opening["security"], opening["description"]) == ([], "Needs no token.")


def test_fixed_parts_of_paths_win_over_parameters() -> None:
    order = [route.path for route in ROUTES]
    assert order.index("/api/v1/audit/checkpoint") < order.index("/api/v1/audit/proofs/{position}")
    assert [r.path.count("{") for r in ROUTES] == sorted(r.path.count("{") for r in ROUTES)
