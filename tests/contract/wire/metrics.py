"""The metrics: another media type than the envelope's."""

from tests.contract.wire.case import NO_PATH, PARAMETER, Answer, empty, fail, one
from tests.support.raw_http import get, head, send

TEXT = Answer(200, "metrics")

NO_METRICS_PATH = {
    "a trailing slash": "/metrics/",
    "a doubled slash in front": "//metrics",
    "upper case": "/METRICS",
    "a deeper path": "/metrics/users",
    "an encoded slash": "/metrics%2F",
    "a trailing NUL, encoded": "/metrics%00",
}

METRICS = {
    **{
        f"metrics with {name} are another path": one(get(path), fail(404, NO_PATH))
        for name, path in NO_METRICS_PATH.items()
    },
    "the metrics are text": one(get("/metrics"), TEXT),
    "the metrics are text for those who want JSON": one(get("/metrics", "Accept: application/json"), TEXT),
    "the metrics of two requests that follow at once": one(get("/metrics") * 2, TEXT, TEXT),
    "a percent-encoded path of the metrics is the same path": one(get("/%6Detrics"), TEXT),
    "HEAD of the metrics has no body": one(head("HEAD /metrics"), empty(200)),
    "HEAD of the metrics with a parameter has no body": one(head("HEAD /metrics?x=1"), empty(400)),
    "the metrics refuse any parameter": one(get("/metrics?x=1"), fail(400, PARAMETER, "x")),
    "the metrics refuse the names of Prometheus": one(
        get("/metrics?name[]=http_requests_total"), fail(400, PARAMETER, "name[]")
    ),
    "the metrics refuse a query in another encoding": one(get("/metrics?%ff=1"), fail(400, PARAMETER, "")),
    "a body on the metrics is ignored": one(send("GET /metrics", "\xff"), TEXT),
}
