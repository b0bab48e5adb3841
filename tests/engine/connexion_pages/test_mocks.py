"""The page "mocks" of Connexion's documentation."""

from typing import Any

from connexion.mock import MockResolver

from tests.engine.connexion_pages.comparing import TEXT, assert_same_outcomes, get, greet, op, post
from tests.engine.programs import document, path_parameter


def test_mocks() -> None:
    content = {"application/json": {"schema": {"type": "object"}, "example": {"a": 1}}}

    def build(kind: Any) -> Any:
        app = kind(__name__)
        paths = {
            "/mock": {
                "get": {
                    "operationId": "absent.handler",
                    "responses": {"200": {"description": "", "content": content}},
                }
            },
            "/real/{name}": {"post": op(greet, path_parameter("name"), responses=TEXT)},
        }
        app.add_api(document(paths), resolver=MockResolver(mock_all=False))
        return app

    first, _ = assert_same_outcomes("mocks", build, get("/mock"), post("/real/ada"))

    assert first["body"] == {"a": 1}
