"""Request bodies: media types, JSON, text and binary."""

import json
from typing import Any

import pytest

from users_api.engine.bodies import Bodies, Payload
from users_api.engine.document import Document
from users_api.engine.failures import DocumentError, InvalidPayload, UnsupportedMediaType
from users_api.engine.schemas import Schemas

JSON = (b"content-type", b"application/json")
USER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["username"],
    "properties": {"username": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
BINARY = {"type": "string", "format": "binary"}
ANY_JSON = {"application/json": {}}


def make(content: dict[str, Any], *, strict: bool = True, **body: Any) -> Bodies:
    request_body = {"content": content, **body}
    document = Document.load(
        {
            "openapi": "3.0.3",
            "info": {"title": "Bodies", "version": "1"},
            "paths": {
                "/": {
                    "post": {
                        "requestBody": {"$ref": "#/components/requestBodies/One"},
                        "responses": {"200": {"description": "OK"}},
                    }
                }
            },
            "components": {"requestBodies": {"One": request_body}, "schemas": {"User": USER}},
        }
    )
    (node,) = document.operations()
    pointer = f"{node.pointer}/requestBody"
    schemas = Schemas(document.root)
    return Bodies(node.operation["requestBody"], pointer, document=document, schemas=schemas, strict=strict)


def of(media_type: str, schema: dict[str, Any] | None = None, **options: Any) -> Bodies:
    return make({media_type: {} if schema is None else {"schema": schema}}, **options)


def header(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"content-type", text.encode("latin-1"))]


def rejected(bodies: Bodies, headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidPayload) as caught:
        bodies.parse(headers, body)
    return [tuple(error) for error in caught.value.errors]


def errors(bodies: Bodies, body: bytes) -> list[tuple[str, str]]:
    try:
        bodies.parse([JSON], body)
    except InvalidPayload as error:
        return [tuple(each) for each in error.errors]
    return []


def test_a_body_has_its_name_media_types_and_required_flag():
    bodies = make({"application/json": {}, "text/plain": {}}, required=True, **{"x-body-name": "user"})

    assert (bodies.required, bodies.name) == (True, "user")
    assert bodies.media_types == ["application/json", "text/plain"]


def test_an_integer_beyond_64_bits_stays_exact():
    bodies = make(
        {"application/json": {"schema": {"type": "array", "items": {"type": "integer", "multipleOf": 2}}}}
    )

    assert bodies.parse([JSON], b"[-99737876568979886047232, 18446744073709551616]").value == [
        -99737876568979886047232,
        2**64,
    ]


def test_a_json_body_that_conforms_is_the_value():
    bodies = of("application/json", {"$ref": "#/components/schemas/User"})

    payload = bodies.parse([JSON], b'{"username": "ada", "tags": ["a:b"]}')

    assert payload == Payload({"username": "ada", "tags": ["a:b"]}, {})


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"", [("", "is required")]),
        (b"{}", [("username", "is required")]),
        (b'{"username": 1}', [("username", "must be of type string")]),
        (
            b'{"username": "ada", "x": 1, "y": 2}',
            [("x", UNKNOWN := "is not a known property"), ("y", UNKNOWN)],
        ),
        (b'{"username": "ada", "tags": ["a", 1]}', [("tags[1]", "must be of type string")]),
        (b'{"username": "a", "username": "b"}', [("username", "is given more than once")]),
        (b'{"x": 1, "username": "a", "x": 1}', [("x", UNKNOWN), ("x", "is given more than once")]),
        (
            b'{"username": "ada", "tags": {"a": 1, "a": 2}}',
            [("tags", "must be of type array"), ("a", "is given more than once")],
        ),
        (b'{"username": ' + b"[" * 250 + b"]" * 250 + b"}", [("username", "must be of type string")]),
        (b'{"username": ' + b"[" * 256 + b"]" * 256 + b"}", [("", "is nested too deeply")]),
        (b"[" + b"[]," * 256 + b"[]]", [("", "must be of type object")]),
        (b'[{"a": 1, "a": 2}]', [("", "must be of type object"), ("a", "is given more than once")]),
    ],
)
def test_every_error_of_a_json_body_is_reported(body, errors):
    bodies = of("application/json", USER, required=True)

    assert rejected(bodies, [JSON], body) == errors


@pytest.mark.parametrize(
    "body",
    [b"{", b"{'a': 1}", b"NaN", b"\xef\xbb\xbf{}", b'"\\ud800"', b'"\xff"', b"[" * 1_000, b'{"a": 1,}'],
)
def test_a_body_that_is_not_json_is_rejected(body):
    ((field, message),) = rejected(of("application/json"), [JSON], body)

    assert field == ""
    assert message.startswith("must be JSON in UTF-8: ")


def test_at_most_100_errors_are_reported():
    bodies = of("application/json", {"type": "object", "additionalProperties": False})
    names = b", ".join(b'"n%d": 0' % number for number in range(101))

    unknown, repeated, both = (
        rejected(kind, [JSON], body)
        for kind, body in (
            (bodies, b"{%b}" % names),
            (of("application/json"), b"[{%b, %b}]" % (names, names)),
            (bodies, b'{%b, "n1": 0}' % names),
        )
    )

    assert unknown == both == [(f"n{number}", UNKNOWN) for number in range(100)]
    assert repeated == [(f"n{number}", "is given more than once") for number in range(100)]


@pytest.mark.parametrize(
    ("schema", "most"),
    [
        ({}, 12_000),
        ({"type": "string"}, 1_000),
        ({"type": "array", "maxItems": 2_000, "items": {"type": "integer"}}, 2_000),
        ({"type": "array", "maxItems": 50_000, "items": {"type": "integer"}}, 50_000),
        ({"type": "array", "maxItems": 20_000}, 32_000),
    ],
)
def test_a_schema_limits_how_many_items_and_properties_are_parsed(schema, most):
    bodies = of("application/json", schema)
    allowed, longer = (b"[" + b",".join([b"0"] * count) + b"]" for count in (most, most + 1))
    too_many = [("", f"must have {most} or fewer items and properties")]

    assert errors(bodies, allowed) != too_many
    assert errors(bodies, longer) == too_many
    assert errors(bodies, longer.replace(b"0", b'"[,{"')) == too_many
    assert errors(bodies, b"[" + b",".join([b'["x"]'] * (most // 2 + 1)) + b"]") == too_many


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"[{,:" * 100_000 + b'"]',
        b'["' + rb"\\\\[,\"," * 100_000 + b'"]',
        b"[" + rb'"\\","\"",' * 5_999 + b'""]',
        b"[" + b"[ ],{\n}," * 5_999 + b"[\t]]",
        b"[" + b" " * 500_000 + b"]",
    ],
    ids=["brackets in a string", "escapes", "many strings", "empty containers", "whitespace"],
)
def test_only_items_and_properties_count(body):
    assert of("application/json").parse([JSON], body).value == json.loads(body)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, {}),
        ({"type": "object"}, {}),
        ({"type": "object", "nullable": True}, None),
        ({"type": "object", "default": {"a": [1]}}, {"a": [1]}),
        ({"type": "object", "nullable": True, "default": {"a": [1]}}, {"a": [1]}),
    ],
)
@pytest.mark.parametrize("headers", [[], [JSON], [(b"content-encoding", b"gzip")]])
def test_a_body_may_be_absent(schema, value, headers):
    headers = headers if headers != [JSON] else [JSON, (b"content-encoding", b"")]

    assert of("application/json", schema).parse(headers, b"") == Payload(value, {})


def test_a_default_is_copied_for_each_request():
    bodies = of("application/json", {"type": "object", "default": {"a": []}}, required=True)

    bodies.parse([], b"").value["a"].append(1)

    assert bodies.parse([], b"").value == {"a": []}


def test_null_is_a_body_where_it_is_allowed():
    assert of("application/json", {"type": "object", "nullable": True}).parse([JSON], b"null").value is None
    assert rejected(of("application/json", {"type": "object"}), [JSON], b"null") == [
        ("", "must be of type object")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json   ;   ChArSeT=utf8   ",
        "application/json;",
        r'application/json; charset="utf\-8"',
        "application/json; charset=utf-8; charset=utf-8",
    ],
)
def test_json_in_utf8_may_be_declared_in_many_ways(text):
    assert of("application/json").parse(header(text), b"1").value == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "application",
        "/",
        "application/json/",
        "application/jsonp",
        "*/*",
        "application/json\xff",
        '"application/json"',
        "application / json",
        "application/json, text/plain",
        "application/json; charset=",
        "application/json; charset=utf-16",
        "application/json; charset=us-ascii",
        "application/json; charset=utf-16; charset=utf-8",
        "application/json; version=1",
        "application/json; charset",
        "application/problem+json",
        "application/x-www-form-urlencoded",
    ],
)
@pytest.mark.parametrize("body", [b"1", b""])
def test_another_media_type_is_rejected(text, body):
    with pytest.raises(UnsupportedMediaType):
        of("application/json").parse(header(text), body)


@pytest.mark.parametrize(
    "headers",
    [[JSON, JSON], [JSON, (b"content-encoding", b"gzip")], [JSON, (b"content-encoding", b"identity")]],
)
@pytest.mark.parametrize("body", [b"1", b""])
def test_a_second_media_type_and_a_content_coding_are_rejected(headers, body):
    with pytest.raises(UnsupportedMediaType):
        of("application/json").parse(headers, body)


def test_without_content_type_the_first_media_type_is_used_unless_strict():
    content = {"application/problem+json": {}, "text/plain": {}}

    assert make(content, strict=False).parse([], b"[1]").value == [1]
    with pytest.raises(UnsupportedMediaType, match="None"):
        make(content).parse([], b"[1]")


def test_other_parameters_of_json_are_ignored_unless_strict():
    assert of("application/json", strict=False).parse(header("application/json; v=1"), b"1").value == 1


def test_a_media_type_is_chosen_before_anything_is_parsed():
    parse = of("application/json").select([JSON], b"{")

    with pytest.raises(InvalidPayload):
        parse(b"{")


CONTENT = {
    "application/json": {"schema": {"enum": [1]}},
    "application/*": {"schema": BINARY},
    "*/*": {},
    "text/*": {"schema": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("media_type", "body", "value"),
    [
        ("application/json", b"1", 1),
        ("application/vnd.x+json", b"{", b"{"),
        ("application/x-www-form-urlencoded", b"a=1", b"a=1"),
        ("application/zip", b"\xff", b"\xff"),
        ("text/csv", b"5", 5),
        ("image/png", b"\xff", b"\xff"),
        ("model/gltf+json", b"[]", []),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
            {"a": "1"},
        ),
    ],
)
def test_the_most_specific_media_type_wins(media_type, body, value):
    assert make(CONTENT).parse(header(media_type), body).value == value


def test_a_range_accepts_what_its_schema_can_check():
    bodies = of("application/*", {"type": "object", "properties": {"a": {}}})

    assert bodies.parse(header("application/json"), b'{"a": 1}').value == {"a": 1}
    assert bodies.parse(header("application/x-www-form-urlencoded"), b"a=1").value == {"a": "1"}
    with pytest.raises(UnsupportedMediaType):
        bodies.parse(header("application/zip"), b"{}")


def test_empty_content_accepts_any_body():
    assert make({}).parse(header("image/png"), b"\xff").value == b"\xff"


@pytest.mark.parametrize(
    ("charset", "body", "value"),
    [("", b"\xc3\xa9", "é"), ("; charset=UTF-8", b"\xc3\xa9", "é"), ("; charset=us-ascii", b"e", "e")],
)
def test_a_text_is_a_string(charset, body, value):
    assert of("text/plain", {"type": "string"}).parse(header(f"text/plain{charset}"), body).value == value


@pytest.mark.parametrize(
    ("charset", "body", "message"),
    [
        ("", b"\xff", "must be text in UTF-8"),
        ("; charset=us-ascii", b"\xc3\xa9", "must be text in ASCII"),
        ("", b"abc", "must have 2 or fewer characters"),
    ],
)
def test_a_text_that_does_not_conform_is_rejected(charset, body, message):
    bodies = of("text/plain", {"type": "string", "maxLength": 2})

    assert rejected(bodies, header(f"text/plain{charset}"), body) == [("", message)]


def test_a_text_in_another_charset_is_rejected():
    with pytest.raises(UnsupportedMediaType, match="UTF-8"):
        of("text/plain").parse(header("text/plain; charset=latin-1"), b"e")


@pytest.mark.parametrize(
    ("media_type", "schema"),
    [
        ("application/octet-stream", None),
        ("application/octet-stream", BINARY),
        ("application/octet-stream", {**BINARY, "maxLength": 3}),
        ("application/xml; charset=utf-16", {"type": "string"}),
        ("text/csv", BINARY),
    ],
)
def test_binary_bodies_are_bytes(media_type, schema):
    bodies = of(media_type.partition(";")[0], schema)

    assert bodies.parse(header(media_type), b"\xff\x00\xfe").value == b"\xff\x00\xfe"


@pytest.mark.parametrize(
    ("schema", "body", "message"),
    [
        ({**BINARY, "maxLength": 3}, b"\xc3\xa9\xc3\xa9", "must have 3 or fewer characters"),
        ({"type": "string", "maxLength": 3}, b"\xff", "must be text in UTF-8"),
        ({"type": "string", "format": "date"}, b"yesterday", "must be a valid date"),
    ],
)
def test_binary_bodies_that_do_not_conform_are_rejected(schema, body, message):
    bodies = of("application/octet-stream", schema)

    assert rejected(bodies, header("application/octet-stream"), body) == [("", message)]


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"application/xml": {"schema": {"type": "object"}}}, "application~1xml/schema"),
        ({"application/xml": {"schema": {"enum": ["a"]}}}, "application~1xml/schema"),
        ({"text/plain": {"schema": {"type": "array", "items": {}}}}, "text~1plain/schema"),
        ({"image/*": {"schema": {"type": "object"}}}, "image~1*/schema"),
        ({"json": {}}, "json"),
        ({"application/json; version=1": {}}, "application~1json; version=1"),
        ({"application/json": {}, "Application/JSON": {}}, "Application~1JSON"),
    ],
)
def test_unsupported_bodies_are_rejected_at_startup(content, pointer):
    with pytest.raises(DocumentError) as caught:
        make(content)

    assert caught.value.pointer == f"#/components/requestBodies/One/content/{pointer}"


def test_the_default_charset_may_be_explicit():
    assert of("application/json; charset=utf-8").parse([JSON], b"1").value == 1
    with pytest.raises(UnsupportedMediaType):
        of("application/json; charset=utf-16")
