"""Values are judged as by Connexion, except for `STOCK_DEVIATIONS`, and filled with the same defaults."""

from copy import deepcopy

import pytest
from connexion.json_schema import Draft4RequestValidator
from connexion.validators.json import DefaultsJSONRequestBodyValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.test_schemas import compiled, errors, ref
from users_api.engine.failures import FieldError
from users_api.engine.messages import NOT_CONFORMING

NAMES_OF_PROPERTIES = st.sampled_from(["a", "b", "$ref", "type"])


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, 2.5, 10**20])
    | st.sampled_from(["", "a", "ab", "é"])
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES_OF_PROPERTIES, inner, max_size=3),
    max_leaves=8,
)


COUNTS = st.integers(0, 3)


LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["array", "boolean", "integer", "number", "object", "string"]),
        "nullable": st.booleans(),
        "enum": st.lists(SCALARS, min_size=1, max_size=3),
        "minLength": COUNTS,
        "maxLength": COUNTS,
        "pattern": st.sampled_from(["^a", "b$", "^[a-z]{2}$"]),
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "multipleOf": st.integers(1, 3),
        "minItems": COUNTS,
        "maxItems": COUNTS,
        "uniqueItems": st.booleans(),
        "minProperties": COUNTS,
        "maxProperties": COUNTS,
        "required": st.lists(NAMES_OF_PROPERTIES, min_size=1, max_size=2, unique=True),
    },
)


COMPONENTS = {
    "Tree": {"type": "object", "nullable": True, "properties": {"a": ref("Tree"), "b": {"type": "integer"}}},
    "Leaf": {"type": "string", "minLength": 1},
}


REFERRED = st.sampled_from([ref("Tree"), ref("Leaf")])


def larger(inner):
    several = st.lists(inner, min_size=1, max_size=3)
    optional = {
        "properties": st.dictionaries(NAMES_OF_PROPERTIES, inner, max_size=3),
        "additionalProperties": st.booleans() | inner,
        "items": inner,
        "not": inner,
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
    }
    limits = {"exclusiveMinimum": st.just(value=True), "minimum": st.integers(-2, 2)}
    parts = st.tuples(
        LEAVES, st.fixed_dictionaries({}, optional=optional), st.just({}) | st.fixed_dictionaries(limits)
    )
    return REFERRED | parts.map(lambda dicts: dicts[0] | dicts[1] | dicts[2])


SCHEMAS = st.recursive(LEAVES, larger, max_leaves=6)


DIFFERENTIAL = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


ONE_ALTERNATIVE = {"oneOf": [ref("Tree")], "discriminator": {"propertyName": "kind"}}


STOCK_DEVIATIONS = [
    ("An enum without null rejects null", {"type": "string", "nullable": True, "enum": ["a"]}, None),
    ("A format is checked", {"format": "date"}, "2023-02-29"),
    ("So is that of a number", {"format": "int32"}, 2**31),
    ("A read-only property is rejected", {"properties": {"a": {"readOnly": True}}}, {"a": 1}),
    ("And not required", {"properties": {"a": {"readOnly": True}}, "required": ["a"]}, {}),
    ("A discriminator is required", ONE_ALTERNATIVE, {}),
    ("It names a schema", ONE_ALTERNATIVE, {"kind": "Bush"}),
]


@pytest.mark.parametrize(("why", "schema", "value"), STOCK_DEVIATIONS)
def test_stock_connexion_differs(why, schema, value):
    theirs = Draft4RequestValidator({"allOf": [schema], "components": {"schemas": COMPONENTS}})

    assert theirs.is_valid(value) is bool(errors(schema, value, **COMPONENTS)), why


def stock_schema(schema):
    """Return the schema with which Connexion rejects null if `enum` does not list it."""
    if isinstance(schema, list):
        return [stock_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {keyword: stock_schema(value) for keyword, value in schema.items()}
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        changed["nullable"] = False
    return changed


@DIFFERENTIAL
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=5))
def test_results_equal_those_of_stock_connexion(schema, values):
    ours = compiled(schema, **COMPONENTS)
    theirs = Draft4RequestValidator({"allOf": [stock_schema(schema)], "components": {"schemas": COMPONENTS}})

    for value in values:
        found = ours.errors(value)
        assert (found == []) is theirs.is_valid(value), value
        assert FieldError("", NOT_CONFORMING) not in found


DEFAULTED = st.recursive(
    st.sampled_from([{}, {"default": 1}, {"default": [2]}, {"default": {}}, {"default": None}]),
    lambda inner: st.builds(
        lambda properties, items, combined: {"properties": properties, "items": items, "allOf": combined},
        st.dictionaries(NAMES_OF_PROPERTIES, inner, max_size=3),
        inner,
        st.lists(inner, min_size=1, max_size=2),
    ),
    max_leaves=6,
)


@DIFFERENTIAL
@given(DEFAULTED, VALUES)
def test_defaults_are_filled_in_as_by_stock_connexion(schema, value):
    theirs = deepcopy(value)
    stock = DefaultsJSONRequestBodyValidator.extend_with_set_default(Draft4RequestValidator)(deepcopy(schema))
    try:
        assert stock.is_valid(theirs)
    except AttributeError:  # Connexion treats every value of a schema with properties as an object.
        theirs = None

    assert theirs in (None, compiled(schema).fill_defaults(value))
