"""Sampling: one request in each block, at any of its places, for every rate."""

from collections import Counter
from fractions import Fraction
from itertools import accumulate, islice
from math import ceil
from random import Random

import pytest

from users_api.engine.sampling import sample_gaps

RATES = [1.0, 0.999, 0.9, 0.5, 0.3, 0.29, 0.1, 0.07, 0.01, 0.001, 0.000000001]
BLOCKS = 1000


def samples(rate: float) -> list[int]:
    """Return the numbers of the first sampled requests, from 1; the places in the blocks are repeatable."""
    return list(accumulate(islice(sample_gaps(rate, Random(1).randrange), BLOCKS)))  # noqa: S311 -- a repeatable test.


@pytest.mark.parametrize("rate", RATES)
def test_each_block_has_one_sample(rate: float) -> None:
    length = 1 / Fraction(str(rate))

    for index, sample in enumerate(samples(rate)):
        assert int(index * length) < sample <= int((index + 1) * length)


@pytest.mark.parametrize("rate", RATES)
def test_the_first_sample_is_among_as_many_requests_as_the_rate_implies(rate: float) -> None:
    for place in (0, -1):
        first = next(sample_gaps(rate, lambda size, place=place: range(size)[place]))
        assert 1 <= first <= ceil(1 / Fraction(str(rate)))


def test_every_request_is_sampled_at_the_rate_1() -> None:
    assert samples(1.0) == list(range(1, BLOCKS + 1))


def test_regular_traffic_is_sampled_everywhere() -> None:
    places = Counter(sample % 10 for sample in samples(0.1))

    assert len(places) == 10
