"""The page "validation" of Connexion's documentation."""

from copy import deepcopy
from typing import Any

from connexion import ProblemException
from connexion.validators import (
    DefaultsJSONRequestBodyValidator,
    JSONResponseBodyValidator,
    ParameterValidator,
)

from tests.engine.connexion_pages.comparing import assert_same_outcomes, get, op, payload, post, query
from tests.engine.programs import document, json_body, path_parameter


def measured(body: Any, count: int | None = None) -> Any:
    """Return the arguments."""
    return {"count": count, "body": body}


def wrong(kind: str) -> Any:
    """Return a valid or an invalid response."""
    return {"right": {"a": 1}, "wrong": {"a": "x"}, "header": ({"a": 1}, 200, {"Stamp": "s"})}[kind]


class OnlyEven(ParameterValidator):
    """Accepts even numbers only."""

    def validate(self, scope: Any) -> None:
        """Check the query parameter `count`."""
        super().validate(scope)
        if b"count=3" in scope["query_string"]:
            raise ProblemException(status=400, title="Bad Request")


class NoSecrets(JSONResponseBodyValidator):
    """Rejects a word."""

    def _validate(self, body: Any) -> Any:
        if "secret" in str(body):
            raise ProblemException(status=500, title="Secret")


def test_validation() -> None:
    count = query("count", type="integer", minimum=1, maximum=9)
    tag = {"name": "X-Tag", "in": "header", "required": True, "schema": {"type": "string", "minLength": 2}}
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "colour": {"type": "string", "default": "red"}},
        "required": ["name"],
    }
    conforming = {
        "200": {
            "description": "",
            "content": {
                "application/json": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
            },
            "headers": {"Stamp": {"required": True, "schema": {"type": "string"}}},
        }
    }
    defaults = {"body": {"application/json": DefaultsJSONRequestBodyValidator}, "parameter": OnlyEven}

    def build(kind: Any) -> Any:
        app = kind(__name__)

        def paths() -> dict[str, Any]:
            return deepcopy(
                {
                    "/measured": {"post": op(measured, count, tag, requestBody=json_body(**schema))},
                    "/wrong/{kind}": {"get": op(wrong, path_parameter("kind"), responses=conforming)},
                }
            )

        app.add_api(document(paths()), base_path="/plain")
        app.add_api(document(paths()), base_path="/strict", strict_validation=True, validate_responses=True)
        app.add_api(document(paths()), base_path="/defaults", validator_map=defaults)
        app.add_api(document(paths()), base_path="/off", validator_map={"body": {}})
        app.add_api(
            document({"/say": {"post": op(payload, requestBody={**json_body(), "x-body-name": "payload"})}}),
            base_path="/secrets",
            validate_responses=True,
            validator_map={"response": {"application/json": NoSecrets}},
        )
        return app

    tagged = {"headers": {"X-Tag": "ab"}}
    assert_same_outcomes(
        "validation",
        build,
        *(
            post(f"/{name}/measured{text}", json=body, **tagged)
            for name in ("plain", "strict", "defaults", "off")
            for text, body in [
                ("", {"name": "a"}),
                ("?count=2", {"name": "a", "colour": "blue"}),
                ("?count=3", {"name": "a"}),
                ("?count=0", {"name": "a"}),
                ("?count=10", {"name": "a"}),
                ("?other=1", {"name": "a"}),
                ("", {}),
                ("", {"name": 1}),
            ]
        ),
        post("/plain/measured", json={"name": "a"}),
        post("/plain/measured", json={"name": "a"}, headers={"X-Tag": "a"}),
        *(
            get(f"/{name}/wrong/{kind}")
            for name in ("plain", "strict")
            for kind in ("right", "wrong", "header")
        ),
        post("/secrets/say", json={"a": "public"}),
        post("/secrets/say", json={"a": "secret"}),
    )
