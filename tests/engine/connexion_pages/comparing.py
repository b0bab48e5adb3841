"""The programs of Connexion's documentation are built twice: only the class of the application differs.

Both get the same requests. Their statuses, bodies and headers are equal, except for what `DEVIATIONS` lists.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connexion import FlaskApp

from tests.engine.programs import operation
from users_api.engine import App

HEADERS = (
    "content-type",
    "location",
    "allow",
    "www-authenticate",
    "set-cookie",
    "stamp",
    "access-control-allow-origin",
)


NO_BODY = "a response of status 204 has no Content-Type (RFC 9110, 8.3)"


DEVIATIONS = {  # The reason why the engine's response differs, by page and request.
    "quickstart: GET /v2/openapi.json": (
        "the document is shown as it was written, without an empty `components`"
    ),
    "routing by operation ids: GET /c/double/1e5": "1e5 is a number in JSON, and so it is in a path",
    "request: GET /everything": "an object that was not sent is absent, not empty",
    "request: GET /everything?where[age]=4": "a function that takes all arguments gets headers, too",
    "response: GET /json/nothing": NO_BODY,
    "response: GET /json/no content": NO_BODY,
    "response: GET /text/nothing": NO_BODY,
    "response: GET /none/nothing": NO_BODY,
    "response: GET /json/connexion": "the mimetype of a ConnexionResponse is its Content-Type",
}


TEXT = {"200": {"description": "A text.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


Build = Callable[[Any], Any]


class Request(NamedTuple):
    """A request that is sent to both applications."""

    method: str
    path: str
    options: Mapping[str, Any] = {}


def get(path: str, **options: Any) -> Request:
    """Return a GET request."""
    return Request("GET", path, options)


def post(path: str, **options: Any) -> Request:
    """Return a POST request."""
    return Request("POST", path, options)


def op(function: Callable[..., Any], *parameters: Any, **more: Any) -> dict[str, Any]:
    """Return an operation whose operationId names the function."""
    return operation(f"{function.__module__}.{function.__name__}", *parameters, **more)


def query(name: str, **schema: Any) -> dict[str, Any]:
    """Return an optional query parameter."""
    return {"name": name, "in": "query", "schema": schema}


def outcome(client: Any, request: Request) -> dict[str, Any]:
    """Return what a client can observe, without the detail of a problem."""
    response = client.request(request.method, request.path, **request.options)
    body: Any = response.text
    if "json" in response.headers.get("content-type", "") and body:
        body = response.json()
    if response.status_code >= 400 and isinstance(body, dict):
        body.pop("detail", None)
    headers = {
        name: sorted(response.headers[name].split(", ")) for name in HEADERS if name in response.headers
    }
    return {"status": response.status_code, "body": body, **headers}


def assert_same_outcomes(page: str, build: Build, *requests: Request) -> list[dict[str, Any]]:
    """Require equal outcomes from both, except for listed deviations; return the engine's outcomes."""
    stock, ours = (build(kind).test_client(follow_redirects=False) for kind in (FlaskApp, App))
    outcomes = [
        (f"{page}: {each.method} {each.path}", outcome(stock, each), outcome(ours, each)) for each in requests
    ]
    differences = {name: (theirs, own) for name, theirs, own in outcomes if theirs != own}
    assert {name: each for name, each in differences.items() if name not in DEVIATIONS} == {}
    assert differences.keys() == {name for name in DEVIATIONS if name.startswith(f"{page}: ")}
    return [own for _, _, own in outcomes]


def greet(name: str) -> Any:
    """Return a text and a status."""
    return f"Hello {name}", 200


def everything(**arguments: Any) -> Any:
    """Return all arguments."""
    return arguments


def payload(payload: Any) -> Any:
    """Return the body."""
    return payload
