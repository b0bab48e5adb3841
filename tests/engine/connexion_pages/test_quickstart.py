"""The page "quickstart" of Connexion's documentation."""

from typing import Any

from connexion.options import SwaggerUIOptions

from tests.engine.connexion_pages.comparing import TEXT, assert_same_outcomes, get, greet, op, post
from tests.engine.programs import document, path_parameter


def test_quickstart() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__, swagger_ui_options=SwaggerUIOptions(swagger_ui_path="/docs"))
        paths = {"/greeting/{name}": {"post": op(greet, path_parameter("name"), responses=TEXT)}}
        app.add_api(document(paths), base_path="/v1")
        app.add_api(document(paths, servers=[{"url": "https://example.org/v2/"}]), strict_validation=True)

        @app.route("/plain")
        def plain() -> str:
            return "plain"

        app.add_url_rule("/other", "other", lambda: "other", methods=["POST"])
        return app

    first, *_ = assert_same_outcomes(
        "quickstart",
        build,
        post("/v1/greeting/ada"),
        post("/v2/greeting/ada%20b"),
        post("/v1/greeting/ada?x=1"),
        post("/v2/greeting/ada?x=1"),
        get("/v1/greeting/ada"),
        post("/v1/greeting/ada/?x=1"),
        get("/plain"),
        post("/other"),
        get("/other"),
        get("/v1/nowhere"),
        get("/v2/openapi.json"),
    )

    assert first == {"status": 200, "body": "Hello ada", "content-type": ["text/plain; charset=utf-8"]}
