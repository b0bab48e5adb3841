"""Which requests are sampled: one in each block of about 1/rate requests, at a random place in the block."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from random import randrange


def sample_gaps(rate: float, choose: Callable[[int], int] = randrange) -> Iterator[int]:
    """Yield how many requests after the previous sample the next one is, for a rate above 0 and up to 1.

    Of each block one request is sampled, so the first sample is among the first ceil(1/rate) requests. Its
    place is random, because a fixed one would always miss the same requests of regular traffic. `choose`
    returns a number from 0 up to its argument.
    """
    exact = Fraction(str(rate))
    start = previous = index = 0
    while True:
        index += 1
        end = index * exact.denominator // exact.numerator
        sample = start + 1 + choose(end - start)
        yield sample - previous
        start, previous = end, sample
