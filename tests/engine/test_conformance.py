"""Response validation: what a document says about responses, and the responses that violate it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import connexion
import pytest
from connexion.datastructures import MediaTypeDict
from connexion.exceptions import NonConformingResponseBody, NonConformingResponseHeaders
from starlette import responses as starlette

from users_api.engine.document import Document
from users_api.engine.failures import DocumentError
from users_api.engine.responses import Response
from users_api.engine.return_values import Responses
from users_api.engine.schemas import Schemas

AT = "#/paths/~1users/get/responses"
USER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "password"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        "owner": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "password": {"type": "string", "writeOnly": True},
    },
}
JSON = "application/json"


def response_of(content: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"description": "", **({} if content is None else {"content": content}), **more}


def of_json(schema: dict[str, Any]) -> dict[str, Any]:
    return response_of({JSON: {"schema": schema}})


def root(definitions: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "info": {"title": "users", "version": "1"},
        "paths": {"/users": {"get": {"operationId": "get_users", "responses": definitions}}},
        "components": {
            "schemas": {"User": USER},
            "responses": {"Problem": of_json({"$ref": "#/components/schemas/User"})},
            "headers": {"Etag": {"required": True, "schema": {"type": "string", "pattern": '^"'}}},
        },
    }


def compiled(definitions: dict[str, Any], **options: Any) -> Responses:
    document = Document(root(definitions))
    (node,) = document.operations()
    return Responses(
        node.operation["responses"],
        f"{node.pointer}/responses",
        document=document,
        schemas=Schemas(document.root),
        operation_id="get_users",
        validate=True,
        **options,
    )


def response(body: Any, content_type: str | None = JSON, status: int = 200, **headers: str) -> Response:
    raw = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    raw += [] if content_type is None else [(b"content-type", content_type.encode())]
    return Response(status, raw, body)


def accepted(responses: Responses, candidate: Response, *, head: bool = False) -> Response:
    return asyncio.run(responses.validate(candidate, head=head))


def rejected_headers(responses: Responses, candidate: Response) -> str:
    with pytest.raises(NonConformingResponseHeaders) as caught:
        accepted(responses, candidate)
    return str(caught.value.detail)


def refused_body(responses: Responses, candidate: Response) -> str:
    with pytest.raises(NonConformingResponseBody) as caught:
        accepted(responses, candidate)
    return str(caught.value.detail)


USERS = {
    "200": of_json({"$ref": "#/components/schemas/User"}),
    "204": response_of(),
    "404": {"$ref": "#/components/responses/Problem"},
    "4XX": response_of({"text/plain": {}}),
    "x-more": {"content": 5},
}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'{"id": 1, "tags": ["a"]}', ""),
        (b'{"id": "secret"}', "id must be of type integer"),
        (b'{"id": 1, "tags": ["a", "secret"]}', "tags[1] must"),
        (b'{"id": 1, "owner": {"id": "secret"}}', "owner.id must be of type integer"),
        (b'{"id": 1, "password": "secret"}', "password "),
        (b'{"id": 1, "other": "secret"}', "other "),
        (b"[1]", "must be of type object"),
        (b"", "is not JSON"),
        (b"secret", "is not JSON"),
        (b'{"id": NaN}', "is not JSON"),
        (b"\xff", "is not JSON"),
    ],
)
def test_json_is_validated_by_its_schema(body, errors):
    if not errors:
        assert accepted(compiled(USERS), response(body)).body == body
        return

    detail = refused_body(compiled(USERS), response(body))

    assert detail.startswith(f"get_users: {AT}/200/content/application~1json/schema: {errors}")
    assert "secret" not in detail


def test_all_errors_are_reported():
    detail = refused_body(compiled(USERS), response(b'{"id": "a", "owner": {"id": "b"}}'))

    assert "owner.id must be of type integer" in detail
    assert "; " in detail


def test_the_exact_status_precedes_its_range():
    responses = compiled(USERS)

    accepted(responses, response(b'{"id": 1}', status=404))
    accepted(responses, response(b"Teapot", "text/plain", status=418))
    assert "#/components/responses/Problem/content" in refused_body(responses, response(b"5", status=404))
    assert (
        rejected_headers(responses, response(b"{}", status=500))
        == f"get_users: {AT}: status 500 is not documented"
    )


def test_default_covers_every_other_status():
    accepted(compiled({"default": of_json({"type": "integer"})}), response(b"1", status=503))


@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        ("text/html", "this media type is not documented"),
        ("nonsense", "this media type is not documented"),
        (None, "Content-Type is missing"),
    ],
)
def test_the_media_type_is_documented(content_type, problem):
    detail = rejected_headers(compiled(USERS), response(b"{}", content_type))

    assert detail == f"get_users: {AT}/200/content: {problem}"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"1"),
        ("Application/JSON; charset=utf-8", b"1"),
        ("application/xml", b"a"),
        ("text/csv; header=present", b"ab"),
        ("text/csv; header=absent", b"abc"),
        ("image/png", b"abcd"),
        ("multipart/mixed", b"anything"),
    ],
)
def test_the_most_specific_media_type_is_used(content_type, body):
    responses = compiled(
        {
            "200": response_of(
                {
                    "*/*": {},
                    "image/*": {"schema": {"type": "string", "minLength": 4}},
                    "text/csv": {"schema": {"type": "string", "minLength": 3, "maxLength": 3}},
                    "text/csv; header=present": {"schema": {"type": "string", "maxLength": 2}},
                    "application/*": {"schema": {"type": "string", "maxLength": 1}},
                    "application/json": {"schema": {"type": "integer"}},
                }
            )
        }
    )

    accepted(responses, response(body, content_type))
    if content_type != "multipart/mixed":
        refused_body(responses, response(b"1.5 " if body != b"abcd" else b"", content_type))


def test_a_body_is_documented():
    responses = compiled({"200": response_of({}), "204": response_of(), "202": response_of()})

    accepted(responses, response(b"", None))
    accepted(responses, response(b"", None, 204))
    accepted(responses, response(b"anything", status=202))
    assert refused_body(responses, response(b"secret")) == (
        f"get_users: {AT}/200: the response has a body, and none is documented"
    )


def test_the_response_to_head_may_leave_out_the_body_only():
    responses = compiled(
        {
            "200": response_of(
                {JSON: {"schema": {"type": "integer"}}}, headers={"X": {"required": True, "schema": {}}}
            )
        }
    )

    accepted(responses, response(b"", None, X="1"), head=True)
    with pytest.raises(NonConformingResponseBody):
        accepted(responses, response(b'"a"', X="1"), head=True)
    with pytest.raises(NonConformingResponseHeaders):
        accepted(responses, response(b""), head=True)


@pytest.mark.parametrize(
    ("schema", "content_type", "valid", "invalid"),
    [
        ({"type": "string", "maxLength": 2}, "text/plain", "éé".encode(), b"abc"),
        ({"type": "string", "maxLength": 2}, "text/plain; charset=latin-1", b"\xe9\xe9", b"abc"),
        ({"type": "string", "maxLength": 2}, "text/plain", b"", b"\xff"),
        ({"type": "string"}, "text/plain; charset=utf-8", b"a", b"\xff"),
        ({"type": "integer", "minimum": 5}, "text/plain", b"5", b"4"),
        ({"type": "number"}, "text/plain", b"1.5", b"a"),
        ({"type": "boolean"}, "text/plain", b"true", b"True"),
        ({"type": "string", "enum": ["a"]}, "application/xml", b"a", b"<a/>"),
        ({"type": "string", "format": "binary", "maxLength": 2}, "text/plain", b"\xff\xff", b"\xff\xff\xff"),
        ({"type": "string", "maxLength": 2}, "image/svg+xml", "éé".encode(), b"abc"),
        ({"type": "string", "maxLength": 2}, "application/octet-stream", b"\xff\xff", "éé".encode()),
    ],
)
def test_text_and_octets_are_validated_as_one_value(schema, content_type, valid, invalid):
    responses = compiled({"200": response_of({content_type.partition(";")[0]: {"schema": schema}})})

    accepted(responses, response(valid, content_type))
    refused_body(responses, response(invalid, content_type))


def test_an_unknown_charset_is_refused():
    responses = compiled({"200": response_of({"text/plain": {"schema": {"type": "string"}}})})

    assert "not text in the charset" in refused_body(responses, response(b"a", "text/plain; charset=none"))


def test_a_range_with_an_object_covers_json_only():
    responses = compiled({"200": response_of({"*/*": {"schema": {"$ref": "#/components/schemas/User"}}})})

    accepted(responses, response(b'{"id": 1}'))
    assert "text/csv is not parsed" in refused_body(responses, response(b"id\n1\n", "text/csv"))


HEADERS: dict[str, Any] = {
    "ETag": {"$ref": "#/components/headers/Etag"},
    "Content-Type": {"required": True, "schema": {"type": "integer"}},
    "X-Rate": {"schema": {"type": "integer", "minimum": 0}},
    "X-Flag": {"schema": {"type": "boolean"}, "style": "simple"},
    "X-List": {"schema": {"type": "array", "items": {"type": "integer"}}},
    "X-Object": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "X-Exploded": {"explode": True, "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "X-Json": {"content": {JSON: {"schema": {"type": "array", "items": {"type": "integer"}}}}},
    "X-Anything": {"content": {JSON: {}}},
}


@pytest.mark.parametrize(
    ("name", "valid", "invalid", "field"),
    [
        ("ETag", '"a"', "secret", "ETag"),
        ("X_Rate", "5", "-1", "X-Rate"),
        ("X_Rate", "0", "secret", "X-Rate"),
        ("X_Flag", "false", "secret", "X-Flag"),
        ("X_List", "1, 2", "1, secret", "X-List[1]"),
        ("X_Object", "a, 1, b, c", "a, secret", "X-Object.a"),
        ("X_Object", "a,1", "a,1,secret", "X-Object"),
        ("X_Exploded", "a=1, b=c", "a=secret", "X-Exploded.a"),
        ("X_Exploded", "a=1", "secret", "X-Exploded"),
        ("X_Json", "[1]", '["secret"]', "X-Json[0]"),
        ("X_Json", "[]", "secret", "X-Json"),
        ("X_Anything", "{}", "secret", "X-Anything"),
    ],
)
def test_headers_are_validated_by_their_schemas(name, valid, invalid, field):
    responses = compiled({"200": response_of(headers=HEADERS)})
    etag = {} if name == "ETag" else {"ETag": '"1"'}

    accepted(responses, response(b"", None, **etag, **{name: valid}))
    detail = rejected_headers(responses, response(b"", None, **etag, **{name: invalid}))

    place = "#/components/headers/Etag" if name == "ETag" else f"{AT}/200/headers/{name.replace('_', '-')}"
    assert detail.startswith(f"get_users: {place}: {field} ")
    assert "secret" not in detail


def test_a_required_header_is_present():
    responses = compiled({"200": response_of(headers=HEADERS)})

    assert (
        rejected_headers(responses, response(b"", None))
        == "get_users: #/components/headers/Etag: ETag is missing"
    )


def test_repeated_headers_count_as_one_except_cookies():
    array = {"schema": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}}
    cookie = {"schema": {"type": "string", "pattern": "^[^,]*$"}}
    responses = compiled({"200": response_of(headers={"X-List": array, "Set-Cookie": cookie})})

    accepted(
        responses,
        Response(200, [(b"x-list", b"1"), (b"x-list", b"2"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]),
    )
    assert "X-List" in rejected_headers(responses, Response(200, [(b"x-list", b"1,2"), (b"x-list", b"3")]))
    assert "Set-Cookie" in rejected_headers(
        responses, Response(200, [(b"set-cookie", b"a"), (b"set-cookie", b"b,c")])
    )


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_a_streamed_body_is_read_only_where_its_schema_needs_it(tmp_path: Path):
    anything = response_of(
        {"*/*": {"schema": {"type": "string", "format": "binary", "title": "file"}}, "text/plain": {}}
    )
    responses = compiled({"200": anything, "201": of_json({"type": "integer"}), "202": response_of({})})
    path = tmp_path / "file"
    path.write_bytes(b"1")

    for content_type in ("text/csv", "text/plain"):
        unread = response(io.BytesIO(b"1"), content_type)
        assert accepted(responses, unread) is unread
    assert accepted(responses, response(stream(b"1", b"2"), JSON, 201)).body == b"12"
    file = responses.convert(starlette.FileResponse(path, 201, media_type=JSON))
    assert accepted(responses, file).body == b"1"
    assert accepted(responses, response(stream(), None, 202)).body == b""
    refused_body(responses, response(stream(b"1", b"a"), JSON, 201))
    refused_body(responses, response(stream(b"1"), None, 202))
    rejected_headers(responses, response(stream(b"1"), None))
    rejected_headers(responses, response(stream(b"1"), JSON, 418))


def test_the_program_may_validate_bodies_itself():
    of_xml = {"200": response_of({"application/xml": {"schema": {"type": "object"}}})}

    accepted(
        compiled(of_xml, validated_elsewhere=MediaTypeDict({"*/xml": None})),
        response(b"<a/>", "application/xml"),
    )


DOCUMENT_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "an object in XML": (
        {"200": response_of({"application/xml": {"schema": {"$ref": "#/components/schemas/User"}}})},
        f"{AT}/200/content/application~1xml/schema: bodies of application/xml are not parsed",
    ),
    "no media type": ({"200": response_of({"json": {}})}, f"{AT}/200/content/json: json is not a media type"),
    "a body of 204": ({"204": of_json({})}, f"{AT}/204/content: a response of status 204 has no body"),
    "text in a header's content": (
        {"200": response_of(headers={"X": {"content": {"text/plain": {}}}})},
        f"{AT}/200/headers/X/content/text~1plain: headers of text/plain are not parsed",
    ),
    "several types of a header": (
        {
            "200": response_of(
                headers={"X": {"schema": {"oneOf": [{"type": "array", "items": {}}, {"type": "string"}]}}}
            )
        },
        f"{AT}/200/headers/X/schema: the alternatives of a header are serialized differently",
    ),
    "nested arrays in a header": (
        {
            "200": response_of(
                headers={"X": {"schema": {"type": "array", "items": {"type": "array", "items": {}}}}}
            )
        },
        f"{AT}/200/headers/X/schema: ",
    ),
}


@pytest.mark.parametrize("name", DOCUMENT_ERRORS)
def test_what_cannot_be_enforced_is_refused_at_startup(name):
    definitions, message = DOCUMENT_ERRORS[name]

    with pytest.raises(DocumentError) as caught:
        compiled(definitions)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("header", [{"style": "label", "schema": {}}, {"content": {}}, {}])
def test_headers_have_the_style_simple_and_one_schema(header):
    with pytest.raises(DocumentError, match="headers/X"):
        Document(root({"200": response_of(headers={"X": header})}))


AGREED = [
    ({"id": 1}, True),
    ({"id": "a"}, False),
    ([], False),
    ({"id": 1, "tags": ["abcd"]}, False),
    ({"id": 1, "password": "a"}, False),
    ({"id": 1, "other": 1}, False),
    ({"tags": []}, False),
]


@pytest.fixture(scope="module")
def stock():
    """Let Connexion validate responses; it also requires write-only properties, which are never sent."""
    user = USER | {"required": ["id"]}
    app = connexion.FlaskApp(__name__)
    bodies: list[Any] = []
    document = json.loads(json.dumps(root({"200": of_json(user)})))
    app.add_api(document, validate_responses=True, resolver=connexion.Resolver(lambda _: bodies.pop))
    with app.test_client(raise_server_exceptions=False) as client:

        def accepts(body: Any) -> bool:
            bodies.append(body)
            return bool(client.get("/users").status_code == 200)

        yield accepts


@pytest.mark.parametrize(("body", "conforms"), AGREED)
def test_results_equal_those_of_connexion(stock, body, conforms):
    assert stock(body) is conforms

    if conforms:
        accepted(compiled(USERS), response(json.dumps(body).encode()))
    else:
        refused_body(compiled(USERS), response(json.dumps(body).encode()))


def test_a_status_that_is_not_documented_is_accepted_unless_strict():
    responses = compiled({"200": response_of()}, strict=False)

    accepted(responses, response(b"anything", status=201))


def violations(responses: Responses, candidate: Response) -> list[tuple[str, str]]:
    body = candidate.body if type(candidate.body) is bytes else None
    return list(map(tuple, responses.violations(candidate.status, candidate.headers, body)))


PET: dict[str, Any] = {
    "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
    "discriminator": {"propertyName": "kind"},
}
PETS = {
    name: {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}
    for name in ("Cat", "Dog")
}


@pytest.mark.parametrize(
    ("schema", "body", "pointer", "keyword"),
    [
        (USER, b'{"id": "secret"}', "/body/id", "type"),
        (USER, b'{"id": 1, "tags": ["a", "secret"]}', "/body/tags/1", "maxLength"),
        (USER, b'{"id": 1, "owner": {"id": "secret"}}', "/body/owner/id", "type"),
        (USER, b'{"id": 1, "password": "secret"}', "/body/password", "writeOnly"),
        (USER, b'{"id": 1, "secret": "secret"}', "/body", "additionalProperties"),
        (USER, b"{}", "/body/id", "required"),
        (USER, b"[1]", "/body", "type"),
        (USER, b"", "/body", "content"),
        (USER, b"secret", "/body", "content"),
        (USER, b"\xff", "/body", "content"),
        ({"type": "string", "pattern": "."}, rb'"\ud800"', "/body", "schema"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            b'{"secret": ""}',
            "/body/*",
            "type",
        ),
        (
            {"type": "object", "properties": {"a/b~": {"type": "integer"}}},
            b'{"a/b~": ""}',
            "/body/a~1b~0",
            "type",
        ),
        ({"type": "string", "format": "uuid"}, b'"secret"', "/body", "format"),
        ({"type": "string", "format": "date"}, b'"secret"', "/body", "format"),
        ({"type": "integer", "format": "int32"}, b"3000000000", "/body", "format"),
        (
            {"type": "array", "items": {}, "uniqueItems": True},
            b'["secret", "secret"]',
            "/body",
            "uniqueItems",
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, b"1", "/body", "exclusiveMinimum"),
        ({"not": {"type": "string"}}, b'"secret"', "/body", "not"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, b"[]", "/body", "oneOf"),
        ({"allOf": [{"$ref": "#/components/schemas/User"}]}, b'{"id": "secret"}', "/body/id", "type"),
        (PET, b'{"kind": "secret"}', "/body", "discriminator"),
        (PET, b'"secret"', "/body", "type"),
    ],
)
def test_a_violation_is_a_place_and_a_keyword(schema, body, pointer, keyword):
    definitions = {"200": of_json(schema)}
    document = Document(root(definitions) | {"components": {"schemas": {"User": USER, **PETS}}})
    responses = Responses(
        definitions, AT, document=document, schemas=Schemas(document.root), operation_id="", validate=True
    )

    assert violations(responses, response(body)) == [(pointer, keyword)]
    refused_body(responses, response(body))


def test_a_deep_value_has_a_violation():
    responses = compiled({"200": of_json({"type": "object"})})

    for depth in (500, 100_000):
        assert violations(responses, response(b"[" * depth + b"]" * depth))


@pytest.mark.parametrize(
    ("candidate", "place"),
    [
        (response(b"{}", status=500), ("/status", "responses")),
        (response(b"{}", "text/html"), ("/headers/Content-Type", "content")),
        (response(b"{}", None), ("/headers/Content-Type", "required")),
        (response(b"secret", status=202), ("/body", "content")),
        (response(io.BytesIO(b"secret"), status=202), ("/body", "content")),
        (response(b"", status=202), None),
        (response(b"anything", status=203), None),
        (response(b"", None, status=204), None),
        (response(b"anything", "text/plain"), None),
        (response(io.BytesIO(b"unknown")), None),
        (response(b'{"id": 1}'), None),
    ],
)
def test_status_media_type_and_body_have_violations(candidate, place):
    both = {JSON: {"schema": {"$ref": "#/components/schemas/User"}}, "text/plain": {}}
    responses = compiled(
        {"200": response_of(both), "202": response_of({}), "203": response_of(), "204": response_of()}
    )

    assert violations(responses, candidate) == ([place] if place else [])


@pytest.mark.parametrize(
    ("name", "valid", "invalid", "place", "keyword"),
    [
        ("X_Rate", "5", "-1", "/headers/X-Rate", "minimum"),
        ("X_Rate", "0", "secret", "/headers/X-Rate", "type"),
        ("X_List", "1, 2", "1, secret", "/headers/X-List/1", "type"),
        ("X_Object", "a, 1, b, c", "a, secret", "/headers/X-Object/a", "type"),
        ("X_Object", "a,1", "a,1,secret", "/headers/X-Object", "schema"),
        ("X_Json", "[1]", '["secret"]', "/headers/X-Json/0", "type"),
        ("X_Json", "[]", "secret", "/headers/X-Json", "content"),
    ],
)
def test_headers_have_violations(name, valid, invalid, place, keyword):
    responses = compiled({"200": response_of(headers=HEADERS)})

    assert violations(responses, response(b"", None, ETag='"1"', **{name: valid})) == []
    assert violations(responses, response(b"", None, ETag='"1"', **{name: invalid})) == [(place, keyword)]
    assert violations(responses, response(b"", None, **{name: invalid})) == [
        ("/headers/ETag", "required"),
        (place, keyword),
    ]


def test_responses_that_are_not_compiled_have_no_violations():
    document = Document(root({"200": of_json(USER)}))
    responses = Responses({}, AT, document=document, schemas=Schemas(document.root), operation_id="")

    assert violations(responses, response(b"{}", status=500)) == []
