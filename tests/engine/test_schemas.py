"""Schemas are enforced as OpenAPI 3.0 and JSON Schema draft 4 define, with one message for each keyword."""

from copy import deepcopy
from pathlib import Path
from time import perf_counter, thread_time

import orjson
import pytest
import yaml

from users_api.engine.failures import DocumentError, FieldError, InvalidPayload
from users_api.engine.messages import MAX_ERRORS
from users_api.engine.schemas import Direction, Schemas

PREFIX = "#/components/schemas/"


def ref(name):
    return {"$ref": PREFIX + name}


def compiled(schema, *, direction=Direction.REQUEST, **components):
    return Schemas({"components": {"schemas": components}}).compile(schema, "#/x", direction)


def errors(schema, value, **options):
    return [tuple(error) for error in compiled(schema, **options).errors(value)]


MESSAGES = [
    ({"type": "integer"}, 1.0, "must be of type integer"),
    ({"type": "number"}, True, "must be of type number"),
    ({"type": "string", "nullable": True}, 1, "must be of type string or null"),
    ({"enum": ["a", 1, True, None]}, "b", 'must be one of "a", 1, true, null'),
    ({"enum": ["é"]}, "b", 'must be "é"'),
    ({"enum": [1, 1, 1.0]}, 2, "must be 1"),
    ({"minLength": 2}, "a", "must have 2 or more characters"),
    ({"maxLength": 2}, "abc", "must have 2 or fewer characters"),
    ({"minimum": 2}, 1, "must be at least 2"),
    ({"maximum": 2.5}, 3, "must be at most 2.5"),
    ({"minimum": 2, "exclusiveMinimum": True}, 2, "must be greater than 2"),
    ({"maximum": 2, "exclusiveMaximum": True}, 2, "must be less than 2"),
    ({"minimum": 2, "exclusiveMinimum": False}, 1, "must be at least 2"),
    ({"multipleOf": 0.01}, 0.001, "must be a multiple of 0.01"),
    ({"pattern": "^a"}, "b", "must match ^a"),
    ({"minItems": 1}, [], "must have 1 or more items"),
    ({"maxItems": 1}, [1, 2], "must have 1 or fewer items"),
    ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "must have unique items"),
    ({"minProperties": 1}, {}, "must have 1 or more properties"),
    ({"maxProperties": 0}, {"a": 1}, "must have 0 or fewer properties"),
    ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, "a", "must match exactly one of the allowed schemas"),
    ({"oneOf": [{"type": "string"}, {"type": "array"}]}, 1, "must match exactly one of the allowed schemas"),
    ({"anyOf": [{"type": "string"}, {"type": "array"}]}, 1, "must match at least one of the allowed schemas"),
    ({"allOf": [{"type": "string"}, {"minimum": 0}]}, 1, "must be of type string"),
    ({"not": {"type": "string"}}, "a", "must not match the excluded schema"),
    ({"format": "date"}, "2023-02-29", "must be a valid date"),
    ({"format": "date-time"}, "2023-02-28", "must be a valid date-time"),
    ({"format": "email"}, "Ada <ada@example.org>", "must be a valid email"),
    ({"format": "uuid"}, "2eb8aa08aa9811eab4aa73b441d16380", "must be a valid uuid"),
    ({"format": "uri"}, "/users", "must be a valid uri"),
    ({"format": "hostname"}, "-a.example", "must be a valid hostname"),
    ({"format": "ipv4"}, "1.2.3.256", "must be a valid ipv4"),
    ({"format": "ipv6"}, "1.2.3.4", "must be a valid ipv6"),
    ({"format": "byte"}, "a", "must be a valid byte"),
    ({"format": "int32"}, 2**31, "must be a valid int32"),
    ({"format": "int32"}, 1.5, "must be a valid int32"),
    ({"format": "int64"}, -(2**63) - 1, "must be a valid int64"),
    ({"format": "float"}, 1e39, "must be a valid float"),
    ({"format": "double"}, 10**400, "must be a valid double"),
]


@pytest.mark.parametrize(("schema", "value", "message"), MESSAGES)
def test_each_keyword_has_its_message(schema, value, message):
    assert errors(schema, value) == [("", message)]


def test_a_value_is_explained_at_startup_too():
    assert compiled({"type": "integer"}).explain_at_startup("a") == [
        FieldError("", "must be of type integer")
    ]
    assert compiled({"type": "integer"}).explain_at_startup(1) == []


def test_an_integer_with_narrower_bounds_has_no_format_error():
    assert errors({"type": "integer", "format": "int32", "minimum": 0, "maximum": 9}, 2**31) == [
        ("", "must be at most 9")
    ]
    assert errors({"type": "integer", "format": "int32", "minimum": 0, "maximum": 2**31}, 2**32) == [
        ("", f"must be at most {2**31}"),
        ("", "must be a valid int32"),
    ]


ACCEPTED = [
    ({}, {"anything": [None]}),
    ({"type": "integer"}, 10**400),
    ({"type": "string", "nullable": True}, None),
    ({"type": "string", "format": "binary"}, "\x00"),
    ({"type": "string", "format": "password"}, ""),
    ({"type": "string", "format": "iban"}, "unknown formats are annotations"),
    ({"type": "integer", "format": "int32"}, -(2**31)),
    ({"type": "integer", "format": "int64"}, 2**63 - 1),
    ({"format": "uuid"}, "2EB8AA08-aa98-11ea-b4aa-73b441d16380"),
    ({"format": "byte"}, "YWJjZA=="),
    ({"format": "date"}, 5),
    ({"additionalProperties": True}, {"a": 1}),
    ({"required": []}, {}),
    ({"pattern": r"^\p{Lu}\d\cA$"}, "É1\x01"),
    ({"enum": [{"$ref": "#/nowhere"}]}, {"$ref": "#/nowhere"}),
    ({"x-rule": {"if": 1}, "title": "", "example": 1, "xml": {}, "deprecated": True, "externalDocs": {}}, 1),
]


@pytest.mark.parametrize(("schema", "value"), ACCEPTED)
def test_a_conforming_value_has_no_errors(schema, value):
    assert errors(schema, value) == []


@pytest.mark.parametrize("value", ["٤", "1\n", "\uff11"])
def test_digits_in_patterns_are_those_of_ecma_262(value):
    assert errors({"pattern": r"^\d$"}, value) == [("", r"must match ^\d$")]


def test_null_is_refused_by_an_enum_without_it():
    schema = {"type": "string", "nullable": True, "enum": ["a"]}

    assert errors(schema, None) == [("", 'must be "a"')]
    assert errors(schema | {"enum": ["a", None]}, None) == []


def test_nullable_takes_effect_beside_type_only():
    assert errors({"nullable": True, "allOf": [ref("A")]}, None, A={"type": "object"}) == [
        ("", "must be of type object")
    ]


def test_fields_are_paths_to_the_values():
    user = {
        "type": "object",
        "required": ["name", "owner"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "owner": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
            "tags": {"type": "array", "items": {"allOf": [ref("Tag")]}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    value = {"owner": {"id": "x"}, "tags": [{"name": 1}, 2, {}], "labels": {"a": 1, "b": "b"}, "x": 1, "y": 2}

    assert errors(
        {"type": "array", "items": user}, [value], Tag={"type": "object", "required": ["name"]} | user
    ) == [
        ("[0].name", "is required"),
        ("[0].owner.id", "must be of type integer"),
        ("[0].tags[0].owner", "is required"),
        ("[0].tags[0].name", "must be of type string"),
        ("[0].tags[1]", "must be of type object"),
        ("[0].tags[2].name", "is required"),
        ("[0].tags[2].owner", "is required"),
        ("[0].labels.a", "must be of type string"),
        ("[0].x", "is not a known property"),
        ("[0].y", "is not a known property"),
    ]


def test_an_error_found_twice_is_reported_once():
    assert errors({"allOf": [ref("A"), ref("A")]}, {}, A={"required": ["a"]}) == [("a", "is required")]


def test_a_schema_may_contain_itself():
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": ref("Tree")}, "name": {"type": "string"}},
    }

    assert errors(ref("Tree"), {"children": [{"children": [{"name": 1}]}]}, Tree=tree) == [
        ("children[0].children[0].name", "must be of type string")
    ]


def test_properties_may_have_the_names_of_keywords():
    schema = {
        "properties": {"$ref": {"type": "string"}, "type": {"properties": {"enum": {"type": "string"}}}}
    }

    assert errors(schema, {"$ref": 1, "type": {"enum": 1}}) == [
        ("$ref", "must be of type string"),
        ("type.enum", "must be of type string"),
    ]


def test_references_may_target_any_schema_and_ignore_siblings():
    document = {"paths": {"/users/{id}": {"get": {"parameters": [{"schema": {"type": "string"}}]}}}}
    schemas = Schemas(document)
    schema = {"$ref": "#/paths/~1users~1%7Bid%7D/get/parameters/0/schema", "minLength": 5, "unknown": 1}

    assert schemas.compile(schema, "#/x", Direction.REQUEST).errors("a") == []
    assert schemas.resolve(schema) is document["paths"]["/users/{id}"]["get"]["parameters"][0]["schema"]


def test_the_same_schema_is_compiled_once():
    schemas = Schemas({"components": {"schemas": {"A": {"type": "string"}, "B": ref("A")}}})
    first = schemas.compile(ref("A"), "#/x", Direction.REQUEST)
    schemas.finish()

    assert schemas.compile(ref("B"), "#/y", Direction.REQUEST) is first
    assert schemas.compile(ref("B"), "#/y", Direction.RESPONSE) is not first
    assert first.schema == {"type": "string"}
    assert first.errors(1) == [FieldError("", "must be of type string")]


ACCOUNT = {
    "type": "object",
    "required": ["id", "password", "name"],
    "additionalProperties": False,
    "properties": {
        "id": ref("Id"),
        "password": {"type": "string", "writeOnly": True},
        "name": {"type": "string"},
    },
}


def test_read_only_properties_are_neither_required_nor_allowed_in_requests():
    options = {"Account": ACCOUNT, "Id": {"type": "integer", "readOnly": True, "default": 1}}

    assert errors(ref("Account"), {"password": "a", "name": "b"}, **options) == []
    assert errors(ref("Account"), {"id": 1, "password": "a", "name": "b"}, **options) == [
        ("id", "is read-only")
    ]
    assert compiled(ref("Account"), **options).fill_defaults({}) == {}


def test_write_only_properties_are_neither_required_nor_allowed_in_responses():
    options = {
        "Account": ACCOUNT,
        "Id": {"type": "integer", "readOnly": True},
        "direction": Direction.RESPONSE,
    }

    assert errors(ref("Account"), {"id": 1, "name": "b"}, **options) == []
    assert errors(ref("Account"), {"id": 1, "password": "a", "name": "b"}, **options) == [
        ("password", "is write-only")
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [ref("Base"), {"required": ["id"]}]},
        {"allOf": [ref("Base"), ref("Needs")]},
        {"required": ["id"], "allOf": [ref("Base")]},
        {"allOf": [{"properties": {"id": {"allOf": [{"readOnly": True}]}}}, {"anyOf": [ref("Needs")]}]},
    ],
)
def test_a_read_only_property_is_not_required_by_what_it_is_combined_with(schema):
    components = {"Base": {"properties": {"id": {"readOnly": True}}}, "Needs": {"required": ["id"]}}

    assert errors(schema, {}, **components) == []
    assert errors(ref("Needs"), {}, **components) == [("id", "is required")]


CAT = {"type": "object", "required": ["kind", "lives"], "properties": {"lives": {"type": "integer"}}}
DOG = {
    "type": "object",
    "properties": {"kind": {"type": "string"}, "barks": {"type": "boolean", "default": True}},
}
ANIMAL = {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "kind"}}
MAPPED = {"propertyName": "kind", "mapping": {"cat": "Cat", "dog": "#/components/schemas/Dog"}}
NAMES = 'must be one of "Cat", "Dog"'


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
@pytest.mark.parametrize(
    ("discriminator", "value", "expected"),
    [
        ({"propertyName": "kind"}, {"kind": "Dog", "barks": True}, []),
        ({"propertyName": "kind"}, {"kind": "Dog", "barks": 1}, [("barks", "must be of type boolean")]),
        ({"propertyName": "kind"}, {"kind": "Cat"}, [("lives", "is required")]),
        ({"propertyName": "kind"}, {"kind": "Cow"}, [("kind", NAMES)]),
        ({"propertyName": "kind"}, {"kind": ["Cat"]}, [("kind", NAMES)]),
        ({"propertyName": "kind"}, {}, [("kind", "is required")]),
        ({"propertyName": "kind"}, 1, [("", "must be of type object")]),
        (MAPPED, {"kind": "cat"}, [("lives", "is required")]),
        (MAPPED, {"kind": "Cat"}, [("lives", "is required")]),
        (MAPPED, {"kind": "dog", "barks": 1}, [("barks", "must be of type boolean")]),
        (MAPPED, {"kind": "cow"}, [("kind", 'must be one of "Cat", "Dog", "cat", "dog"')]),
    ],
)
def test_a_discriminator_chooses_the_schema(keyword, discriminator, value, expected):
    schema = {keyword: ANIMAL["oneOf"], "discriminator": discriminator}

    assert errors(schema, value, Cat=CAT, Dog=DOG) == expected


@pytest.mark.parametrize("alternatives", [{}, {"oneOf": [ref("Dog"), ref("Puppy")]}])
def test_a_discriminator_chooses_among_those_that_extend_the_schema(alternatives):
    pet = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}, "id": {"readOnly": True}},
        "discriminator": {"propertyName": "kind"},
    }
    size = {"type": "object", "required": ["size", "id"], "properties": {"friend": ref("Pet")}}
    components = {
        "Pet": pet | alternatives,
        "Dog": {"allOf": [ref("Pet"), size]},
        "Puppy": {"allOf": [ref("Dog"), {"required": ["age"]}]},
        "Alias": ref("Dog"),
    }
    value = {"kind": "Puppy", "friend": {"kind": "Dog", "id": 1}}

    assert sorted(errors(ref("Pet"), value, **components)) == [
        ("age", "is required"),
        ("friend.id", "is read-only"),
        ("friend.size", "is required"),
        ("size", "is required"),
    ]
    assert [field for field, _ in errors(ref("Pet"), {"kind": "Alias"}, **components)] == ["kind"]


def test_a_discriminator_applies_to_a_wrapping_schema():
    schema = {"properties": {"pet": {"allOf": [ref("Animal")], "description": "A pet"}}}

    assert errors(schema, {"pet": {"kind": "Cat"}}, Animal=ANIMAL, Cat=CAT, Dog=DOG) == [
        ("pet.lives", "is required")
    ]


REFUSED = [
    ({"const": 1}, "#/x/const", "write enum with one value"),
    ({"properties": {"a/b": {"if": {}}}}, "#/x/properties/a~1b/if", "write oneOf"),
    ({"items": {"patternProperties": {}}}, "#/x/items/patternProperties", "write additionalProperties"),
    ({"additionalProperties": {"prefixItems": []}}, "#/x/additionalProperties/prefixItems", "minItems"),
    ({"not": {"colour": 1}}, "#/x/not/colour", "begin its name with x-"),
    ({"allOf": [{"type": ["string", "null"]}]}, "#/x/allOf/0/type", "nullable: true"),
    ({"type": "null"}, "#/x/type", "nullable: true"),
    ({"minimum": 1, "exclusiveMinimum": 5}, "#/x/exclusiveMinimum", "exclusiveMinimum: true beside minimum"),
    ({"exclusiveMaximum": True}, "#/x/exclusiveMaximum", "write maximum too"),
    ({"items": [{}]}, "#/x/items", "one schema for all items"),
    ({"required": True}, "#/x/required", "in the schema of the object"),
    ({"properties": {"a": True}}, "#/x/properties/a", "write {}"),
    ({"readOnly": True, "writeOnly": True}, "#/x", "keep one of them"),
    ({"pattern": "["}, "#/x/pattern", "is not a regular expression"),
    ({"enum": [b""]}, "#/x/enum", "no JSON"),
    ({"enum": b""}, "#/x", "that JSON cannot"),
    ({"type": "integer", "default": "1"}, "#/x/default", "must be of type integer"),
    ({"type": "string", "default": b""}, "#/x/default", "no JSON"),
    ({"$ref": "#/components/schemas/Nothing"}, "#/x", "does not exist"),
    ({"$ref": "other.yaml#/A"}, "#/x", "does not exist"),
    ({"$ref": 1}, "#/x/$ref", "as a string"),
    (ref("Circle"), PREFIX + "Circle", "refers to itself"),
    (ref("Endless"), PREFIX + "Endless", "contains itself"),
    ({"properties": {"a": {"not": ref("Endless")}}}, PREFIX + "Endless", "contains itself"),
    (ANIMAL | {"oneOf": [{"type": "object"}]}, "#/x/oneOf/0", "move it to components/schemas"),
    (ANIMAL | {"oneOf": [ref("Cat"), {"$ref": "#/other/Cat"}]}, "#/x/oneOf/1", "rename one of them"),
    (
        ANIMAL | {"oneOf": [ref("Cat")], "discriminator": MAPPED},
        "#/x/discriminator/mapping/dog",
        "add it to oneOf",
    ),
    (ANIMAL | {"discriminator": {"mapping": {}}}, "#/x/discriminator", "propertyName"),
]


@pytest.mark.parametrize(("schema", "pointer", "words"), REFUSED)
def test_what_cannot_be_enforced_is_refused_when_compiling(schema, pointer, words):
    components = {"Circle": ref("Circle"), "Endless": {"anyOf": [{}, ref("Endless")]}, "Cat": CAT, "Dog": DOG}
    schemas = Schemas({"components": {"schemas": components}, "other": {"Cat": {}}})

    with pytest.raises(DocumentError) as caught:
        schemas.compile(schema, "#/x", Direction.REQUEST)

    assert caught.value.pointer == pointer
    assert words in str(caught.value)


TREE = {"type": "array", "items": ref("Tree")}
CHOICE = {"anyOf": [{"type": "string"}, {"type": "array", "items": ref("Tree")}]}


@pytest.mark.parametrize("tree", [TREE, CHOICE])
@pytest.mark.parametrize("levels", [256, 1000])
def test_a_refused_value_may_be_nested_too_deeply(tree, levels):
    value = orjson.loads("[" * levels + "1" + "]" * levels)

    assert errors(ref("Tree"), value, Tree=tree) == [("", "is nested too deeply")]


def test_many_schemas_at_each_level_leave_fewer_levels():
    tree = {"type": "array", "items": ref("Tree")}
    for _ in range(8):
        tree = {"allOf": [tree]}

    assert errors(ref("Tree"), orjson.loads("[" * 250 + "1" + "]" * 250), Tree=tree) == [
        ("", "is nested too deeply")
    ]


def test_a_conforming_value_may_have_any_depth():
    assert errors(ref("Tree"), orjson.loads("[" * 1000 + "]" * 1000), Tree=TREE) == []


@pytest.mark.parametrize("value", ["\ud800", ["\ud800"], {"\ud800": 1}])
def test_unpaired_surrogates_are_refused(value):
    schema = {"minLength": 2, "items": {"minLength": 2}, "additionalProperties": {"type": "string"}}

    assert errors(schema, value) == [("", "must not contain unpaired surrogates")]


def test_long_paths_are_cut():
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}

    assert errors(schema, {"a" * 5000: {"b": 1}}) == [("a" * 1000 + ".b", "must be of type string")]


def test_invalid_values_are_explained_in_linear_time():
    required = [f"r{n}" for n in range(20)]
    tree = {"required": required, "additionalProperties": ref("Tree"), "items": {"type": "string"}}
    choices = {
        "anyOf": [{"type": "string"}, {"additionalProperties": ref("Choices"), "items": {"type": "string"}}]
    }
    value = list(range(20_000))
    for _ in range(100):
        value = {"a": value}
    schema = compiled({"allOf": [ref("Tree"), ref("Choices")]}, Tree=tree, Choices=choices)

    start = perf_counter()
    found = schema.errors(value)

    assert perf_counter() - start < 5  # jsonschema-rs's own list of errors takes a minute and gigabytes.
    assert len(found) == MAX_ERRORS


TEXT = {"type": "string"}
PAIR = {"type": "object", "additionalProperties": False, "properties": {"x": TEXT, "y": TEXT}}
PAIRS = {"type": "array", "maxItems": 3, "items": PAIR}
COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
TREE = {"type": "array", "maxItems": 2, "items": ref("Tree")}


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        ({}, (0, False)),
        (COUNTS, (0, False)),
        (ref("Tree"), (6, False)),
        ({"type": "array", "maxItems": 3}, (3, False)),
        ({"type": "array", "items": TEXT}, (0, False)),
        ({"maxItems": 3, "maxProperties": 2}, (3, False)),
        (TEXT, (0, True)),
        (PAIR, (2, True)),
        (PAIRS, (9, True)),
        (PAIRS | {"items": {"type": "object", "properties": {"x": TEXT}}}, (6, False)),
        ({"type": "object", "properties": {"all": PAIRS}}, (10, False)),
        (COUNTS | {"maxProperties": 5}, (5, True)),
        (COUNTS | {"maxProperties": 5, "properties": {"all": PAIRS}}, (50, True)),
        ({"type": "object", "maxProperties": 0}, (0, True)),
        ({"type": "array", "maxItems": 0}, (0, True)),
        (PAIR | {"properties": {"id": {"type": "array", "readOnly": True}}}, (1, True)),
        ({"allOf": [PAIRS, ref("Tree")]}, (9, True)),
        ({"oneOf": [PAIR, PAIRS]}, (9, True)),
        ({"anyOf": [PAIR, COUNTS]}, (2, False)),
        ({"type": "array", "items": TEXT, "anyOf": [PAIR, PAIRS]}, (9, True)),
    ],
)
def test_a_schema_limits_the_number_of_items_and_properties(schema, size):
    assert compiled(schema, Tree=TREE).size == size


def test_an_alternative_is_judged_by_itself():
    base = {"properties": {"a": {"default": 7}}}
    either = {"anyOf": [{"allOf": [ref("Base")], "required": ["x"]}, {"allOf": [ref("Base")]}]}
    schema = {"type": "object", "additionalProperties": False, "properties": {"v": either}}

    assert compiled(schema, Base=base).fill_defaults({"v": {}}) == {"v": {"a": 7}}
    assert errors(schema, {"v": {"a": 1}, "w": 3}, Base=base) == [("w", "is not a known property")]


def test_checks_of_a_deep_value_take_linear_time():
    tree = {"type": "object", "minProperties": 1, "enum": [1], "properties": {"next": ref("Tree")}}
    value = {"wide": list(range(10_000))}
    for _ in range(200):
        value = {"next": value}
    schema = compiled(ref("Tree"), Tree=tree)

    start = thread_time()
    found = schema.errors(value)

    assert len(found) == MAX_ERRORS
    assert thread_time() - start < 0.1  # Each check that converts the whole value takes a millisecond.


RECURSIVE = yaml.safe_load((Path(__file__).parent / "documents/recursive.yaml").read_text())["components"]


@pytest.mark.parametrize(
    ("name", "whole", "inner", "leaf", "field"),
    [
        ("Animal", {"kind": "Cat", "lives": 9}, "friends", {"kind": "Cat", "lives": "x"}, "lives"),
        ("Shape", {"type": "Group"}, "members", {"type": "Circle", "radius": -1}, "radius"),
    ],
)
def test_each_level_of_a_recursive_schema_is_checked_once(name, whole, inner, leaf, field):
    value, path = leaf, field
    for _ in range(60):
        value, path = {**whole, inner: [value]}, f"{inner}[0].{path}"
    schema = compiled(ref(name), **RECURSIVE["schemas"])

    start = thread_time()
    found = schema.errors(value)

    assert thread_time() - start < 1  # With two visits for each level it would take centuries.
    assert path in {error.field for error in found}


def test_defaults_of_a_recursive_schema_are_filled_in_once_for_each_level():
    base = {
        "type": "object",
        "required": ["kind"],
        "discriminator": {"propertyName": "kind"},
        "properties": {"kind": TEXT, "next": ref("Base"), "size": {"type": "integer", "default": 1}},
    }
    heir = {"allOf": [ref("Base"), {"properties": {"next": ref("Base")}}]}
    value = {"kind": "Heir"}
    for _ in range(60):
        value = {"kind": "Heir", "next": value}

    start = thread_time()
    filled = compiled(ref("Base"), Base=base, Heir=heir).fill_defaults(value)

    assert thread_time() - start < 1
    assert str(filled).count("'size': 1") == 61


def test_the_search_for_errors_ends():
    alternatives = {"oneOf": [{"type": "object", "required": [f"p{n}"]} for n in range(100)]}
    valid, invalid = [{"p1": 1}] * 5_000, {"p": 1}
    schema = compiled({"type": "object", "additionalProperties": {"items": alternatives}})

    start = thread_time()
    late, early = (
        schema.errors({"first": first, "last": 1}) for first in ([*valid, invalid], [invalid, *valid])
    )

    assert late == [FieldError("", "must conform to the schema")]
    assert early == [FieldError("first[0]", "must match exactly one of the allowed schemas")]
    assert thread_time() - start < 1  # The whole search takes seconds.


BACKTRACKING = [r"^(?=.*[0-9]).+$", r"^(?!a)", r"(?<=x)y.*z$", r"(a*)*\1b"]


@pytest.mark.parametrize("pattern", BACKTRACKING)
def test_a_pattern_that_needs_backtracking_limits_the_length(pattern):
    start = thread_time()

    limited, shorter, response = (
        errors({"pattern": pattern} | own, value, direction=direction)
        for own, value, direction in (
            ({}, "xy1" * 100_000, Direction.REQUEST),
            ({"maxLength": 3}, "xy11", Direction.REQUEST),
            ({}, "1" * 10_001, Direction.RESPONSE),
        )
    )

    assert ("", "must have 10000 or fewer characters") in limited
    assert ("", "must have 3 or fewer characters") in shorter
    assert ("", "must have 10000 or fewer characters") not in response
    assert thread_time() - start < 0.5


def test_a_pattern_in_linear_time_limits_no_length():
    assert errors({"pattern": "^[a-z]+$"}, "x" * 100_000) == []


def test_a_value_that_stands_at_two_places_has_errors_at_both():
    shared = {"x": 1}

    assert errors({"additionalProperties": PAIR}, {"a": shared, "b": shared}) == [
        ("a.x", "must be of type string"),
        ("b.x", "must be of type string"),
    ]


def test_defaults_are_filled_in_as_fresh_copies():
    schema = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "default": []},
            "size": ref("Size"),
            "owner": {"type": "object", "properties": {"admin": {"type": "boolean", "default": False}}},
            "pets": {"type": "array", "items": {"$ref": PREFIX + "Animal"}},
        },
        "additionalProperties": {"allOf": [{"properties": {"x": {"default": None}}}]},
    }
    schema = compiled(schema, Size={"type": "integer", "default": 3}, Animal=ANIMAL, Cat=CAT, Dog=DOG)
    given_ = {"owner": {}, "pets": [{"kind": "Dog"}, {"kind": "Cat", "lives": 9}], "other": {}, "text": "a"}
    expected = {
        "tags": [],
        "size": 3,
        "owner": {"admin": False},
        "pets": [{"kind": "Dog", "barks": True}, {"kind": "Cat", "lives": 9}],
        "other": {"x": None},
        "text": "a",
    }

    first, second = (schema.fill_defaults(deepcopy(given_)) for _ in range(2))

    assert first == second == expected
    assert first["tags"] is not second["tags"]
    assert schema.fill_defaults([{}]) == [{}]


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_the_defaults_of_alternatives_are_filled_in_where_they_match(keyword):
    small = {"type": "object", "required": ["a"], "properties": {"x": {"default": "small"}}}
    large = {"type": "object", "required": ["b"], "properties": {"x": {"default": "large"}}}
    schema = compiled(
        {
            keyword: [small, large, {"type": "integer"}],
            "not": {"properties": {"y": {"default": 1}}, "minLength": 9},
        }
    )

    assert schema.fill_defaults({"b": 1}) == {"b": 1, "x": "large"}
    assert schema.fill_defaults(1) == 1


def test_a_schema_without_defaults_returns_the_value_itself():
    value = {"a": 1}

    assert compiled({"properties": {"a": {"type": "integer"}}}).fill_defaults(value) is value


def test_defaults_reach_any_depth_unless_alternatives_have_to_be_tried():
    tree = {"properties": {"next": ref("Tree"), "size": {"type": "integer", "default": 1}}}
    value = orjson.loads('{"next":' * 1000 + "{}" + "}" * 1000)

    filled = compiled(ref("Tree"), Tree=tree).fill_defaults(value)
    for _ in range(1000):
        filled = filled["next"]

    assert filled == {"size": 1}
    with pytest.raises(InvalidPayload, match="nested too deeply"):
        compiled(ref("Tree"), Tree={"anyOf": [tree]}).fill_defaults(value)


def test_five_hundred_operations_compile_at_once():
    count = 200
    components = {
        f"S{n}": {
            "type": "object",
            "properties": {"a": ref(f"S{n * 7 % count}"), "b": ref(f"S{(n * 13 + 5) % count}")},
        }
        for n in range(count)
    }
    schemas = Schemas({"components": {"schemas": components}})

    start = perf_counter()
    for n in range(500):
        for direction in Direction:
            schemas.compile(ref(f"S{n % count}"), f"#/{n}", direction)
        schemas.compile({"type": "integer", "minimum": n}, f"#/{n}/id", Direction.REQUEST)
    schemas.finish()

    assert perf_counter() - start < 5  # Ten times the usual duration; exceeded if each compiles all others.
