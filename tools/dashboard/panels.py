"""The panels of the dashboard: those of the service, of its saturation, and of each operation."""

from typing import Final, NamedTuple

from tools.dashboard.queries import Queries, grown, per_second, quantiles, selected, share, total

REQUESTS: Final = "http_server_request_duration_seconds"
REQUEST_COUNT: Final = f"{REQUESTS}_count"
STATEMENTS: Final = "db_client_operation_duration_seconds"
STATEMENT_COUNT: Final = f"{STATEMENTS}_count"
DOCUMENTED: Final = 'operation!=""'
UNDOCUMENTED: Final = 'operation=""'
SERVER_ERRORS: Final = 'error_type=~"5.."'
DISCONNECTED: Final = 'error_type="client_disconnected"'


class Panel(NamedTuple):
    """A chart with a line for each query, or for each series of a query."""

    title: str
    unit: str
    """One of Grafana's units."""
    queries: Queries
    kind: str = "timeseries"


def panels_of(operation_id: str) -> tuple[Panel, ...]:
    """Return rate, errors and duration of an operation."""
    one = f'operation="{operation_id}"'
    errors = {
        "5xx": share(REQUEST_COUNT, SERVER_ERRORS, one),
        "client disconnected": share(REQUEST_COUNT, DISCONNECTED, one),
    }
    return (
        Panel(f"{operation_id}: rate", "reqps", grown(REQUEST_COUNT, "http_response_status_code", one)),
        Panel(f"{operation_id}: errors", "percentunit", errors),
        Panel(f"{operation_id}: duration", "s", quantiles(REQUESTS, one)),
    )


SERVICE: Final = (
    Panel(
        "Requests",
        "reqps",
        {
            **grown(REQUEST_COUNT, "operation", DOCUMENTED),
            "other paths": f"sum({per_second(REQUEST_COUNT, UNDOCUMENTED)})",
        },
    ),
    Panel(
        "Errors: share of 5xx",
        "percentunit",
        {"{{operation}}": share(REQUEST_COUNT, SERVER_ERRORS, DOCUMENTED, by="operation")},
    ),
    Panel("Duration", "s", quantiles(REQUESTS, DOCUMENTED)),
    Panel("Statements", "ops", grown(STATEMENT_COUNT, "db_operation_name")),
    Panel("Failed statements", "ops", grown(STATEMENT_COUNT, "error_type", 'error_type!=""')),
    Panel("Duration of statements", "s", quantiles(STATEMENTS)),
)
SATURATION: Final = (
    Panel(
        "Database connections",
        "short",
        {
            "used": total("db_client_connections", 'state="used"'),
            "idle": total("db_client_connections", 'state="idle"'),
            "max": total("db_client_connections_max"),
        },
    ),
    Panel(
        "Statements that wait for a connection",
        "short",
        {"waiting": total("db_client_connections_pending_requests")},
    ),
    Panel("Event-loop lag", "s", quantiles("event_loop_lag_seconds")),
    Panel("Requests in flight", "short", {"requests": total("http_server_requests_in_flight")}),
    Panel("Connections of clients", "short", {"connections": total("http_server_connections")}),
    Panel(
        "Rejected requests",
        "reqps",
        grown("http_server_rejected_requests_total", "http_response_status_code"),
    ),
    Panel("Contract violations", "ops", grown("contract_violations_total", "operation")),
    Panel("Blocking calls", "ops", grown("event_loop_blocking_calls_total", "operation")),
    Panel(
        "Instances by version",
        "short",
        {
            "{{version}}, Python {{python_version}}": (
                f"count by (version, python_version) ({selected('users_api_build_info')})"
            )
        },
        "stat",
    ),
)
