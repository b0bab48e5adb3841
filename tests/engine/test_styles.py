import math
from urllib.parse import unquote

import pytest

from users_api.engine.failures import DocumentError
from users_api.engine.schemas import Schemas
from users_api.engine.styles import (
    Malformed,
    SchemaConjunction,
    TypeOutline,
    Types,
    compile_split,
    null_text,
    parse_deep,
)

SPLITS = [  # The examples of OpenAPI 3.0.3, Style Examples, plus a plain text and an encoded delimiter.
    ("simple", False, "primitive", "blue", "blue"),
    ("simple", True, "primitive", "a%2Cb", "a,b"),
    ("simple", False, "array", "blue,black,brown", ["blue", "black", "brown"]),
    ("simple", True, "array", "blue,black%2Cbrown", ["blue", "black,brown"]),
    ("simple", False, "object", "R,100,G,200,B,150", {"R": "100", "G": "200", "B": "150"}),
    ("simple", True, "object", "R=100,G=200,B=1%3D0", {"R": "100", "G": "200", "B": "1=0"}),
    ("label", False, "primitive", ".blue", "blue"),
    ("label", True, "primitive", ".", ""),
    ("label", False, "array", ".blue.black.brown", ["blue", "black", "brown"]),
    ("label", False, "array", ".1.5,2.5", ["1.5", "2.5"]),
    ("label", True, "array", ".blue.black.brown", ["blue", "black", "brown"]),
    ("label", True, "array", ".blue,black.brown", ["blue,black", "brown"]),
    ("label", False, "object", ".R.100.G.200.B.150", {"R": "100", "G": "200", "B": "150"}),
    ("label", False, "object", ".R,100,G,200", {"R": "100", "G": "200"}),
    ("label", True, "object", ".R=100.G=200.B=150", {"R": "100", "G": "200", "B": "150"}),
    ("matrix", False, "primitive", ";color=blue", "blue"),
    ("matrix", True, "primitive", ";color", ""),
    ("matrix", False, "array", ";color=blue,black%3Bbrown", ["blue", "black;brown"]),
    ("matrix", True, "array", ";color=blue;color=black;color=brown", ["blue", "black", "brown"]),
    ("matrix", False, "object", ";color=R,100,G,200,B,150", {"R": "100", "G": "200", "B": "150"}),
    ("matrix", True, "object", ";R=100;G=200;B=150", {"R": "100", "G": "200", "B": "150"}),
    ("form", False, "primitive", "a,b", "a,b"),
    ("form", False, "array", "blue,black,brown", ["blue", "black", "brown"]),
    ("form", False, "object", "R,100,G,200,B,150", {"R": "100", "G": "200", "B": "150"}),
    ("spaceDelimited", False, "array", "blue%20black+brown", ["blue", "black", "brown"]),
    ("spaceDelimited", False, "object", "R%20100%20G%20200", {"R": "100", "G": "200"}),
    ("pipeDelimited", False, "array", "blue|black%7Cbrown%7cred", ["blue", "black", "brown", "red"]),
    ("pipeDelimited", False, "object", "R|100|G|200", {"R": "100", "G": "200"}),
]
MALFORMED = [
    ("label", False, "primitive", "blue", ""),
    ("label", False, "array", "blue.black", ""),
    ("label", True, "object", ".R=100.G", ""),
    ("matrix", False, "primitive", "blue", ""),
    ("matrix", False, "primitive", ";colour=blue", ""),
    ("matrix", False, "array", "blue,black", ""),
    ("matrix", True, "array", ";color=blue;shade=black", ""),
    ("matrix", True, "object", "R=100", ""),
    ("matrix", True, "object", ";R", ""),
    ("simple", False, "object", "R,100,G", ""),
    ("simple", True, "object", "R=100,G", ""),
    ("form", False, "object", "", ""),
    ("form", False, "object", "R,100,R,200", "R"),
    ("simple", True, "object", "R=1,%52=2", "R"),
]


@pytest.mark.parametrize(("style", "explode", "shape", "text", "value"), SPLITS)
def test_a_style_splits_a_text(style, explode, shape, text, value):
    assert compile_split(style, shape, "color", explode=explode)(text, unquote) == value


@pytest.mark.parametrize(("style", "explode", "shape", "text", "path"), MALFORMED)
def test_a_text_in_another_style_is_rejected(style, explode, shape, text, path):
    with pytest.raises(Malformed) as failure:
        compile_split(style, shape, "color", explode=explode)(text, unquote)

    message = "is given more than once" if path else f"must be serialized in style {style}"
    assert (failure.value.message, failure.value.path) == (message, path)


@pytest.mark.parametrize(("style", "text"), [("form", "null"), ("label", ".null"), ("matrix", ";color=null")])
def test_each_style_writes_null_its_own_way(style, text):
    assert null_text(style, "color") == text


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("a[b]", ["a", "b"]),
        ("a[b][c d]", ["a", "b", "c d"]),
        ("a", []),
        ("a[", []),
        ("a[]", []),
        ("a[b", []),
        ("a[b]c", []),
        ("a[b]x[c]", []),
        ("a[[b]]", []),
        ("a[b]]", []),
    ],
)
def test_only_whole_brackets_name_a_deep_property(name, keys):
    assert parse_deep(name) == keys


ROOT = {
    "components": {
        "schemas": {
            "Id": {"type": "integer", "minimum": 1, "maximum": 9},
            "Tree": {
                "type": "object",
                "properties": {
                    "id": {"$ref": "#/components/schemas/Id"},
                    "child": {"$ref": "#/components/schemas/Tree"},
                },
            },
        }
    }
}
ID = {"$ref": "#/components/schemas/Id"}
CONVERSIONS = [
    ({"type": "string"}, "1", "1"),
    ({}, "1", "1"),
    ({"type": "integer"}, "0", 0),
    ({"type": "integer"}, "-12", -12),
    ({"type": "integer", "format": "int64"}, "9223372036854775807", 2**63 - 1),
    ({"type": "integer"}, "1" * 100, int("1" * 100)),
    ({"type": "integer", "format": "int32"}, "1" * 18, int("1" * 18)),
    *(
        ({"type": "integer"}, text, text)
        for text in ("", "01", "+1", "-0", "1.0", "1e3", " 1", "1_0", "\u0661", "9" * 5000)
    ),
    ({"type": "integer", "format": "int32"}, "1" * 19, "1" * 19),
    ({"type": "number"}, "5", 5.0),
    ({"type": "number"}, "-1.25e-2", -0.0125),
    ({"type": "number"}, "1E+2", 100.0),
    *(
        ({"type": "number"}, text, text)
        for text in ("", ".5", "5.", "01", "+1", "1e999", "NaN", "inf", "0x1", "1_0")
    ),
    ({"type": "boolean"}, "true", True),
    ({"type": "boolean"}, "false", False),
    *(({"type": "boolean"}, text, text) for text in ("True", "1", "", "null")),
    ({"type": "integer", "nullable": True}, "null", None),
    ({"type": "string", "nullable": True}, "null", None),
    ({"type": "string", "nullable": True}, "None", "None"),
    ({"type": "string", "nullable": True}, "", ""),
    ({"type": "string"}, "null", "null"),
    (ID, "5", 5),
    (ID, "1" * 19, "1" * 19),
    ({"allOf": [ID, {"multipleOf": 2}]}, "4", 4),
    ({"allOf": [{"type": "number"}, {"type": "integer"}]}, "4", 4),
    ({"allOf": [{"type": "integer"}, {"type": "number"}]}, "4", 4),
    ({"allOf": [ID, ID]}, "4", 4),
    ({"nullable": True, "allOf": [ID]}, "null", "null"),
    ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, "true", True),
    ({"oneOf": [{"type": "integer", "maximum": 3}, {"type": "number"}]}, "5", 5.0),
    ({"oneOf": [{"type": "string", "maxLength": 1}, {"type": "integer"}]}, "5", "5"),
    ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "x", "x"),
    ({"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 3}]}, "2", 2),
    ({"anyOf": [{"oneOf": [{"type": "boolean"}, {"type": "number"}]}, {"type": "string"}]}, "1.5", 1.5),
    ({"enum": [1, "2", True, None, 1.5]}, "1", 1),
    ({"enum": [1, "2", True, None, 1.5]}, "2", "2"),
    ({"enum": [1, "2", True, None, 1.5]}, "true", True),
    ({"enum": [1, "2", True, None, 1.5]}, "null", None),
    ({"enum": [1, "2", True, None, 1.5]}, "3", "3"),
    ({"type": "array", "items": {"type": "integer"}}, ["1", "x"], [1, "x"]),
    ({"type": "array", "items": {"type": "integer", "nullable": True}}, ["1", "null"], [1, None]),
    ({"type": "array", "items": {}}, ["1"], ["1"]),
    ({"items": {"type": "integer"}}, ["1"], [1]),
    ({"properties": {"a": {"type": "integer"}}}, {"a": "1", "b": "2"}, {"a": 1, "b": "2"}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"b": "2"}, {"b": 2}),
    ({"type": "object", "additionalProperties": True}, {"b": "2"}, {"b": "2"}),
    ({"type": "object", "additionalProperties": False}, {"b": "2"}, {"b": "2"}),
    (
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}},
                {"properties": {"a": {"minimum": 1}, "b": {"type": "boolean"}}},
            ]
        },
        {"a": "1", "b": "true"},
        {"a": 1, "b": True},
    ),
    (
        {
            "oneOf": [
                {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
                {"type": "object"},
            ]
        },
        {"b": "1"},
        {"b": "1"},
    ),
]


@pytest.mark.parametrize(("schema", "raw", "value"), CONVERSIONS)
def test_texts_become_values_of_the_schemas_types(schema, raw, value):
    converted = Types(Schemas(ROOT), "#/x").compile(SchemaConjunction((schema,)))(raw)

    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "string"])
def test_values_that_are_not_texts_stay_unchanged(kind):
    convert = Types(Schemas(ROOT), "#/x").compile(SchemaConjunction(({"type": kind},)))

    assert [convert(1), convert(["1"]), convert(None)] == [1, ["1"], None]


def test_the_member_of_an_enum_may_have_been_found_already():
    assert Types(Schemas(ROOT), "#/x").compile(SchemaConjunction(({"enum": [1]},)))(1) == 1


def test_a_schema_may_contain_itself():
    convert = Types(Schemas(ROOT), "#/x", deep=True).compile(
        SchemaConjunction(({"$ref": "#/components/schemas/Tree"},))
    )

    assert convert({"id": ["1"], "child": {"child": {"id": ["2"]}}}) == {
        "id": 1,
        "child": {"child": {"id": 2}},
    }


def test_alternatives_that_lead_to_each_other_are_followed_once():
    first, second = (
        {"oneOf": [{"$ref": "#/components/schemas/B"}]},
        {"oneOf": [{"$ref": "#/components/schemas/A"}]},
    )
    root = {"components": {"schemas": {"A": first, "B": second}}}

    assert TypeOutline(
        SchemaConjunction((first, second), frozenset({id(first["oneOf"])})), Schemas(root)
    ).choices == [second["oneOf"]]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "array", "items": {}}},
        {"type": "array", "items": {"type": "object"}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
        {"type": "object", "additionalProperties": {"type": "object"}},
        {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
    ],
)
def test_nested_structures_are_refused_where_no_style_is_defined_for_them(schema):
    with pytest.raises(
        DocumentError, match=r"^#/x: OpenAPI does not define .*; write `content` with application/json$"
    ):
        Types(Schemas(ROOT), "#/x").compile(SchemaConjunction((schema,)))


DEEP = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "integer"}},
        "owner": {"type": "object", "properties": {"id": {"type": "integer"}}},
    },
}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ({"id": ["1"]}, {"id": 1}),
        ({"tags": ["1", "2"]}, {"tags": [1, 2]}),
        ({"owner": {"id": ["1"], "x": ["y"]}}, {"owner": {"id": 1, "x": "y"}}),
        ({"id": {"a": ["1"]}}, {"id": {"a": "1"}}),
        ({"tags": {"a": ["1"]}}, {"tags": {"a": "1"}}),
        ({"owner": ["1", "2"]}, {"owner": "1"}),
        ({"x": {"y": ["z"]}}, {"x": {"y": "z"}}),
        ({"id": ["1", "2"]}, {"id": 1}),
        ({"id": "1"}, {"id": 1}),
    ],
)
def test_a_tree_of_texts_becomes_an_object(raw, value):
    assert Types(Schemas(ROOT), "#/x", deep=True).compile(SchemaConjunction((DEEP,)))(raw) == value


@pytest.mark.parametrize(
    ("raw", "path"), [({"id": ["1", "2"]}, "id"), ({"owner": {"id": ["1", "2"]}}, "owner.id")]
)
def test_a_repeated_text_in_a_tree_is_rejected_where_strict(raw, path):
    with pytest.raises(Malformed) as failure:
        Types(Schemas(ROOT), "#/x", deep=True, strict=True).compile(SchemaConjunction((DEEP,)))(raw)

    assert (failure.value.message, failure.value.path) == ("is given more than once", path)


def test_an_outline_combines_all_schemas():
    schema = {
        "allOf": [
            {"type": "integer", "minimum": 1},
            {"minimum": 0, "maximum": 9, "format": "int32", "enum": [1]},
        ]
    }
    outline = TypeOutline(SchemaConjunction((schema,)), Schemas({}))

    assert (outline.type, outline.minimum, outline.maximum, outline.format, outline.enum) == (
        "integer",
        1,
        9,
        "int32",
        [1],
    )
    assert TypeOutline(SchemaConjunction(()), Schemas({})).maximum == math.inf
