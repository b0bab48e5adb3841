import json
from time import thread_time
from urllib.parse import parse_qsl, quote

import pytest
from connexion.decorators.parameter import pythonic
from connexion.uri_parsing import AlwaysMultiURIParser, FirstValueURIParser, OpenAPIURIParser
from hypothesis import given, settings
from hypothesis import strategies as st

from users_api.engine.failures import DocumentError, FieldError, InvalidParameter, InvalidPathParameter
from users_api.engine.parameters import Parameters, deep_copy
from users_api.engine.schemas import Schemas

ROOT = {
    "components": {
        "schemas": {
            "Id": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 9007199254740991},
            "Tree": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "child": {"$ref": "#/components/schemas/Tree"}},
            },
        }
    }
}
INTEGER = {"type": "integer"}
MORE_THAN_4000 = "must have 4000 or fewer items and properties"
INTEGERS = {"type": "array", "items": INTEGER}
RGB = {"type": "object", "properties": {"R": INTEGER, "G": INTEGER}, "additionalProperties": False}
TREE = {"$ref": "#/components/schemas/Tree"}


def parameter(schema=None, location="query", name="p", **rest):
    definition = {"name": name, "in": location, **rest}
    if location == "path":
        definition.setdefault("required", True)
    return definition if schema is None else {**definition, "schema": schema}


def compiled(*definitions, strict=True, **options):
    pointed = [(definition, f"#/parameters/{index}") for index, definition in enumerate(definitions)]
    return Parameters(pointed, schemas=Schemas(ROOT), strict=strict, argument_name=pythonic, **options)


def scope(query="", **headers):
    lines = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"query_string": query.encode("latin-1"), "headers": lines}


def outcome(parameters, query="", **headers):
    try:
        return parameters.parse(scope(query, **headers))
    except InvalidParameter as failure:
        return failure.errors


def path_outcome(parameters, **texts):
    try:
        return parameters.parse_path(texts)
    except InvalidPathParameter as failure:
        return failure.errors


def errors(*pairs):
    return [FieldError(*pair) for pair in pairs]


def repeated(field):
    return errors((field, "is given more than once"))


def unserialized(style):
    return errors(("p", f"must be serialized in style {style}"))


NOT_INTEGER = "must be of type integer"
LISTING = compiled(
    parameter({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, name="limit"),
    parameter({"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "default": 0}, name="after"),
    parameter({"type": "string", "minLength": 1, "maxLength": 128}, name="username"),
    parameter({"type": "boolean"}, name="active"),
)
DEFAULTS = {"limit": 100, "after": 0}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", DEFAULTS),
        ("&", DEFAULTS),
        ("limit=2&active=true", DEFAULTS | {"limit": 2, "active": True}),
        ("&after=0&&active=false&", DEFAULTS | {"active": False}),
        ("username=a+b%2B%C3%A9", DEFAULTS | {"username": "a b+é"}),
        ("user%6Eame=a=b", DEFAULTS | {"username": "a=b"}),
        ("username=%00", DEFAULTS | {"username": "\0"}),
        ("limit", errors(("limit", NOT_INTEGER))),
        ("username=", errors(("username", "must have 1 or more characters"))),
        ("limit=0", errors(("limit", "must be at least 1"))),
        ("limit=01&active=True", errors(("limit", NOT_INTEGER), ("active", "must be of type boolean"))),
        (
            "x=1&limit=a&=2",
            errors(
                ("x", "is not a known parameter"), ("", "is not a known parameter"), ("limit", NOT_INTEGER)
            ),
        ),
        (
            "limit=a&x=1&limit=b",
            [
                *repeated("limit"),
                *errors(("x", "is not a known parameter")),
                *errors(("limit", NOT_INTEGER)),
            ],
        ),
        (
            "limit=x&after=y&active=z&after=1&zz=1",
            errors(
                ("after", "is given more than once"),
                ("zz", "is not a known parameter"),
                ("limit", NOT_INTEGER),
                ("after", NOT_INTEGER),
                ("active", "must be of type boolean"),
            ),
        ),
        *(
            (text, errors(("", "the query must be percent-encoded UTF-8")))
            for text in ("limit=%", "x=%zz", "%ff=1", "a=\xe9", "a=+%C3")
        ),
    ],
)
def test_a_strict_query_reports_every_error(query, value):
    assert outcome(LISTING, query) == value


def test_unknown_and_invalid_parameters_are_at_most_100_errors_together():
    unknown = "&".join(f"x{number}" for number in range(120))

    assert len(outcome(LISTING, f"limit=a&after=b&{unknown}")) == 100


def test_a_query_of_too_many_parameters_has_one_error():
    many = compiled(parameter({"type": "array", "maxItems": 5_000, "items": {"type": "integer"}}))

    assert outcome(LISTING, "x&" * 4_000) == errors(("", "the query must have 4000 or fewer parameters"))
    assert outcome(many, "p=1&" * 4_999 + "p=1") == {"p": [1] * 5_000}
    assert outcome(many, "p=1&" * 5_000) == errors(("", "the query must have 5000 or fewer parameters"))


def test_a_query_for_a_parser_has_fewer_parameters():
    parameters = compiled(parameter(INTEGERS), uri_parser_class=OpenAPIURIParser)

    assert outcome(parameters, "p=1&" * 999 + "p=1") == {"p": [1] * 1_000}
    assert outcome(parameters, "p=1&" * 1_000 + "p=1") == errors(
        ("", "the query must have 1000 or fewer parameters")
    )


def test_at_most_100_unknown_names_are_reported():
    found = outcome(LISTING, "&".join(f"x{number}" for number in range(4_000)))

    assert found == errors(*((f"x{number}", "is not a known parameter") for number in range(100)))


@pytest.mark.parametrize(
    ("style", "delimiter", "schema"),
    [
        ("form", ",", INTEGERS),
        ("spaceDelimited", "+", INTEGERS),
        ("pipeDelimited", "|", INTEGERS),
        ("form", ",1,", {"type": "object", "additionalProperties": {"type": "integer"}}),
    ],
)
def test_a_text_of_too_many_items_has_one_error(style, delimiter, schema):
    parameters = compiled(parameter(schema, style=style, explode=False))
    items = map(str, range(4_001))

    assert outcome(parameters, f"p={delimiter.join(items)}{delimiter.rstrip(',+|')}") == errors(
        ("p", MORE_THAN_4000)
    )


def test_a_schema_raises_the_number_of_items_in_a_text():
    parameters = compiled(parameter({**INTEGERS, "maxItems": 5_000}, explode=False))

    assert outcome(parameters, f"p={','.join(['1'] * 5_000)}") == {"p": [1] * 5_000}


def test_a_cookie_is_read_in_linear_time():
    parameters = compiled(parameter({"type": "string"}, "cookie"))
    start = thread_time()

    value = outcome(parameters, cookie=r'p="' + r"\\" * 30_000 + '"')

    assert value == {"p": "\\" * 30_000}
    assert thread_time() - start < 0.5  # http.cookies takes seconds before Python 3.11.10.


def test_a_lenient_query_ignores_unknown_names_and_takes_the_last_text():
    parameters = compiled(parameter(INTEGER), parameter(RGB, name="color"), strict=False)

    assert outcome(parameters, "x=1&p=a&p=2&R=1&R=2") == {"p": 2, "color": {"R": 2}}


def test_known_names_are_ignored():
    parameters = compiled(parameter(INTEGER), known_query=frozenset({"api_key"}))

    assert outcome(parameters, "api_key=1&api_key=2&p=3") == {"p": 3}


def test_integers_may_be_as_long_as_their_schema_says():
    parameters = compiled(parameter({"type": "integer", "format": "int64"}))

    assert outcome(parameters, "p=9223372036854775807") == {"p": 2**63 - 1}
    assert outcome(parameters, "p=" + "9" * 5000) == errors(("p", NOT_INTEGER))


QUERIES = [
    (INTEGERS, {}, "p=1&p=2", {"p": [1, 2]}),
    (INTEGERS, {}, "p=1,2", errors(("p[0]", NOT_INTEGER))),
    (INTEGERS, {}, "p=1&p=x&p=y", errors(("p[1]", NOT_INTEGER), ("p[2]", NOT_INTEGER))),
    ({"type": "array", "items": {"type": "string"}}, {}, "p=a,b&p=c%26d+e", {"p": ["a,b", "c&d e"]}),
    ({**INTEGERS, "nullable": True}, {}, "p=null", {"p": None}),
    ({**INTEGERS, "nullable": True}, {}, "p=1", {"p": [1]}),
    ({**INTEGERS, "minItems": 2}, {}, "p=1", errors(("p", "must have 2 or more items"))),
    (INTEGERS, {"explode": False}, "p=1,2", {"p": [1, 2]}),
    (INTEGERS, {"explode": False}, "p=1%2C2", errors(("p[0]", NOT_INTEGER))),
    (INTEGERS, {"explode": False}, "p=1&p=2", repeated("p")),
    ({**INTEGERS, "nullable": True}, {"explode": False}, "p=null", {"p": None}),
    (INTEGERS, {"style": "spaceDelimited"}, "p=1%202+3", {"p": [1, 2, 3]}),
    (INTEGERS, {"style": "spaceDelimited", "explode": True}, "p=1&p=2", {"p": [1, 2]}),
    (INTEGERS, {"style": "pipeDelimited"}, "p=1|2%7C3", {"p": [1, 2, 3]}),
    (INTEGERS, {"style": "pipeDelimited", "explode": True}, "p=1&p=2", {"p": [1, 2]}),
    (RGB, {}, "R=1&G=2", {"p": {"R": 1, "G": 2}}),
    (RGB, {}, "R=x", errors(("p.R", NOT_INTEGER))),
    (RGB, {}, "R=1&R=2", repeated("p.R")),
    (RGB, {}, "p=1", errors(("p", "is not a known parameter"))),
    (RGB, {"explode": False}, "p=R,1,G,2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"explode": False}, "p=R,1,X,2", errors(("p.X", "is not a known property"))),
    (RGB, {"explode": False}, "p=R,1,G", unserialized("form")),
    (RGB, {"explode": False}, "p=R,1,R,2", repeated("p.R")),
    (RGB, {"style": "spaceDelimited"}, "p=R%201%20G%202", {"p": {"R": 1, "G": 2}}),
    (RGB, {"style": "pipeDelimited"}, "p=R|1|G|2", {"p": {"R": 1, "G": 2}}),
    ({"type": "object", "additionalProperties": INTEGER}, {}, "a=1&b=2", {"p": {"a": 1, "b": 2}}),
    ({"type": "object"}, {}, "a=1", {"p": {"a": "1"}}),
    (
        {"oneOf": [RGB, {"type": "object", "properties": {"W": INTEGER}, "additionalProperties": False}]},
        {},
        "W=1",
        {"p": {"W": 1}},
    ),
    (RGB, {"style": "deepObject"}, "p[R]=1&p%5BG%5D=2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"style": "deepObject", "explode": True}, "p[R]=x", errors(("p.R", NOT_INTEGER))),
    (RGB, {"style": "deepObject"}, "p[R]=1&p[R]=2", repeated("p.R")),
    (RGB, {"style": "deepObject"}, "p[X]=1", errors(("p.X", "is not a known property"))),
    *(
        (RGB, {"style": "deepObject"}, f"{name}=1", errors((name, "is not a known parameter")))
        for name in ("p", "p[", "p[]", "p[R", "p[R]x", "q[R]")
    ),
    (
        TREE,
        {"style": "deepObject"},
        "p[child][child][id]=1&p[id]=2",
        {"p": {"child": {"child": {"id": 1}}, "id": 2}},
    ),
    (TREE, {"style": "deepObject"}, "p[child][id]=1&p[child][id]=2", repeated("p.child.id")),
    (TREE, {"style": "deepObject"}, "p[child]=1&p[child][id]=2", repeated("p.child")),
    (TREE, {"style": "deepObject"}, "p[child][id]=2&p[child]=1", repeated("p.child")),
    (TREE, {"style": "deepObject"}, "p[child]=1", errors(("p.child", "must be of type object"))),
    (
        TREE,
        {"style": "deepObject"},
        "p" + "[child]" * 31 + "[id]=x",
        errors(("p" + ".child" * 31 + ".id", NOT_INTEGER)),
    ),
    (TREE, {"style": "deepObject"}, "p" + "[child]" * 5000 + "=1", errors(("p", "is nested too deeply"))),
    (
        {"type": "object", "properties": {"tags": INTEGERS}},
        {"style": "deepObject"},
        "p[tags]=1&p[tags]=x",
        errors(("p.tags[1]", NOT_INTEGER)),
    ),
    ({"enum": [1, 2]}, {}, "p=2", {"p": 2}),
    ({}, {}, "p=2", {"p": "2"}),
    ({"type": "integer", "nullable": True}, {}, "p=null", {"p": None}),
    ({"type": "string", "nullable": True}, {}, "p=None", {"p": "None"}),
    ({"oneOf": [INTEGER, {"type": "boolean"}]}, {}, "p=true", {"p": True}),
    ({"oneOf": [INTEGER, INTEGERS]}, {}, "p=1", {"p": 1}),
    ({"oneOf": [INTEGER, {**INTEGERS, "maxItems": 2}]}, {}, "p=1&p=2", {"p": [1, 2]}),
    ({"oneOf": [INTEGER, {**INTEGERS, "nullable": True}]}, {"explode": False}, "p=null", {"p": None}),
    (
        {"oneOf": [INTEGER, {**INTEGERS, "maxItems": 2}]},
        {},
        "p=1&p=2&p=3",
        errors(("p", "must match exactly one of the allowed schemas")),
    ),
    ({"oneOf": [INTEGER, RGB]}, {"explode": False}, "p=R,1", {"p": {"R": 1}}),
    (
        {"oneOf": [RGB, {"type": "object", "maxProperties": 1}]},
        {"explode": False},
        "p=R",
        unserialized("form"),
    ),
    ({"type": "string"}, {"allowReserved": True}, "p=a/b?c:@!$'()*,;=", {"p": "a/b?c:@!$'()*,;="}),
]


@pytest.mark.parametrize(("schema", "rest", "query", "value"), QUERIES)
def test_a_query_has_every_style(schema, rest, query, value):
    assert outcome(compiled(parameter(schema, **rest)), query) == value


def test_a_lenient_deep_object_takes_the_first_text_as_connexion_does():
    parameters = compiled(parameter(RGB, style="deepObject"), strict=False)

    assert outcome(parameters, "p[R]=1&p[R]=2&p[=3") == {"p": {"R": 1}}


PATHS = [
    (INTEGER, {}, "12", {"p": 12}),
    (INTEGER, {}, "012", errors(("p", NOT_INTEGER))),
    ({"type": "string"}, {}, "a+b%2Fc%20%C3%A9", {"p": "a+b/c é"}),
    *(
        ({"type": "string"}, {}, text, errors(("p", "must be percent-encoded UTF-8")))
        for text in ("%", "%zz", "%ff", "a%C3")
    ),
    (INTEGERS, {}, "1,2", {"p": [1, 2]}),
    (INTEGERS, {"explode": True}, "1,2", {"p": [1, 2]}),
    (RGB, {}, "R,1,G,2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"explode": True}, "R=1,G=2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"explode": True}, "R,1", unserialized("simple")),
    (INTEGER, {"style": "label"}, ".1", {"p": 1}),
    ({**INTEGER, "nullable": True}, {"style": "label"}, ".null", {"p": None}),
    (INTEGER, {"style": "label"}, "1", unserialized("label")),
    (INTEGERS, {"style": "label"}, ".1.2", {"p": [1, 2]}),
    (INTEGERS, {"style": "label", "explode": True}, ".1.2", {"p": [1, 2]}),
    ({**INTEGERS, "nullable": True}, {"style": "label"}, ".null", {"p": None}),
    (RGB, {"style": "label"}, ".R.1.G.2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"style": "label", "explode": True}, ".R=1.G=2", {"p": {"R": 1, "G": 2}}),
    (INTEGER, {"style": "matrix"}, ";p=1", {"p": 1}),
    (INTEGERS, {"style": "matrix"}, ";p=1,2", {"p": [1, 2]}),
    (INTEGERS, {"style": "matrix", "explode": True}, ";p=1;p=2", {"p": [1, 2]}),
    (INTEGERS, {"style": "matrix", "explode": True}, ";p=1;q=2", unserialized("matrix")),
    (RGB, {"style": "matrix"}, ";p=R,1,G,2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"style": "matrix", "explode": True}, ";R=1;G=2", {"p": {"R": 1, "G": 2}}),
]


@pytest.mark.parametrize(("schema", "rest", "text", "value"), PATHS)
def test_a_path_has_every_style(schema, rest, text, value):
    assert path_outcome(compiled(parameter(schema, "path", **rest)), p=text) == value


def test_a_path_names_every_fault():
    parameters = compiled(
        parameter(INTEGER, "path", "a"), parameter({"$ref": "#/components/schemas/Id"}, "path", "b")
    )

    assert path_outcome(parameters, a="x", b="0") == errors(("a", NOT_INTEGER), ("b", "must be at least 1"))
    assert parameters.path_names == {"a", "b"}


HEADERS = [
    ({"type": "string"}, {}, "  a%2Cb, c\t", {"x_p": "a%2Cb, c"}),
    (INTEGER, {}, "1", {"x_p": 1}),
    (INTEGERS, {}, "1, 2\t,3", {"x_p": [1, 2, 3]}),
    (INTEGERS, {"explode": True}, "1,x", errors(("X-P[1]", NOT_INTEGER))),
    (RGB, {}, "R, 1, G, 2", {"x_p": {"R": 1, "G": 2}}),
    (RGB, {"explode": True}, "R=1, G=2", {"x_p": {"R": 1, "G": 2}}),
    (RGB, {"explode": True}, "R", errors(("X-P", "must be serialized in style simple"))),
    ({"type": "string"}, {}, "\xe9", {"x_p": "\xe9"}),
]


@pytest.mark.parametrize(("schema", "rest", "text", "value"), HEADERS)
def test_a_header_has_style_simple(schema, rest, text, value):
    assert outcome(compiled(parameter(schema, "header", "X-P", **rest)), x_p=text) == value


@pytest.mark.parametrize(("schema", "value"), [(INTEGERS, [1, 2]), ({"type": "string"}, "1, 2")])
def test_the_lines_of_a_header_are_one_list(schema, value):
    parameters = compiled(parameter(schema, "header", "X-P"))

    assert parameters.parse(
        {"query_string": b"", "headers": [(b"x-p", b"1"), (b"x-q", b"3"), (b"x-p", b"2 ")]}
    ) == {"x_p": value}


@pytest.mark.parametrize("name", ["Accept", "CONTENT-TYPE", "authorization"])
def test_accept_content_type_and_authorization_are_not_parameters(name):
    parameters = compiled(parameter(INTEGER, "header", name, required=True))

    assert (outcome(parameters), parameters.arguments) == ({}, frozenset())


COOKIES = [
    (INTEGER, {}, "p=1; q=2", {"p": 1}),
    ({"type": "string"}, {}, "q=2; p=a%20b", {"p": "a b"}),
    ({"type": "string"}, {}, 'p="a b"', {"p": "a b"}),
    ({"type": "string"}, {}, "p=%zz", errors(("p", "must be percent-encoded UTF-8"))),
    (INTEGERS, {"explode": False}, "p=1,2", {"p": [1, 2]}),
    (RGB, {"explode": False}, "p=R,1,G,2", {"p": {"R": 1, "G": 2}}),
    (RGB, {"explode": False}, "p=R", unserialized("form")),
    (INTEGER, {}, "q=1", {}),
]


@pytest.mark.parametrize(("schema", "rest", "text", "value"), COOKIES)
def test_a_cookie_has_style_form(schema, rest, text, value):
    assert outcome(compiled(parameter(schema, "cookie", **rest)), cookie=text) == value


JSON_CONTENT = {
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"a": {**INTEGER, "default": 1}}}}
    }
}


@pytest.mark.parametrize(
    ("definition", "query", "value"),
    [
        (JSON_CONTENT, 'p={"a":%202}', {"p": {"a": 2}}),
        (JSON_CONTENT, "p={}", {"p": {"a": 1}}),
        (JSON_CONTENT, "p=[]", errors(("p", "must be of type object"))),
        (JSON_CONTENT, "p={}&p={}", repeated("p")),
        (JSON_CONTENT, 'p={"b":{"a":1,"a":2}}', repeated("p.a")),
        (JSON_CONTENT, f"p=[{'0,' * 4_000}0]", errors(("p", MORE_THAN_4000))),
        ({"content": {"application/geo+json; charset=utf-8": {}}}, "p=null", {"p": None}),
    ],
)
def test_content_is_json(definition, query, value):
    assert outcome(compiled(parameter(**definition)), query) == value


def test_content_that_is_no_json_is_rejected():
    ((field, message),) = outcome(compiled(parameter(**JSON_CONTENT)), "p={")

    assert (field, message.partition(": ")[0]) == ("p", "must be JSON in UTF-8")


@pytest.mark.parametrize(
    ("definition", "missing"),
    [
        (parameter(INTEGER, required=True), "p"),
        (parameter({**INTEGER, "default": 1}, required=True), "p"),
        (parameter(RGB, required=True), "p"),
        (parameter(RGB, required=True, style="deepObject"), "p"),
        (parameter(INTEGER, "header", "X-P", required=True), "X-P"),
        (parameter(INTEGER, "cookie", required=True), "p"),
    ],
)
@pytest.mark.parametrize("query", ["", "known=1"])
def test_a_missing_required_parameter_is_rejected(definition, missing, query):
    assert outcome(compiled(definition, parameter({}, name="known")), query) == errors(
        (missing, "is required")
    )


def test_a_rejected_parameter_is_not_missing():
    parameters = compiled(
        parameter(RGB, required=True, explode=False), parameter(INTEGER, "header", "X", required=True)
    )

    assert outcome(parameters, "p=R", x="1") == unserialized("form")
    assert outcome(parameters, "p=%") == errors(
        ("", "the query must be percent-encoded UTF-8"), ("X", "is required")
    )


@pytest.mark.parametrize(
    ("schema", "default"),
    [
        ({**INTEGER, "default": 1}, 1),
        ({"allOf": [{**INTEGER, "default": 1}, {"maximum": 3}]}, 1),
        ({**INTEGER, "nullable": True, "default": None}, None),
        ({**INTEGERS, "default": [1, 2]}, [1, 2]),
        ({**RGB, "default": {"R": 1}}, {"R": 1}),
        ({"type": "object", "properties": {"R": {**INTEGER, "default": 1}, "G": INTEGER}}, {"R": 1}),
    ],
)
@pytest.mark.parametrize("location", ["query", "header", "cookie"])
def test_an_absent_parameter_has_its_default(schema, default, location):
    assert outcome(compiled(parameter(schema, location, explode=False))) == {"p": default}


def test_defaults_are_copied_for_each_request():
    parameters = compiled(
        parameter({"type": "array", "items": {"type": "string"}, "default": ["a"]}), parameter(RGB, name="q")
    )

    outcome(parameters)["p"].append("b")

    assert outcome(parameters) == {"p": ["a"]}


def test_a_fresh_value_shares_nothing_that_can_change():
    value = {"a": [{"b": [1]}], "c": "d"}
    copied = deep_copy(value)

    assert copied == value
    assert copied["a"][0]["b"] is not value["a"][0]["b"]


def test_given_objects_are_filled_with_the_defaults_of_their_properties():
    schema = {"type": "object", "properties": {"R": {**INTEGER, "default": 1}, "G": INTEGER}}

    assert outcome(compiled(parameter(schema)), "G=2") == {"p": {"R": 1, "G": 2}}


@pytest.mark.parametrize(
    ("schema", "rest", "query", "value"),
    [
        ({"type": "string", "minLength": 1}, {}, "p=", {"p": ""}),
        ({"type": "string", "minLength": 1}, {}, "p", {"p": ""}),
        (INTEGER, {}, "p=", {"p": None}),
        (INTEGER, {}, "p=0", {"p": 0}),
        (INTEGER, {}, "p=x", errors(("p", NOT_INTEGER))),
        (INTEGERS, {}, "p=", {"p": []}),
        (INTEGERS, {}, "p=1", {"p": [1]}),
        (INTEGERS, {"explode": False}, "p=", {"p": []}),
        (RGB, {"explode": False}, "p=", {"p": {}}),
    ],
)
def test_an_empty_value_is_taken_where_the_document_allows_it(schema, rest, query, value):
    assert outcome(compiled(parameter(schema, allowEmptyValue=True, **rest)), query) == value


def test_arguments_have_pythonic_names():
    parameters = compiled(
        parameter(INTEGER, "path", "userId"),
        parameter({"type": "string"}, "header", "If-None-Match"),
        parameter(INTEGER, name="pageSize"),
        parameter(INTEGER, "cookie", "class"),
    )

    assert parameters.arguments == {"user_id", "if_none_match", "page_size", "class_"}
    assert parameters.parse_path({"userId": "1"}) == {"user_id": 1}
    assert outcome(parameters, "pageSize=2", if_none_match="*", cookie="class=3") == {
        "if_none_match": "*",
        "page_size": 2,
        "class_": 3,
    }


REFUSED = [
    ([parameter(INTEGER, "body")], "#/parameters/0/in: body is not a location of parameters"),
    ([parameter(INTEGER, "path", required=False)], "#/parameters/0: a path parameter is not required"),
    ([parameter()], "#/parameters/0: a parameter needs exactly one of `schema` and `content`"),
    ([parameter(INTEGER, **JSON_CONTENT)], "#/parameters/0: a parameter needs exactly one of"),
    (
        [parameter(content={"application/json": {}, "text/plain": {}})],
        "#/parameters/0/content: a parameter's content needs exactly one",
    ),
    (
        [parameter(content={"text/plain": {}})],
        "#/parameters/0/content/text~1plain: a parameter's content is not JSON",
    ),
    (
        [parameter(INTEGER, "header", allowEmptyValue=True)],
        "#/parameters/0/allowEmptyValue: `allowEmptyValue` applies to query",
    ),
    (
        [parameter(INTEGER, "path", allowReserved=True)],
        "#/parameters/0/allowReserved: `allowReserved` applies to query",
    ),
    (
        [parameter(INTEGER, "path", style="form")],
        "#/parameters/0/style: style form is not defined in path; write one of simple",
    ),
    (
        [parameter(INTEGER, "header", style="form")],
        "#/parameters/0/style: style form is not defined in header",
    ),
    (
        [parameter(INTEGER, "cookie", style="simple")],
        "#/parameters/0/style: style simple is not defined in cookie",
    ),
    (
        [parameter(INTEGER, style="deepObject")],
        "#/parameters/0/style: style deepObject is defined for objects only",
    ),
    (
        [parameter(INTEGERS, style="deepObject")],
        "#/parameters/0/style: style deepObject is defined for objects only",
    ),
    (
        [parameter(INTEGER, style="spaceDelimited")],
        "#/parameters/0/style: style spaceDelimited .*; write style form",
    ),
    (
        [parameter(RGB, style="pipeDelimited", explode=True)],
        "#/parameters/0/style: style pipeDelimited .*; write `explode: false`",
    ),
    (
        [parameter(INTEGERS, "cookie")],
        "#/parameters/0: an exploded array or object does not fit into a cookie",
    ),
    (
        [parameter({"oneOf": [INTEGER, RGB]})],
        "#/parameters/0: an exploded object is an alternative to another type",
    ),
    ([parameter({"type": "array", "items": INTEGERS})], "#/parameters/0/schema: OpenAPI does not define"),
    (
        [parameter({"allOf": [{**INTEGER, "default": 9}, {"maximum": 3}]})],
        "#/parameters/0/schema/default: the default must be at most 3",
    ),
    ([parameter(INTEGER, name="1")], "#/parameters/0/name: 1 leaves no name for the handler's argument"),
    (
        [parameter(INTEGER), parameter(INTEGER, "path")],
        "#/parameters/1/name: two parameters are the handler's argument p",
    ),
    (
        [parameter(INTEGER, name="R"), parameter(RGB)],
        "#/parameters/1: R in the query belongs to another parameter too",
    ),
    (
        [parameter({"type": "object"}, name=name) for name in "pq"],
        "#/parameters/1: two objects take every unknown name",
    ),
]


@pytest.mark.parametrize(("definitions", "line"), REFUSED)
def test_what_cannot_be_enforced_is_refused_at_startup(definitions, line):
    with pytest.raises(DocumentError, match=f"^{line}"):
        compiled(*definitions)


PARSED = [
    (OpenAPIURIParser, parameter(INTEGERS, explode=False), "p=1,2&p=3,4", {"p": [3, 4]}),
    (AlwaysMultiURIParser, parameter(INTEGERS), "p=1,2&p=3", {"p": [1, 2, 3]}),
    (FirstValueURIParser, parameter(INTEGERS), "p=1,2&p=3", {"p": [1, 2]}),
    (OpenAPIURIParser, parameter(INTEGERS), "p=1,x", errors(("p[1]", NOT_INTEGER))),
    (OpenAPIURIParser, parameter(INTEGER), "p=1&p=2", {"p": 2}),
    (
        OpenAPIURIParser,
        parameter({"$ref": "#/components/schemas/Id"}),
        "p=0",
        errors(("p", "must be at least 1")),
    ),
    (OpenAPIURIParser, parameter({"type": "array"}), "p=a", {"p": ["a"]}),
    (OpenAPIURIParser, parameter({}), "p=1", {"p": "1"}),
    (OpenAPIURIParser, parameter(INTEGER), "q=1&k=2", errors(("q", "is not a known parameter"))),
    (OpenAPIURIParser, parameter(TREE, style="deepObject"), "p[child][id]=1", {"p": {"child": {"id": 1}}}),
    (
        OpenAPIURIParser,
        parameter(TREE, style="deepObject"),
        "p" + "[child]" * 5000 + "=1",
        errors(("p", "is nested too deeply")),
    ),
    (OpenAPIURIParser, parameter(**JSON_CONTENT), 'p={"a":2}', {"p": {"a": 2}}),
    (OpenAPIURIParser, parameter(INTEGER, required=True), "", errors(("p", "is required"))),
]


@pytest.mark.parametrize(("parser", "definition", "query", "value"), PARSED)
def test_a_given_uri_parser_splits_the_query(parser, definition, query, value):
    parameters = compiled(definition, uri_parser_class=parser, known_query=frozenset({"k"}))

    assert outcome(parameters, query) == value


def test_a_given_uri_parser_may_ignore_unknown_names():
    assert outcome(
        compiled(parameter(INTEGER), uri_parser_class=OpenAPIURIParser, strict=False), "q=1&p=2"
    ) == {"p": 2}


def test_a_given_uri_parser_splits_the_path():
    parameters = compiled(
        parameter(INTEGERS, "path"),
        parameter({"type": "string"}, "path", "q"),
        uri_parser_class=OpenAPIURIParser,
    )

    assert path_outcome(parameters, p="1,2", q="%20") == {"p": [1, 2], "q": " "}
    assert path_outcome(parameters, p="%zz", q="a") == errors(("p", "must be percent-encoded UTF-8"))


NAMES = st.sampled_from(["R", "G", "long name", "é", "a-b"])
LEAVES = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "integer": st.integers(-(10**18) + 1, 10**25),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
}
NOTATIONS = [
    *(("path", style, explode) for style in ("simple", "label", "matrix") for explode in (False, True)),
    *(("query", "form", explode) for explode in (False, True)),
    ("query", "spaceDelimited", False),
    ("query", "pipeDelimited", False),
    ("query", "deepObject", True),
    *(("header", "simple", explode) for explode in (False, True)),
    ("cookie", "form", False),
]


def written(value, location, style):
    """Serialize one value; characters that a style uses as delimiters are encoded or left out."""
    text = value if isinstance(value, str) else json.dumps(value)
    if location == "header":
        return "".join(char for char in text if char.isprintable() and ord(char) < 256 and char not in " ,=")
    if style in ("spaceDelimited", "pipeDelimited"):
        text = text.replace(" ", "").replace("|", "")
    return quote(text, safe="").replace(".", "%2E")


def serialized(value, location, style, explode):
    """Serialize a value by the rules of RFC 6570 and OpenAPI's Style Examples."""
    delimiter = {"spaceDelimited": "%20", "pipeDelimited": "|"}.get(style, ",")
    if explode:
        delimiter = {"label": ".", "matrix": ";", "form": "&"}.get(style, ",")
    prefix = {"label": ".", "matrix": ";p=", "simple": ""}.get(style, "p=")
    if isinstance(value, dict):
        pairs = [
            (written(key, location, style), written(part, location, style)) for key, part in value.items()
        ]
        if style == "deepObject":
            return "&".join(f"p%5B{key}%5D={part}" for key, part in pairs)
        if explode:
            first = {"matrix": ";", "label": "."}.get(style, "")
            return first + delimiter.join(f"{key}={part}" for key, part in pairs)
        return prefix + delimiter.join(f"{key}{delimiter}{part}" for key, part in pairs)
    if isinstance(value, list):
        repeat = "p=" if explode and style in ("matrix", "form") else ""
        return prefix + f"{delimiter}{repeat}".join(written(part, location, style) for part in value)
    return prefix + written(value, location, style)


def expected(value, location, style):
    """Return the value without the parts that a header or a delimited style cannot express."""
    if isinstance(value, dict):
        return {
            expected(key, location, style): expected(part, location, style) for key, part in value.items()
        }
    if isinstance(value, list):
        return [expected(part, location, style) for part in value]
    if isinstance(value, str):
        text = written(value, location, style)
        return text if location == "header" else dict(parse_qsl(f"p={text}", keep_blank_values=True))["p"]
    return value


@st.composite
def cases(draw):
    location, style, explode = draw(st.sampled_from(NOTATIONS))
    kind = draw(st.sampled_from(sorted(LEAVES)))
    shapes = {
        "deepObject": ["object"],
        "spaceDelimited": ["array", "object"],
        "pipeDelimited": ["array", "object"],
    }
    shape = draw(st.sampled_from(shapes.get(style, ["primitive", "array", "object"])))
    leaf = {"type": kind}
    if shape == "array":
        return (
            location,
            style,
            explode,
            {"type": "array", "items": leaf},
            draw(st.lists(LEAVES[kind], min_size=1, max_size=4)),
        )
    if shape == "object":
        value = draw(st.dictionaries(NAMES, LEAVES[kind], min_size=1, max_size=4))
        return location, style, explode, {"type": "object", "additionalProperties": leaf}, value
    return location, style, explode, leaf, draw(LEAVES[kind])


@given(cases())
@settings(max_examples=400, deadline=None)
def test_every_serialized_value_is_read_back(case):
    location, style, explode, schema, value = case
    parameters = compiled(parameter(schema, location, style=style, explode=explode))
    text = serialized(value, location, style, explode)
    read = {
        "path": lambda: path_outcome(parameters, p=text),
        "query": lambda: outcome(parameters, text),
        "header": lambda: outcome(parameters, p=text),
        "cookie": lambda: outcome(parameters, cookie=text),
    }[location]

    assert read() == {"p": expected(value, location, style)}
