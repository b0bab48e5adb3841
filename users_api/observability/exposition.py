"""The metrics of all workers in Prometheus's text format, written by Prometheus's own client."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from users_api.observability.cells import SharedCells, series_in
from users_api.observability.instruments import BUCKET_SECONDS, INSTRUMENTS, Instrument, Kind

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
BOUNDS: Final = (*map(str, BUCKET_SECONDS), "+Inf")
Totals = dict[tuple[str, ...], list[int]]


class Metrics(Collector):
    """The metrics of all workers, including those that have exited."""

    def __init__(self, cells: SharedCells) -> None:
        """Read these cells."""
        self._shared = cells
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format, version 0.0.4."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry would otherwise collect once at the start."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its series."""
        totals = self._totals()
        for instrument in INSTRUMENTS.values():
            found = {
                labels[1:]: values
                for labels, values in sorted(totals.items())
                if labels[0] == instrument.name
            }
            if found:
                yield _family(instrument, found)

    def _totals(self) -> Totals:
        """Return the cells of each series, summed over all rows."""
        totals: Totals = {}
        for cells in self._shared.rows():
            for each in series_in(cells):
                values = cells[each.first : each.first + each.width].tolist()
                known = totals.get(each.labels)
                totals[each.labels] = (
                    [sum(pair) for pair in zip(known, values, strict=True)] if known else values
                )
        return totals


def _family(instrument: Instrument, series: Totals) -> Metric:
    name, description, kind, label_names = instrument
    if kind is Kind.HISTOGRAM:
        return _histogram(instrument, series)
    family = (CounterMetricFamily if kind is Kind.COUNTER else GaugeMetricFamily)(
        name, description, labels=label_names
    )
    for labels, (value,) in series.items():
        family.add_metric(labels, min(value, 1) if kind is Kind.INFO else value)
    return family


def _histogram(instrument: Instrument, series: Totals) -> Metric:
    family = HistogramMetricFamily(instrument.name, instrument.description, labels=instrument.label_names)
    for labels, (*counts, microseconds) in series.items():
        buckets = list(zip(BOUNDS, accumulate(counts), strict=True))
        family.add_metric(labels, buckets, microseconds / 1_000_000)
    return family
