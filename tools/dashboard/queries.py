"""The queries of the dashboard in PromQL, for the scrape job that the dashboard's variable `job` names."""

from collections.abc import Mapping
from typing import Final

INTERVAL: Final = "[$__rate_interval]"
"""Grafana replaces it by at least four scrape intervals."""
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Queries = Mapping[str, str]
"""Each query by its legend."""


def selected(name: str, *matchers: str) -> str:
    """Return the series of a metric."""
    every = ", ".join(('job="$job"', *matchers))
    return f"{name}{{{every}}}"


def per_second(name: str, *matchers: str) -> str:
    """Return the rate of a counter."""
    return f"rate({selected(name, *matchers)}{INTERVAL})"


def grown(name: str, label: str, *matchers: str) -> Queries:
    """Return the rate of a counter for each value of a label."""
    return {f"{{{{{label}}}}}": f"sum by ({label}) ({per_second(name, *matchers)})"}


def share(name: str, kind: str, *matchers: str, by: str = "") -> str:
    """Return the share of a kind in what a counter counts: 0, rather than nothing, if there is none."""
    every = f"sum by ({by}) ({per_second(name, *matchers)})"
    return f"(sum by ({by}) ({per_second(name, *matchers, kind)}) or 0 * {every}) / {every}"


def quantiles(name: str, *matchers: str) -> Queries:
    """Return the median and two higher quantiles of a histogram."""
    buckets = f"sum by (le) ({per_second(f'{name}_bucket', *matchers)})"
    return {legend: f"histogram_quantile({quantile}, {buckets})" for legend, quantile in QUANTILES.items()}


def total(name: str, *matchers: str) -> str:
    """Return the sum of a gauge over all instances."""
    return f"sum({selected(name, *matchers)})"
