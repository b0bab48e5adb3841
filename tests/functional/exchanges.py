"""A request for each status and each origin of responses, in an order that suits an empty database."""

from typing import NamedTuple

JSON = {"Content-Type": "application/json"}
ADA = b'{"username": "Ada", "email": "ada@example.org"}'
BUNDLE = "/ui/swagger-ui-bundle.js"


class Exchange(NamedTuple):
    """A request and the status of its response."""

    status: int
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = JSON
    uses_database: bool = False


EXCHANGES = [
    Exchange(200, "GET", "/ping"),
    Exchange(200, "GET", "/health/live"),
    Exchange(200, "GET", "/health/ready", uses_database=True),
    Exchange(404, "GET", "/users/1", uses_database=True),
    Exchange(201, "POST", "/users", ADA, uses_database=True),
    Exchange(200, "GET", "/users/1", uses_database=True),
    Exchange(200, "HEAD", "/users/1", uses_database=True),
    Exchange(304, "GET", "/users/1", headers={"If-None-Match": "*"}, uses_database=True),
    Exchange(200, "GET", "/users?limit=1", uses_database=True),
    Exchange(400, "GET", "/users?limit=0"),
    Exchange(400, "POST", "/users", b"{"),
    Exchange(400, "POST", "/users", ADA, uses_database=True),
    Exchange(415, "POST", "/users", ADA, {"Content-Type": "text/plain"}),
    Exchange(413, "POST", "/users", b" " * (1024 * 1024 + 1)),
    Exchange(200, "PUT", "/users/1", ADA, uses_database=True),
    Exchange(200, "PATCH", "/users/1", ADA, uses_database=True),
    Exchange(412, "PATCH", "/users/1", ADA, JSON | {"If-Match": '"1-0"'}, uses_database=True),
    Exchange(200, "DELETE", "/users/1", uses_database=True),
    Exchange(404, "GET", "/users/blah"),
    Exchange(404, "GET", "/nowhere"),
    Exchange(405, "POST", "/ping"),
    Exchange(307, "GET", "/"),
    Exchange(307, "GET", "/ui"),
    Exchange(200, "GET", "/ui/"),
    Exchange(200, "HEAD", "/ui/"),
    Exchange(200, "GET", BUNDLE),
    Exchange(200, "GET", BUNDLE, headers={"Accept-Encoding": "gzip"}),
    Exchange(304, "GET", BUNDLE, headers={"If-None-Match": "*"}),
    Exchange(404, "GET", "/ui/nope"),
    Exchange(405, "POST", "/ui/"),
    Exchange(200, "GET", "/openapi.json"),
    Exchange(200, "GET", "/openapi.yaml"),
    Exchange(200, "GET", "/metrics"),
]
