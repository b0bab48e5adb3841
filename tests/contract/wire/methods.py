"""All methods on all paths."""

from tests.contract.wire.case import NO_METHOD, NO_PATH, NO_USER, REFUSED, empty, fail, one, success
from tests.support.raw_http import get, head, send

READ = "GET, HEAD"
ALLOW = {
    "/ping": READ,
    "/users": "GET, HEAD, POST",
    "/users/<id>": "DELETE, GET, HEAD, PATCH, PUT",
    "/health/live": READ,
    "/health/ready": READ,
    "/": READ,
    "/openapi.json": READ,
    "/openapi.yaml": READ,
    "/metrics": READ,
    "/ui": READ,
    "/ui/": READ,
}
KNOWN = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "LOCK",
    "PURGE",
    "SEARCH",
    "M-SEARCH",
)
UNKNOWN = ("BREW", "get", "Get", "GETT", "G", "GE T", "POST\x00", "\xffGET", "QUERY_", "<script>", "A" * 9000)

METHODS = {
    **{
        f"{method} on {path} is not allowed": one(
            head(f"{method} {path}"),
            empty(405, allow=allow) if method == "HEAD" else fail(405, NO_METHOD, allow=allow),
        )
        for path, allow in ALLOW.items()
        for method in KNOWN
        if method not in allow
    },
    **{f"the method {method[:9]!r} is refused": one(head(f"{method} /users"), REFUSED) for method in UNKNOWN},
    "CONNECT to an authority is refused": one(head("CONNECT evil.example:443"), REFUSED),
    "CONNECT to a path is refused": one(head("CONNECT /users"), REFUSED),
    "HEAD of a ping has no body": one(head("HEAD /ping"), empty(200)),
    "HEAD of the users has no body": one(head("HEAD /users?limit=1"), empty(200)),
    "HEAD of a user has no body": one(head("HEAD /users/<id>"), empty(200, etag="<etag>")),
    "HEAD of an unknown user has no body": one(head("HEAD /users/0"), empty(404)),
    "HEAD of no path has no body": one(head("HEAD /nowhere"), empty(404)),
    "HEAD of a wrong query has no body": one(head("HEAD /users?limit=0"), empty(400)),
    "HEAD of liveness has no body": one(head("HEAD /health/live"), empty(200)),
    "HEAD of readiness has no body": one(head("HEAD /health/ready"), empty(200)),
    "HEAD of the document has no body": one(head("HEAD /openapi.json"), empty(200)),
    "HEAD of the documentation has no body": one(head("HEAD /ui/"), empty(200)),
    "HEAD of the root has no body": one(head("HEAD /"), empty(307, location="/ui/")),
    "HEAD with a body is served": one(send("HEAD /ping", "{}"), empty(200)),
    "a method on no path is 404": one(head("DELETE /nowhere"), fail(404, NO_PATH)),
    "a method in a header does not count": one(
        get("/users/0", "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE"), fail(404, NO_USER)
    ),
    "a body on GET is ignored": one(send("GET /ping", '{"username": 1}'), success(message="pong")),
    "a body on GET that is not JSON is ignored": one(send("GET /users?limit=1", "\xff\xfe\x00"), success()),
    "a body on DELETE that is not JSON is ignored": one(
        send("DELETE /users/0", "\xff", "Content-Type: x/y"), fail(404, NO_USER)
    ),
    "a body on a method that is not allowed is skipped": one(
        send("POST /ping", "GET /users HTTP/1.1\r\n\r\n"), fail(405, NO_METHOD, allow=READ)
    ),
    "a body on no path is skipped": one(
        send("POST /nowhere", "GET /users HTTP/1.1\r\n\r\n"), fail(404, NO_PATH)
    ),
    "a body on the documentation is skipped": one(
        send("POST /ui/", "GET /users HTTP/1.1\r\n\r\n"), fail(405, NO_METHOD, allow=READ)
    ),
}
