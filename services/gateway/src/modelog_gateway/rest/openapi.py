"""The OpenAPI 3.0 document, made from the same contracts and rules that the services obey."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from modelog_common.security.permissions import PUBLIC

from modelog_gateway.rest.contracts import Route, comment_of, is_live, rules_of
from modelog_gateway.rest.transcode import SHORT

Json = dict[str, Any]
F = FieldDescriptor
_INT64 = {F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_SINT64, F.TYPE_FIXED64, F.TYPE_SFIXED64}
_INT32 = {F.TYPE_INT32, F.TYPE_UINT32, F.TYPE_SINT32, F.TYPE_FIXED32, F.TYPE_SFIXED32}
_WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
}
_STATUSES = {
    400: "A field is missing or wrong; `errors` names it.",
    401: "The token is missing, forged or over.",
    403: "The caller lacks the permission.",
    404: "There is no such thing.",
    409: "The name is taken, or somebody else changed the same thing.",
    405: "The path has no such method.",
    413: "The body is too large.",
    422: "A rule refuses it in the present state.",
    429: "More was asked than can be answered in time; `Retry-After` says when to come again.",
    500: "Something that was not foreseen; the gateway's log has it under the correlation id.",
    501: "The service has no such method.",
    502: "A service failed; its log has it under the correlation id.",
    503: "A part that is needed does not answer now.",
    504: "It took too long; it may have had its effect.",
}


def document(routes: list[Route], version: str) -> Json:
    """The whole document."""
    schemas: dict[str, Json] = {"Problem": _problem()}
    paths: dict[str, Json] = dict(_streams())
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Modelog",
            "version": version,
            "description": "The MLOps platform whose every step is an event. Times are RFC 3339, int64 are texts.",
        },
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Json]) -> Json:
    name, is_public = route.method.name, route.permission == PUBLIC
    operation: Json = {
        "operationId": name if route.binding == 0 else f"{name}{route.binding + 1}",
        "summary": comment_of(route.method.full_name) or name,
        "description": "Needs no token." if is_public else f"Needs the permission `{route.permission}`.",
        "tags": [route.method.containing_service.name],
        "parameters": [_path_parameter(route, p) for p in route.parameters],
        "responses": {
            "200": {"description": "Done.", "content": _json(_reference(route.method.output_type, schemas))},
            **{str(s): _problem_answer(text) for s, text in _STATUSES.items()},
        },
    }
    if is_public:
        operation["security"] = []
    if route.has_body:
        body = _inline(route.method.input_type, schemas, leave_out=route.parameters)
        operation["requestBody"] = {"required": True, "content": _json(body)}
    else:
        operation["parameters"] += _query_parameters(route)
    return operation


def _path_parameter(route: Route, name: str) -> Json:
    described = route.method.input_type.fields_by_name[name]
    return {"name": name, "in": "path", "required": True, "schema": _field(described, {}), **_described(described)}


def _query_parameters(route: Route) -> list[Json]:
    message = route.method.input_type
    found = []
    for described in message.fields:
        if described.name not in route.parameters and described.message_type is None:
            required = rules_of(described).required
            found.append(
                {"name": described.name, "in": "query", "required": required, "schema": _field(described, {})}
                | _described(described)
            )
    for short, dotted in SHORT.items():
        parent, _, child = dotted.partition(".")
        if parent in message.fields_by_name:
            nested: Descriptor = message.fields_by_name[parent].message_type  # type: ignore[assignment]
            described = nested.fields_by_name[child]
            found.append({"name": short, "in": "query", "schema": _field(described, {}), **_described(described)})
    return found


def _described(described: FieldDescriptor) -> Json:
    text = comment_of(described.full_name)
    if is_live(described):
        text = f"{text} Known of the present only: empty in an answer as of a moment.".strip()
    return {"description": text} if text else {}


def _reference(message: Descriptor, schemas: dict[str, Json]) -> Json:
    if message.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[message.full_name]
    if message.name not in schemas:
        schemas[message.name] = {}
        schemas[message.name] = _inline(message, schemas)
    return {"$ref": f"#/components/schemas/{message.name}"}


def _inline(message: Descriptor, schemas: dict[str, Json], leave_out: tuple[str, ...] = ()) -> Json:
    fields = [f for f in message.fields if f.name not in leave_out]
    schema: Json = {
        "type": "object",
        "properties": {f.name: _field(f, schemas) | _described(f) for f in fields},
        "additionalProperties": False,
    }
    if text := comment_of(message.full_name):
        schema["description"] = text
    if required := [f.name for f in fields if rules_of(f).required]:
        schema["required"] = required
    return schema


def _field(described: FieldDescriptor, schemas: dict[str, Json]) -> Json:
    if described.message_type is not None and described.message_type.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _scalar(described.message_type.fields_by_name["value"], schemas),
        }
    if described.is_repeated:
        rules = rules_of(described)
        bounds: Json = {"maxItems": rules.max_items or 10_000}
        if rules.min_items:
            bounds["minItems"] = rules.min_items
        return {"type": "array", "items": _scalar(described, schemas), **bounds}
    return _scalar(described, schemas)


def _scalar(described: FieldDescriptor, schemas: dict[str, Json]) -> Json:
    if described.message_type is not None:
        return _reference(described.message_type, schemas)
    if described.enum_type is not None:
        return _enum(described.enum_type)
    rules = rules_of(described)
    if described.type == F.TYPE_STRING:
        return _string(described)
    if described.type == F.TYPE_BOOL:
        return {"type": "boolean"}
    if described.type == F.TYPE_BYTES:
        return {"type": "string", "format": "byte"}
    if described.type in _INT64:
        return {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
    schema: Json = (
        {"type": "integer", "format": "int32"} if described.type in _INT32 else {"type": "number", "format": "double"}
    )
    for bound in ("minimum", "maximum"):
        if rules.HasField(bound):
            schema[bound] = getattr(rules, bound)
    return schema


def _string(described: FieldDescriptor) -> Json:
    rules = rules_of(described)
    schema: Json = {"type": "string", "maxLength": rules.max_length or 4096}
    if rules.required or rules.min_length:
        schema["minLength"] = max(1, rules.min_length)
    if rules.pattern:
        schema["pattern"] = f"^(?:{rules.pattern})$" if rules.required else f"^(?:{rules.pattern})?$"
    if rules.example:
        schema["example"] = rules.example
    return schema


def _enum(described: EnumDescriptor) -> Json:
    return {"type": "string", "enum": [v.name for v in described.values]}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _problem_answer(text: str) -> Json:
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _problem() -> Json:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "correlation_id": text,
            "errors": {
                "type": "array",
                "items": {"type": "object", "properties": {"field": text, "description": text}},
            },
        },
    }


def _streams() -> dict[str, Json]:
    """What is not one message for one message: files, and the live stream of events."""
    digest = {
        "name": "digest",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    problems = {str(s): _problem_answer(_STATUSES[s]) for s in (400, 401, 403, 404, 422, 429, 500, 502, 503, 504)}
    stored = {"type": "object", "properties": {"digest": {"type": "string"}, "size_bytes": {"type": "string"}}}
    upload_id = {
        "name": "upload_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f-]{36}$"},
    }
    number = {
        "name": "number",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 10_000},
    }
    held = {
        "type": "object",
        "properties": {
            "number": {"type": "integer"},
            "digest": {"type": "string"},
            "size_bytes": {"type": "string"},
        },
    }
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0},
        "description": "Events after it.",
    }
    last_id = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0},
        "description": "What browsers send when they connect again: goes before `after`.",
    }
    sha256 = {
        "name": "X-Content-SHA256",
        "in": "header",
        "schema": digest["schema"],
        "description": "The digest of what is sent; other content is refused.",
    }
    return {
        "/api/v1/artifacts": {
            "put": {
                "operationId": "UploadArtifact",
                "summary": "Stores a file under the SHA-256 of its content.",
                "tags": ["ArtifactStore"],
                "parameters": [sha256],
                "requestBody": {"required": True, "content": binary},
                "responses": {"200": {"description": "Stored.", "content": _json(stored)}, **problems},
            }
        },
        "/api/v1/uploads/{upload_id}/parts/{number}": {
            "put": {
                "operationId": "UploadPart",
                "summary": "Holds a part of a file that was begun; one of the same number gives way.",
                "tags": ["ArtifactStore"],
                "parameters": [upload_id, number, sha256],
                "requestBody": {"required": True, "content": binary},
                "responses": {"200": {"description": "Held.", "content": _json(held)}, **problems},
            }
        },
        "/api/v1/artifacts/{digest}": {
            "get": {
                "operationId": "DownloadArtifact",
                "summary": "Reads a file.",
                "tags": ["ArtifactStore"],
                "parameters": [digest],
                "responses": {"200": {"description": "The content.", "content": binary}, **problems},
            }
        },
        "/api/v1/artifacts/{digest}/link": {
            "post": {
                "operationId": "LinkArtifact",
                "summary": "Lets the caller's browser fetch a file for a minute, by a cookie.",
                "tags": ["ArtifactStore"],
                "parameters": [digest],
                "responses": {"200": {"description": "It may.", "content": _json({"type": "object"})}, **problems},
            }
        },
        "/api/v1/events/stream": {
            "get": {
                "operationId": "StreamEvents",
                "summary": "Events as they happen, as server-sent events; `Last-Event-ID` goes on after a position.",
                "tags": ["AuditService"],
                "parameters": [after, last_id],
                "responses": {
                    "200": {
                        "description": "A stream.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    **problems,
                },
            }
        },
    }
