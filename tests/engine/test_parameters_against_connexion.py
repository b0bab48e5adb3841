"""Parameters are read as Connexion reads them, except for what `DEVIATIONS` lists."""

import json
from urllib.parse import parse_qsl, quote

import pytest
from connexion.uri_parsing import OpenAPIURIParser
from connexion.validators.parameter import ParameterValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.test_parameters import INTEGER, INTEGERS, RGB, compiled, outcome, parameter

REJECTED = "rejected"


def stock(definition, query):
    """Return the value that Connexion passes to the handler, or REJECTED."""
    texts = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        texts.setdefault(name, []).append(text)
    value = OpenAPIURIParser([definition], {}).resolve_query(texts).get("p")
    return REJECTED if ParameterValidator.validate_parameter("query", value, definition) else value


def ours(definition, query):
    found = outcome(compiled(definition, strict=False), query)
    return REJECTED if isinstance(found, list) else found.get("p")


TEXTS = st.text("abz019-. é", max_size=4) | st.sampled_from(["0", "1", "-1", "12", "1.5", "true", "false"])


ALIKE = [
    *(parameter({"type": kind}) for kind in ("string", "integer", "number", "boolean")),
    *(
        parameter({"type": "array", "items": {"type": kind}}, style=style, explode=explode)
        for kind in ("string", "integer", "number")
        for style, explode in (
            ("form", False),
            ("form", True),
            ("pipeDelimited", False),
            ("spaceDelimited", False),
        )
    ),
    parameter({"type": "object", "properties": {"a": INTEGER, "b": {"type": "string"}}}, style="deepObject"),
    parameter(
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": INTEGER}}}},
        style="deepObject",
    ),
]


def is_plain(text):
    """Return whether the text is a canonical JSON value; Python's int and float also accept other forms."""
    try:
        return json.dumps(json.loads(text)) == text
    except ValueError:
        return not any(converts_without_error(convert, text) for convert in (int, float))


def test_only_canonical_texts_are_converted():
    assert [is_plain(text) for text in ("1", "+1", "x")] == [True, False, True]


def converts_without_error(convert, text):
    try:
        convert(text)
    except ValueError:
        return False
    return True


@given(
    st.sampled_from(ALIKE),
    st.lists(
        TEXTS.filter(lambda text: is_plain(text) and is_plain(text.replace(" ", ""))), min_size=1, max_size=3
    ),
    st.sampled_from(["a", "b"]),
)
@settings(max_examples=400, deadline=None)
def test_connexion_reads_the_same(definition, texts, key):
    if definition.get("style") == "deepObject":
        nested = "properties" in definition["schema"]["properties"]["a"]
        query = f"p[{'a][b' if nested else key}]={quote(texts[0])}"
    elif definition["schema"]["type"] == "array" and not definition["explode"]:
        delimiter = {"form": ",", "pipeDelimited": "|", "spaceDelimited": "%20"}[definition["style"]]
        query = "p=" + delimiter.join(quote(text.replace(" ", "")) for text in texts)
    else:
        query = "&".join(f"p={quote(text)}" for text in texts)

    assert ours(definition, query) == stock(definition, query)


DEVIATIONS = [  # definition, query, Connexion's value, the engine's value
    (parameter(INTEGER), "p=%2B1", 1, REJECTED),
    (parameter(INTEGER), "p=01", 1, REJECTED),
    (parameter(INTEGER), "p=1_0", 10, REJECTED),
    (parameter(INTEGER), "p=-0", 0, REJECTED),
    (parameter({"type": "number"}), "p=.5", 0.5, REJECTED),
    (parameter({"type": "number"}), "p=inf", float("inf"), REJECTED),
    (parameter({"type": "boolean"}), "p=True", True, REJECTED),
    (parameter({"type": "array", "items": {"type": "string"}}), "p=a,b", ["a", "b"], ["a,b"]),
    (
        parameter({"type": "array", "items": {"type": "string"}}, explode=False),
        "p=a%2Cb",
        ["a", "b"],
        ["a,b"],
    ),
    (parameter(RGB, explode=False), "p=R,1", REJECTED, {"R": 1}),
    (
        parameter({"type": "object", "properties": {"a": INTEGERS}}, style="deepObject"),
        "p[a]=1&p[a]=2",
        REJECTED,
        {"a": [1, 2]},
    ),
    (parameter({"type": "string", "nullable": True}), "p=None", None, "None"),
    (parameter({"type": "array", "items": {"type": "boolean"}}), "p=True", [True], REJECTED),
]


@pytest.mark.parametrize(("definition", "query", "theirs", "value"), DEVIATIONS)
def test_deviations_from_connexion(definition, query, theirs, value):
    assert (stock(definition, query), ours(definition, query)) == (theirs, value)
