"""The page "response" of Connexion's documentation."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from connexion import FlaskApp
from connexion.datastructures import NoContent
from connexion.jsonifier import Jsonifier
from connexion.lifecycle import ConnexionResponse
from connexion.problem import problem

from tests.engine.connexion_pages.comparing import TEXT, assert_same_outcomes, everything, get, op
from tests.engine.programs import document, path_parameter
from users_api.engine import App

RESULTS: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"a": 1},
    "list": lambda: [1, "é"],
    "text": lambda: "a text",
    "number": lambda: 7,
    "status": lambda: ({"a": 1}, 201),
    "headers": lambda: ({"a": 1}, {"Stamp": "s"}),
    "both": lambda: ({"a": 1}, 202, {"Stamp": "s"}),
    "nothing": lambda: None,
    "no content": lambda: NoContent,
    "no content 201": lambda: (NoContent, 201),
    "flask": lambda: flask.Response("<p>", status=203, mimetype="text/html"),
    "jsonify": lambda: flask.jsonify(a=1),
    "redirect": lambda: flask.redirect("/elsewhere"),
    "connexion": lambda: ConnexionResponse(
        status_code=206, body="x", mimetype="text/plain", headers={"Stamp": "s"}
    ),
    "problem": lambda: problem(409, "Taken", "It is taken.", ext={"by": "ada"}),
    "generator": lambda: flask.Response(iter(["a", "b"]), mimetype="text/plain"),
    "stream": lambda: flask.Response(flask.stream_with_context(flask.request.args[name] for name in "ab")),
}


def result(name: str) -> Any:
    """Return the result with this name."""
    return RESULTS[name]()


class Doubled(Jsonifier):
    """Writes JSON twice."""

    def dumps(self, data: Any, **options: Any) -> str:
        """Return the text of a pair."""
        return str(super().dumps([data, data], **options))


def test_response() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        name = path_parameter("name")
        several = {"200": {"description": "", "content": {"application/json": {}, "text/plain": {}}}}
        app.add_api(
            document(
                {
                    "/json/{name}": {"get": op(result, name)},
                    "/text/{name}": {
                        "get": {**op(result, name, responses=TEXT), "operationId": f"{__name__}.RESULTS_text"}
                    },
                    "/several/{name}": {
                        "get": {**op(result, name, responses=several), "operationId": f"{__name__}.several"}
                    },
                    "/none/{name}": {
                        "get": {
                            **op(result, name, responses={"200": {"description": ""}}),
                            "operationId": f"{__name__}.none",
                        }
                    },
                }
            ),
            resolver=lambda _name: result,
        )
        app.add_api(
            document({"/{name}": {"get": op(result, name)}}),
            base_path="/twice",
            jsonifier=Doubled(flask.json, indent=2),
        )
        return app

    assert_same_outcomes(
        "response",
        build,
        *(get(f"/json/{name}") for name in RESULTS if name != "stream"),
        get("/json/stream?a=1&b=2"),
        *(get(f"/text/{name}") for name in ("text", "nothing", "flask")),
        *(get(f"/several/{name}") for name in ("dict", "flask")),
        *(get(f"/none/{name}") for name in ("dict", "text", "nothing")),
        get("/twice/dict"),
    )


@pytest.mark.parametrize("kind", [FlaskApp, App])
def test_a_custom_json_provider_is_used(kind: Any) -> None:
    class Shouting(flask.json.provider.DefaultJSONProvider):
        def dumps(self, obj: Any, **_options: Any) -> str:
            return super().dumps(obj).upper()

    app = kind(__name__)
    app.app.json = Shouting(app.app)
    app.add_api(document({"/x": {"get": op(everything)}}), resolver=lambda _name: lambda: {"a": "b"})

    assert app.test_client().get("/x").json() == {"A": "B"}
