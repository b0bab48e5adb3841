"""What is measured: the names, the labels and the units of all metrics."""

from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    """How a metric is added up over all workers, and written."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"
    """A gauge that is 1 however many workers set it."""


class Instrument(NamedTuple):
    """A metric."""

    name: str
    """Its name; that of a counter is without `_total`."""
    description: str
    kind: Kind
    label_names: tuple[str, ...] = ()


BUCKET_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets of all histograms."""
HISTOGRAM_WIDTH: Final = len(BUCKET_SECONDS) + 2
"""A cell for each bucket, one for what exceeds them all, and one for the sum in microseconds."""

# OpenTelemetry's semantic conventions for HTTP, "Metric: http.server.request.duration".
REQUEST_DURATION: Final = Instrument(
    "http_server_request_duration_seconds",
    "Time from a request's head to the end of its response.",
    Kind.HISTOGRAM,
    (
        "operation",
        "http_request_method",
        "http_route",
        "url_scheme",
        "http_response_status_code",
        "error_type",
    ),
)
# OpenTelemetry's semantic conventions for databases, "Metric: db.client.operation.duration".
STATEMENT_DURATION: Final = Instrument(
    "db_client_operation_duration_seconds",
    "Time from sending a statement to the last row of its result, without the wait for a connection.",
    Kind.HISTOGRAM,
    ("db_system_name", "db_operation_name", "db_collection_name", "error_type"),
)
REJECTED_REQUESTS: Final = Instrument(
    "http_server_rejected_requests",
    "Requests that the server rejected before the application saw all of them, by status.",
    Kind.COUNTER,
    ("http_response_status_code",),
)
REQUESTS_IN_FLIGHT: Final = Instrument(
    "http_server_requests_in_flight", "Requests that the application works on.", Kind.GAUGE
)
CONNECTIONS: Final = Instrument("http_server_connections", "Open connections of clients.", Kind.GAUGE)
POOL_CONNECTIONS: Final = Instrument(
    "db_client_connections", "Database connections, in use or idle.", Kind.GAUGE, ("state",)
)
POOL_LIMIT: Final = Instrument("db_client_connections_max", "Database connections allowed.", Kind.GAUGE)
POOL_WAITING: Final = Instrument(
    "db_client_connections_pending_requests", "Statements that wait for a database connection.", Kind.GAUGE
)
LOOP_LAG: Final = Instrument(
    "event_loop_lag_seconds", "How late the event loop of a worker runs what is due.", Kind.HISTOGRAM
)
BLOCKING_CALLS: Final = Instrument(
    "event_loop_blocking_calls",
    "Steps of handlers that held the event loop for more than 100 ms.",
    Kind.COUNTER,
    ("operation",),
)
CONTRACT_VIOLATIONS: Final = Instrument(
    "contract_violations", "Checked responses that violate the document.", Kind.COUNTER, ("operation",)
)
BUILD_INFO: Final = Instrument(
    "users_api_build_info", "The version of the service.", Kind.INFO, ("version", "python_version")
)
INSTRUMENTS: Final = {each.name: each for each in list(globals().values()) if isinstance(each, Instrument)}


def width(instrument: Instrument) -> int:
    """Return how many cells a series of the metric has."""
    return HISTOGRAM_WIDTH if instrument.kind is Kind.HISTOGRAM else 1
