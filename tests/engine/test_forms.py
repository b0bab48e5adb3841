"""Forms: URL-encoded and multipart, with files."""

from typing import Any

import pytest
from connexion.uri_parsing import OpenAPIURIParser
from werkzeug.datastructures import FileStorage

from users_api.engine.bodies import Bodies, Payload
from users_api.engine.document import Document
from users_api.engine.failures import DocumentError, InvalidPayload, UnsupportedMediaType
from users_api.engine.schemas import Schemas

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
TEXT = {"type": "string"}
FILE = {"type": "string", "format": "binary"}
NUMBERS = {"type": "array", "items": {"type": "integer"}}
LABEL = {"schema": {"type": "integer"}}
POINT = {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}}
FIELDS = {
    "text": TEXT,
    "count": {"type": "integer"},
    "share": {"type": "number"},
    "active": {"type": "boolean"},
    "maybe": {"type": "integer", "nullable": True},
    "numbers": NUMBERS,
    "texts": {"type": "array", "items": TEXT, "maxItems": 2},
    "size": {"type": "string", "default": "M"},
}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def make(
    media_type: str,
    schema: Any = None,
    encoding: Any = None,
    *,
    strict: bool = True,
    parser: Any = None,
    **body: Any,
) -> Bodies:
    media: dict[str, Any] = {} if schema is None else {"schema": schema}
    document = Document.load(
        document_of(
            {"/": {"content": {media_type: media | ({"encoding": encoding} if encoding else {})}, **body}}
        )
    )
    (node,) = document.operations()
    return Bodies(
        node.operation["requestBody"],
        f"{node.pointer}/requestBody",
        document=document,
        schemas=Schemas(document.root),
        strict=strict,
        uri_parser_class=parser,
    )


def document_of(bodies: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "info": {"title": "Forms", "version": "1"},
        "paths": {
            path: {
                "post": {
                    "operationId": f"post{path}",
                    "requestBody": body,
                    "responses": {"200": {"description": "OK"}},
                }
            }
            for path, body in bodies.items()
        },
        "components": {
            "schemas": {"Point": POINT, "Node": closed(child={"$ref": "#/components/schemas/Node"})},
        },
    }


def part(name: str, content: str | bytes, filename: str | None = None, **headers: str) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    lines = [f'Content-Disposition: form-data; name="{name}"{file}']
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    head = "--x\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    return head.encode() + (content.encode() if isinstance(content, str) else content) + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def submit(bodies: Bodies, body: bytes) -> Payload:
    (media_type,) = bodies.media_types
    parameters = "; boundary=x" if media_type == MULTIPART else ""
    return bodies.parse([(b"content-type", (media_type + parameters).encode())], body)


def rejected(bodies: Bodies, body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidPayload) as caught:
        submit(bodies, body)
    return [tuple(error) for error in caught.value.errors]


def contents(files: dict[str, Any]) -> dict[str, Any]:
    def content(file: FileStorage) -> tuple[str | None, str]:
        return file.filename, file.read().decode()

    return {
        name: [content(each) for each in file] if isinstance(file, list) else content(file)
        for name, file in files.items()
    }


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (
            b"text=a+b%26c&count=-5&share=1.5&active=true",
            {"text": "a b&c", "count": -5, "share": 1.5, "active": True},
        ),
        ("text=Zoë".encode(), {"text": "Zoë"}),
        (b"text=", {"text": ""}),
        (b"maybe=null", {"maybe": None}),
        (b"maybe=5", {"maybe": 5}),
        (b"numbers=1&numbers=2", {"numbers": [1, 2]}),
        (b"numbers=1", {"numbers": [1]}),
        (b"texts=a%2Cb&texts=c,d", {"texts": ["a,b", "c,d"]}),
        (b"size=L", {"size": "L"}),
    ],
)
def test_the_fields_of_a_form_are_typed_by_its_schema(body, value):
    assert submit(make(URLENCODED, closed(**FIELDS)), body) == Payload({"size": "M"} | value, {})


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"count=five", [("count", "must be of type integer")]),
        (b"active=yes", [("active", "must be of type boolean")]),
        (b"numbers=1&numbers=b", [("numbers[1]", "must be of type integer")]),
        (b"texts=a&texts=b&texts=c", [("texts", "must have 2 or fewer items")]),
        (b"count=1&count=2", [("count", "is given more than once")]),
        (b"x=1&count=a", [("x", "is not a known property"), ("count", "must be of type integer")]),
        (b"text=%zz", [("", "must be percent-encoded UTF-8")]),
        (b"text=%ff", [("", "must be percent-encoded UTF-8")]),
        (b"text=\xff", [("", "must be percent-encoded UTF-8")]),
        (b"&" * 12_000, [("", "must have 12000 or fewer properties")]),
    ],
)
def test_every_error_of_a_form_is_reported(body, errors):
    assert rejected(make(URLENCODED, closed(**FIELDS)), body) == errors


TOO_MANY = "must have 12000 or fewer items and properties"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ({"explode": False}, b"numbers=" + b"1," * 12_000),
        ({"contentType": "application/json"}, b"numbers=[" + b"1," * 12_000 + b"1]"),
        (
            {"contentType": "application/json"},
            b"numbers=[" + b"1," * 6_000 + b"1]&numbers=[" + b"1," * 6_000 + b"1]",
        ),
    ],
    ids=["one text", "JSON", "two texts of JSON"],
)
def test_a_field_of_too_many_items_has_one_error(encoding, body):
    bodies = make(URLENCODED, closed(numbers=NUMBERS), {"numbers": encoding})

    assert rejected(bodies, body) == [("numbers", TOO_MANY)]


def test_at_most_100_errors_of_a_form_are_reported():
    body = "&".join(f"x{number}=1" for number in range(101)).encode()

    assert rejected(make(URLENCODED, closed(**FIELDS)), b"count=a&" + body) == [
        *((f"x{number}", "is not a known property") for number in range(100)),
    ]


def test_a_multipart_body_begins_with_its_boundary():
    bodies, body = make(MULTIPART, closed(**FIELDS)), multipart(part("text", "a"))

    assert submit(bodies, b"\r\n" * 512 + body).value["text"] == "a"
    assert rejected(bodies, b"\r\n" * 513 + body) == [
        ("", "must be multipart/form-data with the boundary of its Content-Type")
    ]


@pytest.mark.parametrize(
    "head", [";" * 10_000, ";a=b" * 10_000, "\r\nX: y" * 5_000, "x" * 2**17, r'; filename="\"' * 5_000]
)
def test_the_heads_of_parts_are_limited(head):
    body = b"--x\r\nContent-Disposition: form-data; name=text" + head.encode() + b"\r\n\r\na\r\n"

    assert rejected(make(MULTIPART, closed(**FIELDS)), multipart(body)) == [
        ("", "must have fewer or shorter headers in its parts")
    ]


def test_a_rejected_field_is_not_reported_as_missing():
    schema = closed(point={"$ref": "#/components/schemas/Point"}, name=TEXT) | {"required": ["point", "name"]}

    first, second = rejected(make(URLENCODED, schema), b"point=(1,2)")

    assert (first[0], first[1].partition(":")[0]) == ("point", "must be JSON in UTF-8")
    assert second == ("name", "is required")


@pytest.mark.parametrize(
    ("encoding", "body", "value"),
    [
        ({"explode": False}, b"numbers=1,2", [1, 2]),
        ({"style": "form", "explode": False}, b"numbers=1%2C2", [1, 2]),
        ({"style": "spaceDelimited"}, b"numbers=1+2%203", [1, 2, 3]),
        ({"style": "pipeDelimited"}, b"numbers=1%7C2|3", [1, 2, 3]),
        ({"style": "pipeDelimited", "explode": True}, b"numbers=1&numbers=2", [1, 2]),
        ({"contentType": "application/json"}, b"numbers=[1,2]", [1, 2]),
        ({"contentType": "text/plain"}, b"numbers=1&numbers=2", [1, 2]),
    ],
)
def test_arrays_are_parsed_by_their_encoding(encoding, body, value):
    bodies = make(URLENCODED, closed(numbers=NUMBERS), {"numbers": encoding})

    assert submit(bodies, body).value == {"numbers": value}


def test_a_delimited_array_comes_once_where_strict_and_else_the_last_one_counts():
    schema, encoding = closed(numbers=NUMBERS), {"numbers": {"explode": False}}

    assert rejected(make(URLENCODED, schema, encoding), b"numbers=1&numbers=2") == [
        ("numbers", "is given more than once")
    ]
    assert submit(make(URLENCODED, schema, encoding, strict=False), b"numbers=1&numbers=2,3").value == {
        "numbers": [2, 3]
    }


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'point={"x":1}', {"point": {"x": 1}}),
        (b'points=[{"x":1},{"x":2}]', {"points": [{"x": 1}, {"x": 2}]}),
        (b'points={"x":1}&points={"x":2}', {"points": [{"x": 1}, {"x": 2}]}),
        (b'points={"x":1}', {"points": [{"x": 1}]}),
        (b"grid=[[1],[2]]", {"grid": [[1], [2]]}),
    ],
)
def test_objects_and_arrays_of_them_are_json(body, value):
    point = {"$ref": "#/components/schemas/Point"}
    schema = closed(
        point=point, points={"type": "array", "items": point}, grid={"type": "array", "items": NUMBERS}
    )

    assert submit(make(URLENCODED, schema), body).value == value


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'point={"x":1}&point={"x":2}', [("point", "is given more than once")]),
        (b'point={"x":1,"x":2}', [("point.x", "is given more than once")]),
        (b'point={"x":"a"}', [("point.x", "must be of type integer")]),
    ],
)
def test_objects_in_forms_are_checked(body, errors):
    assert rejected(make(URLENCODED, closed(point={"$ref": "#/components/schemas/Point"})), body) == errors


def test_the_fields_of_composed_schemas_are_typed_too():
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Point"}],
        "oneOf": [
            closed(kind={"type": "string", "enum": ["a"]}, size={"type": "integer"}) | {"required": ["kind"]},
            closed(kind={"type": "string", "enum": ["b"]}, size={"type": "boolean"}) | {"required": ["kind"]},
        ],
    }
    bodies = make(URLENCODED, schema)

    assert submit(bodies, b"x=1&kind=a&size=2").value == {"x": 1, "kind": "a", "size": 2}
    assert submit(bodies, b"x=1&kind=b&size=true").value == {"x": 1, "kind": "b", "size": True}


def test_additional_properties_allow_further_fields():
    typed = {"type": "object", "additionalProperties": {"type": "integer"}}

    assert submit(make(URLENCODED, typed), b"a=1").value == {"a": 1}
    assert submit(make(URLENCODED, {"type": "object", "additionalProperties": True}), b"a=1").value == {
        "a": "1"
    }
    assert submit(make(URLENCODED, closed(), strict=False), b"a=1&a=2").value == {"a": "1,2"}
    assert submit(make(URLENCODED), b"a=1").value == {"a": "1"}
    assert rejected(make(URLENCODED, typed | {"additionalProperties": False}, strict=False), b"a=1") == [
        ("a", "is not a known property")
    ]


@pytest.mark.parametrize("headers", [[], [(b"content-type", URLENCODED.encode())]])
def test_a_form_without_a_body_is_the_empty_form(headers):
    default = closed(numbers=NUMBERS) | {"default": {"numbers": [1]}}

    assert make(URLENCODED, closed()).parse(headers, b"").value == {}
    assert make(URLENCODED, default, required=True).parse(headers, b"").value == {"numbers": [1]}
    for body in ({"required": True}, {"schema": closed(text=TEXT) | {"required": ["text"]}}):
        with pytest.raises(InvalidPayload, match="is required"):
            make(URLENCODED, **body).parse(headers, b"")


def test_a_form_in_another_charset_is_rejected():
    bodies = make(URLENCODED, closed(text=TEXT))

    assert bodies.parse([(b"content-type", f"{URLENCODED}; charset=UTF-8".encode())], b"text=a").value == {
        "text": "a"
    }
    with pytest.raises(UnsupportedMediaType):
        bodies.parse([(b"content-type", f"{URLENCODED}; charset=latin-1".encode())], b"text=a")


class FirstText(OpenAPIURIParser):
    """Uses the first of several texts."""

    @staticmethod
    def _resolve_param_duplicates(values, param_defn, _in):  # noqa: ARG004 -- Connexion passes it.
        return values[0]


def test_a_custom_uri_parser_replaces_styles():
    bodies = make(URLENCODED, closed(text=TEXT, numbers=NUMBERS), parser=FirstText)

    assert submit(bodies, b"text=a&text=b&numbers=1,2&numbers=3").value == {"text": "a", "numbers": [1, 2]}
    assert make(URLENCODED, closed(text=TEXT), parser=OpenAPIURIParser).parse([], b"").value == {}


UPLOAD = closed(
    file=FILE,
    files={"type": "array", "items": FILE, "maxItems": 2},
    text=TEXT,
    count={"type": "integer"},
    point={"$ref": "#/components/schemas/Point"},
    small=FILE | {"minLength": 2, "maxLength": 3},
)


@pytest.mark.parametrize(
    ("parts", "value", "files"),
    [
        ([part("file", "hi", "a.txt")], {}, {"file": ("a.txt", "hi")}),
        ([part("file", "hi")], {}, {"file": (None, "hi")}),
        ([part("file", "")], {}, {"file": (None, "")}),
        ([part("files", "1", "a"), part("files", "2", "b")], {}, {"files": [("a", "1"), ("b", "2")]}),
        ([part("files", "1", "a")], {}, {"files": [("a", "1")]}),
        ([part("small", "é", "a")], {}, {"small": ("a", "é")}),
        ([part("count", "5"), part("file", "hi", "a")], {"count": 5}, {"file": ("a", "hi")}),
        ([part("text", "Zoë", Content_Type="text/plain; charset=utf-8")], {"text": "Zoë"}, {}),
        ([part("text", "e", Content_Type="text/plain; charset=us-ascii")], {"text": "e"}, {}),
        ([part("point", '{"x": 1}')], {"point": {"x": 1}}, {}),
        ([part("point", '{"x": 1}', "blob", Content_Type="application/json")], {"point": {"x": 1}}, {}),
        ([], {}, {}),
    ],
)
def test_files_and_fields_are_parsed_together(parts, value, files):
    payload = submit(make(MULTIPART, UPLOAD), multipart(*parts))

    assert (payload.value, contents(payload.files)) == (value, files)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (multipart(part("file", "1", "a"), part("file", "2", "b")), [("file", "is given more than once")]),
        (multipart(*[part("files", "1", "a")] * 3), [("files", "must have 2 or fewer items")]),
        (multipart(part("small", "1", "a")), [("small", "must have 2 or more characters")]),
        (multipart(part("small", "éé", "a")), [("small", "must have 3 or fewer characters")]),
        (multipart(part("text", "1", "a")), [("text", "must not be a file")]),
        (multipart(part("text", b"\xff")), [("text", "must be text in UTF-8")]),
        (
            multipart(part("text", "e", Content_Type="text/plain; charset=utf-16")),
            [("text", "must be text in UTF-8")],
        ),
        (multipart(part("text", "e", Content_Type="text")), [("text", "must be text in UTF-8")]),
        (multipart(part("other", "1", "a")), [("other", "is not a known property")]),
        (b"", [("file", "is required")]),
        (
            b"--y--",
            [("", NOT_MULTIPART := "must be multipart/form-data with the boundary of its Content-Type")],
        ),
        (part("file", "1", "a"), [("", NOT_MULTIPART)]),
        (b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--", [("", NOT_MULTIPART)]),
        (b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\na\r\n--x--', [("", NOT_MULTIPART)]),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--", [("", "must have a name in each part")]),
        (multipart(*[part("files", "", "a")] * 1001), [("", "must have 1000 or fewer parts")]),
    ],
)
def test_every_error_of_an_upload_is_reported(body, errors):
    schema = UPLOAD if body else UPLOAD | {"required": ["file"]}

    assert rejected(make(MULTIPART, schema), body) == errors


def test_an_upload_without_a_boundary_is_rejected():
    with pytest.raises(InvalidPayload, match="must have a boundary"):
        make(MULTIPART, UPLOAD).parse([(b"content-type", MULTIPART.encode())], multipart())


def test_files_that_the_schema_does_not_know_come_too_unless_strict():
    payload = submit(
        make(MULTIPART, closed(), strict=False),
        multipart(*[part("a", "1", "a")] * 2, part("b", "2", "b"), part("c", "3")),
    )

    assert (payload.value, contents(payload.files)) == ({"c": "3"}, {"a": [("a", "1")] * 2, "b": ("b", "2")})


@pytest.mark.parametrize(
    ("encoding", "headers", "errors"),
    [
        ({"contentType": "image/png, image/*"}, {"Content_Type": "image/jpeg"}, None),
        ({"contentType": "image/png"}, {}, None),
        ({"contentType": "image/png"}, {"Content_Type": "IMAGE/PNG; q=1"}, None),
        ({"contentType": "image/png"}, {"Content_Type": "text/plain"}, "must be of type image/png"),
        ({"contentType": "image/png"}, {"Content_Type": "png"}, "must be of type image/png"),
        ({"headers": {"Content-Type": {"schema": TEXT}}}, {}, None),
        ({"headers": {"X-Label": LABEL}}, {}, None),
        ({"headers": {"X-Label": LABEL}}, {"X_Label": "5"}, None),
        (
            {"headers": {"X-Label": LABEL}},
            {"X_Label": "five"},
            "has a header X-Label that must be of type integer",
        ),
        ({"headers": {"X-Label": {"schema": TEXT, "required": True}}}, {}, "must have the header X-Label"),
    ],
)
def test_parts_have_the_type_and_the_headers_of_their_encoding(encoding, headers, errors):
    bodies = make(MULTIPART, closed(file=FILE), {"file": encoding})
    body = multipart(part("file", "1", "a", **headers))

    if errors is None:
        assert contents(submit(bodies, body).files) == {"file": ("a", "1")}
    else:
        assert rejected(bodies, body) == [("file", errors)]


@pytest.mark.parametrize(
    ("media_type", "schema", "encoding", "pointer"),
    [
        (URLENCODED, TEXT, None, "schema"),
        (URLENCODED, closed(a=TEXT), {"b": {}}, "encoding/b"),
        (URLENCODED, closed(**{"a/b": TEXT}), {"a/b": {"style": "deepObject"}}, "encoding/a~1b"),
        (URLENCODED, closed(a=POINT), {"a": {"style": "deepObject"}}, "encoding/a"),
        (URLENCODED, closed(a=POINT), {"a": {"explode": False}}, "encoding/a"),
        (MULTIPART, closed(a=POINT), {"a": {"contentType": "application/xml"}}, "encoding/a"),
        (
            MULTIPART,
            closed(a=FILE),
            {"a": {"headers": {"B": {"content": {"text/plain": {}}}}}},
            "encoding/a/headers/B",
        ),
        (MULTIPART, closed(a=FILE), {"a": {"headers": {"B": {"schema": NUMBERS}}}}, "encoding/a/headers/B"),
    ],
)
def test_what_cannot_be_read_is_refused_at_startup(media_type, schema, encoding, pointer):
    with pytest.raises(DocumentError) as caught:
        make(media_type, schema, encoding)

    assert (
        caught.value.pointer
        == f"#/paths/~1/post/requestBody/content/{media_type.replace('/', '~1')}/{pointer}"
    )
