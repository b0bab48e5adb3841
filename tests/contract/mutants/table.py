"""Every operation with every status that the document lists: one request for each cell of the table."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from tests.contract.mutants.exchanges import Request, Response, ServiceStates

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
GRANT = b"grant_type=client_credentials"
STALE = '"0-0"'
TOO_LARGE = str(1024 * 1024 + 1)
OTHER_HOST = ("Host", "other.example")
LONG = ("X-Padding", "x" * 64 * 1024)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each operation with its name, like `GET /users`."""
    for path, methods in document["paths"].items():
        yield from (
            (f"{method.upper()} {path}", methods[method]) for method in methods if method != "parameters"
        )


def sample(name: str, operation: Mapping[str, Any], **differences: Any) -> Request:
    """Return a successful request for the operation, with the document's example as the body."""
    method, path = name.split(" ")
    body, headers = None, ()
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        text = urlencode(content["example"]) if media_type == FORM[1] else json.dumps(content["example"])
        body, headers = text.encode(), (("Content-Type", media_type),)
    return Request(name, method, path.replace("{user_id}", "2"), headers, body)._replace(**differences)


def _bad(request: Request) -> Request:
    return (
        request._replace(body=b"{}")
        if request.body
        else request._replace(target=f"{request.target}?nonsense=1")
    )


def _with(request: Request, *headers: tuple[str, str]) -> Request:
    return request._replace(headers=(*request.headers, *headers))


def _without_credentials(request: Request) -> Request:
    """Return the request without the token or, if it asks for one, without the client."""
    is_form = request.headers == (FORM,)
    return request._replace(kind="none", body=GRANT if is_form else request.body)


RECIPES: dict[str, Callable[[Request], Request]] = {
    "200": lambda request: request,
    "201": lambda request: request,
    "304": lambda request: _with(request, ("If-None-Match", "*")),
    "400": _bad,
    "401": _without_credentials,
    "403": lambda request: request._replace(kind="no scope"),
    "404": lambda request: request._replace(target="/users/3"),
    "405": lambda request: request._replace(method="TRACE", headers=(), body=None),
    "408": lambda request: _with(request, ("Content-Length", "10"))._replace(body=None),
    "412": lambda request: _with(request, ("If-Match", STALE)),
    "413": lambda request: _with(request, ("Content-Length", TOO_LARGE), ("Expect", "100-continue"))._replace(
        body=None
    ),
    "415": lambda request: request._replace(headers=(("Content-Type", "text/plain"),)),
    "421": lambda request: _with(request, OTHER_HOST),
    "429": lambda request: request._replace(state="limited"),
    "431": lambda request: _with(request, LONG),
    "500": lambda request: request._replace(state="misfit"),
    "503": lambda request: request._replace(state="away"),
}


def fill(
    stage: ServiceStates, document: Mapping[str, Any]
) -> dict[tuple[str, str], tuple[Request, Response]]:
    """Send the request of each cell; requests that wait for a timeout run in parallel."""
    cells = {
        (name, status): RECIPES[status](sample(name, operation))
        for name, operation in operations(document)
        for status in operation["responses"]
        if status in RECIPES
    }
    slow = [request for (_, status), request in cells.items() if status == "408"]
    with ThreadPoolExecutor(len(slow)) as threads:
        stage.answers |= zip(
            slow,
            threads.map(stage.send, slow),
            strict=True,
        )
    return {cell: (request, stage.ask(request)) for cell, request in cells.items()}


def reached(name: str, status: str, answer: Response) -> bool:
    """Return whether the response belongs in the cell; a 405 does only if the path supports the method."""
    own = name.partition(" ")[0]
    return str(answer.status) == status and (status != "405" or own in answer.headers["allow"].split(", "))


def render(document: Mapping[str, Any], filled: Mapping[tuple[str, str], tuple[Request, Response]]) -> str:
    """Return the table as text: `+` returned, `HOLE` documented but not returned, `·` not documented."""
    documented = {
        (name, status) for name, operation in operations(document) for status in operation["responses"]
    }
    statuses = sorted({status for _, status in documented})
    lines = [f"{'':28}" + "".join(f"{status:>6}" for status in statuses)]
    for name, _ in operations(document):
        marks = [_mark(name, status, filled) if (name, status) in documented else "·" for status in statuses]
        lines.append(f"{name:28}" + "".join(f"{mark:>6}" for mark in marks))
    return "\n".join(lines)


def _mark(name: str, status: str, filled: Mapping[tuple[str, str], tuple[Request, Response]]) -> str:
    return "+" if (name, status) in filled and reached(name, status, filled[name, status][1]) else "HOLE"
