"""What logs, metrics and traces cost; request ids are part of the contract, so all services have them."""

from typing import Final

from bench import overhead
from bench.compare import GOALS
from bench.systems import System, users_api, users_api_unobserved

OFF: Final = "all off"
ON: Final = "logs, metrics"
TRACED: Final = "and 1 % traced"
TRACES: Final = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",  # No collector listens: requests do not notice.
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.01",
}


def compare() -> overhead.Costs:
    """Return the costs of each operation."""
    starts: list[overhead.Start] = [
        users_api_unobserved,
        users_api_unobserved,
        users_api,
        lambda shared: users_api(shared, **TRACES),
    ]
    return overhead.compare(starts, _named)


def goals() -> dict[str, float]:
    """Return the most that each may cost: times the cost with all off."""
    return {ON: GOALS["observability"]["times"], TRACED: GOALS["observability"]["traced"]}


def _named(systems: list[System]) -> list[System]:
    names = OFF, overhead.CONTROL, ON, TRACED
    return [system._replace(name=name) for system, name in zip(systems, names, strict=True)]
