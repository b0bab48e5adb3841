"""The page "exceptions" of Connexion's documentation."""

from collections.abc import Callable
from typing import Any

import flask
from connexion import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.problem import problem

from tests.engine.connexion_pages.comparing import assert_same_outcomes, get, op, post
from tests.engine.programs import document, path_parameter


class TeapotError(Exception):
    """An exception of the program."""


def fail(kind: str) -> Any:
    """Raise the exception of this kind."""
    failures: dict[str, Callable[[], Any]] = {
        "teapot": lambda: (_ for _ in ()).throw(TeapotError("t")),
        "lookup": lambda: {}["x"],
        "problem": lambda: (_ for _ in ()).throw(ProblemException(status=402, title="Pay", ext={"price": 3})),
        "abort": lambda: flask.abort(410),
        "missing": lambda: flask.abort(404),
        "other": lambda: 1 / 0,
    }
    return failures[kind]()


def test_exceptions() -> None:
    def teapot(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
        return ConnexionResponse(
            418, body=f"{request.method} {error}", mimetype="text/plain", headers={"Stamp": "t"}
        )

    async def missing(_request: ConnexionRequest, _error: Exception) -> ConnexionResponse:
        return problem(404, "Gone astray", "There is nothing here.")

    def build(kind: Any) -> Any:
        app = kind(__name__)
        app.add_api(document({"/fail/{kind}": {"get": op(fail, path_parameter("kind"))}}))
        app.add_error_handler(TeapotError, teapot)
        app.add_error_handler(LookupError, teapot)
        app.add_error_handler(404, missing)
        return app

    assert_same_outcomes(
        "exceptions",
        build,
        *(get(f"/fail/{kind}") for kind in ("teapot", "lookup", "problem", "abort", "missing")),
        get("/nowhere"),
        post("/fail/teapot"),
    )


def test_an_unexpected_exception_is_a_problem_of_status_500() -> None:
    def build(kind: Any) -> Any:
        app = kind(__name__)
        app.add_api(document({"/fail/{kind}": {"get": op(fail, path_parameter("kind"))}}))
        return app

    assert_same_outcomes("unexpected", build, get("/fail/other"), get("/fail/teapot"))
