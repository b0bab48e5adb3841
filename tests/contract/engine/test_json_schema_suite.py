"""The JSON Schema Test Suite (npm's, draft 4): every case that OpenAPI 3.0 can express."""

import json
from pathlib import Path

import pytest

from users_api.engine.failures import DocumentError
from users_api.engine.schemas import Direction, Schemas

SUITE = Path(__file__).parents[3] / "build" / "node_modules" / "json-schema-test-suite" / "tests" / "draft4"
PREFIX = "#/components/schemas/"
REFERENCES = {"#/definitions/": PREFIX, "#/properties/": f"{PREFIX}Root/properties/"}
MEMBERS = {"anyOf", "oneOf", "allOf"}
LEFT_OUT = {"$schema", "definitions", "$comment", "type"}
SAME = {
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
    "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum",
    "format", "default", "description",
}  # fmt: skip
DEVIATIONS = {
    "invalid type for default": "a default has to conform: the document is refused",
    "invalid string value for default": "the same",
    "a valid protocol-relative URI": "a URI has a scheme (RFC 3986, 3); later versions of the suite agree",
}


class InexpressibleError(Exception):
    """OpenAPI 3.0 has no way to write this schema."""


def ref(name):
    return {"$ref": PREFIX + name}


def express(schema):
    if not isinstance(schema, dict):
        raise InexpressibleError
    if isinstance(reference := schema.get("$ref"), str):
        return express_reference(reference)
    expressed = {keyword: schema[keyword] for keyword in SAME if keyword in schema}
    expressed |= {name: [express(each) for each in schema[name]] for name in MEMBERS if name in schema}
    for keyword, value in schema.items():
        if keyword == "properties":
            expressed[keyword] = {name: express(inner) for name, inner in value.items()}
        elif keyword in {"items", "not", "additionalProperties"}:
            expressed[keyword] = value if isinstance(value, bool) else express(value)
        elif keyword not in SAME | MEMBERS | LEFT_OUT:
            raise InexpressibleError
    if "type" in schema:
        expressed["allOf"] = [*expressed.get("allOf", []), express_types(schema["type"])]
    return expressed


def express_reference(reference):
    if reference == "#":
        return ref("Root")
    for prefix, ours in REFERENCES.items():
        if reference.startswith(prefix):
            return {"$ref": ours + reference.removeprefix(prefix)}
    raise InexpressibleError


def express_types(types):
    if isinstance(types, str):
        return {"enum": [None]} if types == "null" else {"type": types}
    others = [name for name in types if name != "null"]
    if len(others) == 1 and "null" in types:
        return {"type": others[0], "nullable": True}
    return {"anyOf": [express_types(name) for name in types]}


def cases():
    for path in sorted(SUITE.rglob("*.json")):
        for group in json.loads(path.read_text()):
            try:
                definitions = group["schema"].get("definitions", {})
                schemas = {name: express(each) for name, each in definitions.items()}
                schemas["Root"] = express(group["schema"])
            except InexpressibleError:
                continue
            for case in group["tests"]:
                yield path.stem, group["description"], case, schemas


CASES = list(cases())


@pytest.mark.parametrize(
    ("description", "case", "schemas"),
    [pytest.param(*each, id=f"{name}: {each[0]}: {each[1]['description']}") for name, *each in CASES],
)
def test_results_equal_those_of_the_suite(description, case, schemas):
    try:
        schema = Schemas({"components": {"schemas": schemas}}).compile(ref("Root"), "#/x", Direction.REQUEST)
        accepted = not schema.errors(case["data"])
    except DocumentError:
        accepted = None

    assert (accepted is case["valid"]) is DEVIATIONS.keys().isdisjoint({description, case["description"]})


def test_the_suite_is_installed_and_every_deviation_exists():
    assert len(CASES) > 200, "`make contract` installs npm's json-schema-test-suite in build/node_modules"
    assert DEVIATIONS.keys() <= {text for _, group, case, _ in CASES for text in (group, case["description"])}
